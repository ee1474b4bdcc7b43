"""Pages of other origins: what they may ask and see, and that they get nothing that is not theirs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from core.api.app import create_api
from core.gateway.tiers import LIMITS, Tier
from tests.fakes.services import ADMIN_TOKEN, World

PAGE = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site"}
READS = ("/v1/prices", "/v1/prices/BTC/USD", "/v1/feeds", "/v1/rounds", "/v1/usage")
CLOSED = ("/admin/keys", "/ingest", "/feed-values/", "/health", "/metrics", "/openapi.json")


def browser(world: World, *origins: str) -> httpx.AsyncClient:
    """A browser far away, on a page of app.example."""
    app = create_api(replace(world.services(), cors_origins=origins))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=("203.0.113.7", 40_000))
    return httpx.AsyncClient(transport=transport, base_url="http://chrono", headers=PAGE)


@pytest.fixture
async def page(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(world, "*") as client:
        yield client


def asking(method: str, headers: str = "x-api-key") -> dict[str, str]:
    """The headers of a preflight."""
    return {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}


@pytest.mark.parametrize("path", READS)
async def test_a_page_of_any_origin_may_read_with_a_key_in_a_header(
    page: httpx.AsyncClient, path: str
) -> None:
    told = await page.options(path, headers=asking("GET", "authorization, x-api-key, if-none-match"))
    assert told.status_code == 200
    assert told.headers["access-control-allow-origin"] == "*"
    assert (await page.get(path)).headers["access-control-allow-origin"] == "*"


async def test_a_page_sees_what_is_left_and_when_to_come_back(page: httpx.AsyncClient) -> None:
    answers = [await page.get("/v1/prices") for _ in range(LIMITS[Tier.FREE].burst + 1)]
    assert [answers[0].status_code, answers[-1].status_code] == [200, 429]
    for answer, names in ((answers[0], {"ratelimit", "etag"}), (answers[-1], {"ratelimit", "retry-after"})):
        exposed = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert names <= set(exposed) & set(answer.headers)


@pytest.mark.parametrize("path", CLOSED)
async def test_nothing_else_is_opened(page: httpx.AsyncClient, path: str) -> None:
    for answer in (await page.options(path, headers=asking("GET")), await page.get(path)):
        assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_no_method_that_changes_anything_and_no_cookie_is_let_through(page: httpx.AsyncClient) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert (await page.options("/v1/prices", headers=asking(method))).status_code == 400
    assert (await page.options("/v1/prices", headers=asking("GET", "x-forwarded-for"))).status_code == 400
    answer = await page.get("/v1/prices")
    assert "access-control-allow-credentials" not in answer.headers


async def test_a_foreign_page_is_not_our_page(page: httpx.AsyncClient) -> None:
    for headers in ({}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "http://chrono"}):
        answer = await page.get("/v1/prices", headers=headers)
        assert answer.headers["ratelimit-policy"].startswith(f'"burst";q={LIMITS[Tier.FREE].burst};')


async def test_an_operator_may_name_the_origins_or_none(world: World) -> None:
    async with browser(world, "https://app.example") as named:
        answer = await named.get("/v1/feeds")
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert "Origin" in answer.headers["vary"]
        other = await named.get("/v1/feeds", headers={"Origin": "https://other.example"})
        assert "access-control-allow-origin" not in other.headers
    async with browser(World()) as nobody:
        assert "access-control-allow-origin" not in (await nobody.get("/v1/feeds")).headers


async def test_preflights_cost_no_token_and_a_flood_of_them_ends_in_a_block(
    page: httpx.AsyncClient, world: World
) -> None:
    preflights = [(await page.options("/v1/feeds", headers=asking("GET"))).status_code for _ in range(100)]
    assert set(preflights) == {200}
    answer = await page.get("/v1/feeds")
    assert answer.headers["ratelimit"].startswith(f'"burst";r={LIMITS[Tier.FREE].burst - 1};')
    while (answer := await page.options("/v1/feeds", headers=asking("GET"))).status_code == 200:
        assert len(world.events) < 2_500
    assert (answer.status_code, answer.json()["reason"]) == (403, "preflight")


async def test_who_visits_pages_all_day_is_not_blocked_for_it(page: httpx.AsyncClient, world: World) -> None:
    for _ in range(3_000):
        world.now += 0.1
        assert (await page.options("/v1/feeds", headers=asking("GET"))).status_code == 200


async def test_an_operators_key_opens_admin_to_no_page(page: httpx.AsyncClient) -> None:
    answer = await page.get("/admin/keys", headers={"X-API-Key": ADMIN_TOKEN})
    assert "access-control-allow-origin" not in answer.headers
