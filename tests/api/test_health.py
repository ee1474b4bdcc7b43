"""How the service says that it lives, is ready, and what it counts."""

from __future__ import annotations

from pathlib import Path

import httpx

from chrono.feeds import LEGS
from core.api.app import create_api
from core.api.schemas.operations import RouteList, VenueList
from tests.fakes.services import NOW, World


async def test_a_live_process_is_healthy(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json()["status"] == "ok"


async def test_it_is_ready_when_every_check_passes(client: httpx.AsyncClient) -> None:
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


async def test_a_failing_check_is_told_with_503(client: httpx.AsyncClient, world: World) -> None:
    world.checks["bus"] = (False, "Redis is away")
    answer = await client.get("/ready")
    assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
    assert answer.json()["checks"]["bus"] == {"ok": False, "detail": "Redis is away"}


async def test_each_venue_is_told_with_its_collector(client: httpx.AsyncClient, world: World) -> None:
    world.now = NOW + 3
    told = VenueList.model_validate_json((await client.get("/v1/venues")).content)
    banned = told.venues[0]
    assert (banned.venue, banned.state, banned.code, banned.retry_at) == ("binance", "banned", 418, NOW + 60)
    assert (banned.collector, banned.heard_at, banned.silent_s) == ("00ff00ff00ff00ff", NOW - 2, 5.0)
    assert banned.route == "local"


async def test_each_collector_is_told_with_its_age_and_its_legs(
    client: httpx.AsyncClient, world: World
) -> None:
    world.now = NOW + 3
    (route,) = RouteList.model_validate_json((await client.get("/v1/routes")).content).routes
    assert (route.name, route.key_id, route.legs) == ("local", "00ff00ff00ff00ff", len(LEGS) - 1)
    assert (route.silent_s, route.newest_tick_age_s) == (5.0, 5.5)
    assert (route.batches, route.ticks, route.ticks_dropped, route.clock_offset_s) == (7, 900, 3, 0.01)


async def test_requests_are_timed_by_route_and_not_by_address(
    client: httpx.AsyncClient, world: World
) -> None:
    for path in ("/v1/prices?feeds=BTC/USD", "/v1/prices", "/a", "/b"):
        await client.get(path)
    counted = "chrono_http_request_seconds_count"
    assert world.metric(counted, method="GET", route="/v1/prices", status="200") == 2
    assert world.metric(counted, method="any", route="unmatched", status="404") == 2
    assert b"chrono_http_request_seconds_bucket" in (await client.get("/metrics")).content


async def test_every_refusal_is_a_problem_document_and_counted(
    client: httpx.AsyncClient, world: World
) -> None:
    for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/v1/prices", 405)):
        answer = await client.request(method, path)
        assert (answer.status_code, answer.json()["status"]) == (status, status)
        assert answer.headers["content-type"] == "application/problem+json"
    assert world.metric("chrono_http_problems_total", problem="method-not-allowed") == 1


async def test_the_portal_is_served_beside_the_api(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>Chrono</h1>")
    transport = httpx.ASGITransport(create_api(World(portal_dir=tmp_path).services()))
    async with httpx.AsyncClient(transport=transport, base_url="http://chrono") as asking:
        assert "Chrono" in (await asking.get("/")).text
        assert (await asking.get("/health")).status_code == 200
        assert (await asking.delete("/v1/prices")).status_code == 405
        assert (await asking.get("/missing.js")).json()["status"] == 404
