"""The API as a gateway: who is let in, what they are told of their limits, what is billed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import date
from itertools import count

import httpx
import pytest
from prometheus_client import CollectorRegistry

from core.api.app import create_api
from core.api.schemas.gateway import BlockList, KeyList, NewKeyDocument, UsageList
from core.gateway.accounts import Order
from core.gateway.keys import DEFAULT_SCOPES, make_key
from core.gateway.tiers import LIMITS, Tier
from core.gateway.watch import Signal
from core.ports import StoreUnavailable
from tests.fakes.services import ADMIN_TOKEN, NOW, World

FAR = "203.0.113.7"
PRICES = "/v1/prices?feeds=BTC/USD"
ADMIN = {"X-API-Key": ADMIN_TOKEN}
NUMBERS = count(1)

From = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


def asking(world: World, address: str = FAR, key: str | None = None) -> httpx.AsyncClient:
    """A client at an address, of an application of its own on the same world."""
    app = create_api(replace(world.services(), registry=CollectorRegistry()))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False, client=(address, 40_000))
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    return httpx.AsyncClient(transport=transport, base_url="http://chrono", headers=headers)


@pytest.fixture
async def stranger(world: World) -> AsyncIterator[httpx.AsyncClient]:
    async with asking(world) as client:
        yield client


async def new_key(world: World, tier: Tier = Tier.DEVELOPER, scopes: frozenset[str] = DEFAULT_SCOPES) -> str:
    made = make_key(next(NUMBERS).to_bytes(40, "little"))
    await world.accounts.issue(Order("acme", tier, "server", scopes), made, world.now)
    await world.upkeep.turn()
    return made.text


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:chrono:problem:")


async def test_a_stranger_is_served_and_told_the_limits(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get(PRICES)
    assert answer.status_code == 200
    assert answer.headers["ratelimit-policy"] == '"burst";q=20;w=4, "day";q=20000;w=86400'
    assert answer.headers["ratelimit"] == '"burst";r=19;t=1, "day";r=19999;t=35200'


async def test_over_the_limit_the_answer_is_429_and_says_when_to_come_back(
    stranger: httpx.AsyncClient, world: World
) -> None:
    for _ in range(LIMITS[Tier.FREE].burst):
        assert (await stranger.get(PRICES)).status_code == 200
    answer = await stranger.get(PRICES)
    assert problem(answer) == (429, "rate-limited")
    assert (answer.headers["retry-after"], answer.json()["tier"]) == ("1", "free")
    assert answer.headers["ratelimit"].startswith('"burst";r=0')
    world.now += 1
    assert (await stranger.get(PRICES)).status_code == 200


async def test_a_key_raises_the_limits_whichever_header_carries_it(world: World) -> None:
    key = await new_key(world)
    async with asking(world) as client:
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
            answer = await client.get(PRICES, headers=headers)
            assert answer.headers["ratelimit-policy"].startswith('"burst";q=100')


async def test_a_key_that_is_not_accepted_is_told_in_one_way(world: World) -> None:
    known = await new_key(world)
    told = []
    for number, key in enumerate((known[:-1] + "z", make_key(b"\xff" * 40).text, "nonsense")):
        async with asking(world, f"203.0.113.{number}", key) as client:
            answer = await client.get(PRICES)
            assert answer.headers["www-authenticate"] == 'Bearer realm="chrono"'
            told.append((problem(answer), answer.json()["detail"]))
    assert set(told) == {((401, "key-refused"), "the API key is not accepted")}


async def test_guessing_keys_ends_in_a_block_that_spares_ingest(world: World) -> None:
    async with asking(world, key="chr_guess") as client:
        answers = [(await client.get(PRICES)).status_code for _ in range(12)]
        assert answers == [401] * 4 + [429] * 6 + [403] * 2
        answer = await client.get(PRICES)
        assert problem(answer) == (403, "address-blocked")
        assert (answer.json()["reason"], answer.headers["retry-after"]) == ("bad-key", "60")
        octets = {"Content-Type": "application/octet-stream"}
        assert (await client.post("/ingest", content=b"no batch", headers=octets)).status_code == 400
        assert (await client.get("/health")).status_code == 200


async def test_a_scope_opens_what_it_names_only(world: World) -> None:
    key = await new_key(world, scopes=frozenset({"prices"}))
    async with asking(world, key=key) as client:
        assert (await client.get(PRICES)).status_code == 200
        answer = await client.get("/v1/prices/history?feed=BTC/USD")
        assert (problem(answer), answer.json()["scope"]) == ((403, "scope-missing"), "history")
        assert problem(await client.get("/admin/keys")) == (403, "scope-missing")


async def test_history_costs_by_the_rows_it_may_give(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.get("/v1/prices/history?feed=BTC/USD&limit=1000")
    assert answer.headers["ratelimit"].startswith(f'"burst";r={LIMITS[Tier.FREE].burst - 3};')


async def test_nobody_is_anonymous_where_the_operator_says_so() -> None:
    world = World(anonymous=False)
    async with asking(world) as client:
        assert problem(await client.get(PRICES)) == (401, "key-required")
    async with asking(world, key=await new_key(world)) as client:
        assert (await client.get(PRICES)).status_code == 200
    async with asking(world, "127.0.0.1") as client:
        assert (await client.get(PRICES)).status_code == 200


async def test_a_proxy_of_ours_names_whom_it_forwards(world: World) -> None:
    async with asking(world, "127.0.0.1") as proxied:
        for _ in range(LIMITS[Tier.FREE].burst):
            await proxied.get(PRICES, headers={"X-Forwarded-For": FAR})
        answer = await proxied.get(PRICES, headers={"X-Forwarded-For": f"127.0.0.1, {FAR}"})
        assert answer.status_code == 429
        assert (await proxied.get(PRICES)).status_code == 200


async def test_a_tenant_that_floods_takes_nothing_from_another(world: World) -> None:
    async with asking(world) as flooding, asking(world, "198.51.100.1") as other:
        for _ in range(200):
            await flooding.get(PRICES)
        assert (await other.get(PRICES)).status_code == 200


async def test_what_was_answered_is_billed_once(world: World) -> None:
    key = await new_key(world)
    async with asking(world, key=key) as client:
        for path in (PRICES, PRICES, "/v1/prices?feeds=FOO/USD", "/v1/rounds", "/v1/rounds/7"):
            await client.get(path)
        await world.upkeep.turn()
        await world.upkeep.turn()
        told = UsageList.model_validate_json((await client.get("/v1/usage")).content)
        assert {(row.endpoint, row.requests) for row in told.usage} == {("prices", 3), ("rounds", 2)}
        assert (told.requests, told.end) == (5, date(2026, 9, 21))
        lines = (await client.get("/v1/usage?format=csv")).text.splitlines()
        assert lines[:2] == [
            "account,key,endpoint,day,requests",
            f"acme,{key.split('_')[1]},prices,2026-09-21,3",
        ]


async def test_usage_is_ones_own(world: World, stranger: httpx.AsyncClient) -> None:
    key = await new_key(world)
    async with asking(world, key=key) as client:
        await client.get(PRICES)
    await world.upkeep.turn()
    async with asking(world, key=await new_key(world)) as other:
        assert (await other.get("/v1/usage")).json()["usage"] == []
    assert problem(await stranger.get("/v1/usage")) == (401, "key-required")


async def test_too_many_days_of_usage_are_refused(world: World) -> None:
    async with asking(world, key=await new_key(world)) as client:
        assert problem(await client.get("/v1/usage?from=2020-01-01")) == (400, "range-too-large")
        assert problem(await client.get("/v1/usage?from=2026-09-22&to=2026-09-20")) == (400, "empty-window")


async def test_the_operator_makes_rotates_and_revokes_keys(world: World) -> None:
    async with asking(world) as client:
        order = {"account": "acme", "tier": "premium", "name": "bot", "expires_in_days": 30}
        answer = await client.post("/admin/keys", json=order, headers=ADMIN)
        made = NewKeyDocument.model_validate_json(answer.content)
        assert (answer.status_code, made.tier, made.expires_at) == (201, "premium", NOW + 30 * 86_400)
        used = await client.get(PRICES, headers={"X-API-Key": made.key})
        assert used.headers["ratelimit-policy"].startswith('"burst";q=800')

        answer = await client.post(f"/admin/keys/{made.prefix}/rotate", json={"overlap_s": 60}, headers=ADMIN)
        rotated = NewKeyDocument.model_validate_json(answer.content)
        for key in (made.key, rotated.key):
            assert (await client.get(PRICES, headers={"X-API-Key": key})).status_code == 200
        world.now += 61
        ended = await client.get(PRICES, headers={"X-API-Key": made.key})
        assert (problem(ended), ended.json()["detail"]) == ((401, "key-refused"), "the API key has expired")

        await client.delete(f"/admin/keys/{rotated.prefix}", headers=ADMIN)
        assert (await client.get(PRICES, headers={"X-API-Key": rotated.key})).status_code == 401
        listed = await client.get("/admin/keys?account=acme", headers=ADMIN)
        assert len(KeyList.model_validate_json(listed.content).keys) == 2
        assert made.key not in listed.text


async def test_the_operator_sees_and_lifts_blocks(world: World) -> None:
    async with asking(world, key="chr_guess") as rogue:
        for _ in range(10):
            await rogue.get(PRICES)
    await world.upkeep.turn()
    async with asking(world) as client:
        assert (await client.get(PRICES)).status_code == 403
    async with asking(world, "198.51.100.1") as operator:
        listed = BlockList.model_validate_json((await operator.get("/admin/blocks", headers=ADMIN)).content)
        assert [(block.address, block.reason) for block in listed.blocks] == [(FAR, "bad-key")]
        lifted = await operator.delete(f"/admin/blocks?address={FAR}", headers=ADMIN)
        assert lifted.json() == {"blocks": []}
        again = await operator.delete(f"/admin/blocks?address={FAR}", headers=ADMIN)
        assert problem(again) == (404, "no-such")
    async with asking(world) as client:
        assert (await client.get("/v1/feeds")).status_code != 403


async def test_the_admin_api_is_closed_to_everybody_else(world: World) -> None:
    for key in (None, await new_key(world, Tier.INTERNAL)):
        async with asking(world, "127.0.0.1", key) as client:
            assert (await client.get("/admin/keys")).status_code in (401, 403)
    admin = await new_key(world, scopes=frozenset({"admin"}))
    async with asking(world, key=admin) as client:
        assert (await client.get("/admin/keys")).status_code == 200


@pytest.mark.parametrize("path", ["/feed-values/", "/volumes", "/admin/keys"])
async def test_a_body_has_a_bound(world: World, path: str) -> None:
    async with asking(world) as client:
        answer = await client.post(path, content=b"x" * 70_000, headers=ADMIN)
        assert problem(answer) == (413, "oversized-body")

        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1_000

        answer = await client.post(path, content=chunks(), headers=ADMIN)
        assert problem(answer) == (413, "oversized-body")
    assert [event.signal for event in world.events] == [Signal.OVERSIZED] * 2


async def test_scans_are_told_and_blocked(world: World, stranger: httpx.AsyncClient) -> None:
    paths = [f"/{name}.php" for name in range(25)]
    for path in paths:
        assert (await stranger.get(path)).status_code == 404
    assert {event.signal for event in world.events} == {Signal.SCAN}
    assert (await stranger.get(PRICES)).status_code == 403


async def test_an_unknown_feed_is_no_scan(world: World, stranger: httpx.AsyncClient) -> None:
    await stranger.get("/v1/prices?feeds=FOO/USD")
    await stranger.get("/v1/rounds/7")
    assert world.events == []


async def test_the_page_of_this_host_is_not_hindered(stranger: httpx.AsyncClient) -> None:
    headers = {"Sec-Fetch-Site": "same-origin"}
    answers = [(await stranger.get(PRICES, headers=headers)).status_code for _ in range(60)]
    assert set(answers) == {200}


async def test_while_the_store_is_away_keys_go_on_and_usage_waits(world: World) -> None:
    key = await new_key(world)
    world.accounts.fails_with = StoreUnavailable("away", 1.0)
    async with asking(world, key=key) as client:
        assert (await client.get(PRICES)).status_code == 200
        with pytest.raises(StoreUnavailable):
            await world.upkeep.turn()
        assert (await client.get("/v1/usage")).status_code == 503
        world.accounts.fails_with = None
        await world.upkeep.turn()
        assert (await client.get("/v1/usage")).json()["requests"] == 1


@asynccontextmanager
async def keeping_up(world: World) -> AsyncIterator[None]:
    task = asyncio.create_task(world.upkeep.run(0.001))
    yield
    task.cancel()
    await asyncio.wait({task})


async def test_a_key_that_is_revoked_elsewhere_ends_here_by_itself(world: World) -> None:
    key = await new_key(world)
    async with keeping_up(world), asking(world, key=key) as client:
        await world.accounts.revoke(key.split("_")[1], world.now)
        async with asyncio.timeout(10):
            while (await client.get(PRICES)).status_code != 401:
                world.now += 1
                await asyncio.sleep(0)


async def test_a_wrong_method_is_told_all_the_right_ones(client: httpx.AsyncClient) -> None:
    for path, methods in (
        ("/admin/keys", "GET, POST"),
        ("/admin/blocks", "DELETE, GET"),
        ("/v1/prices", "GET"),
    ):
        answer = await client.put(path, headers=ADMIN)
        assert (problem(answer), answer.headers["allow"]) == ((405, "method-not-allowed"), methods)
