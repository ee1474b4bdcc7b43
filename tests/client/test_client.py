"""`chrono.client` against the real API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from decimal import Decimal
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.client import AsyncClient, Client, Gap, Problem, Unreachable, Update
from chrono.client.values import read_candles, read_event, read_prices
from core.gateway.accounts import Order
from core.gateway.keys import make_key
from core.gateway.tiers import Tier
from tests.client.served import Relay, serving
from tests.fakes.services import NOW, World, encoded_at, estimates_at


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def url(world: World) -> AsyncIterator[str]:
    async with serving(world) as url:
        yield url


async def publish(world: World, sequence: int) -> None:
    world.estimates = estimates_at(NOW + sequence, sequence)
    await world.bus.publish(encoded_at(NOW + sequence, sequence))


async def test_prices_are_asked_for_by_name(url: str) -> None:
    async with AsyncClient(url) as chrono:
        assert len(await chrono.prices()) == 63
        price = await chrono.price("BTC/USD")
    assert (price.feed, price.state, price.venues_used) == ("BTC/USD", "live", 5)
    assert isinstance(price.price, Decimal)


async def test_without_a_loop_the_same_is_asked(url: str) -> None:
    def ask() -> None:
        with Client(url) as chrono:
            assert chrono.price("BTC/USD").state == "live"
            assert len(chrono.candles("BTC/USD", "1h")) == 24
            with pytest.raises(Problem):
                chrono.price("FOO/USD")

    await asyncio.to_thread(ask)


async def test_candles_come_over_all_pages(url: str) -> None:
    async with AsyncClient(url) as chrono:
        candles = await chrono.candles("BTC/USD", "1m", start=NOW - 200_000, end=NOW)
    assert [candle.start for candle in candles] == [
        float(start) for start in range(int(NOW - 200_000), int(NOW)) if start % 60 == 0
    ]


async def test_a_refusal_says_what_is_wrong(url: str) -> None:
    async with AsyncClient(url) as chrono:
        with pytest.raises(Problem) as refused:
            await chrono.price("FOO/USD")
    assert (refused.value.status, refused.value.type) == (404, "urn:chrono:problem:unknown-feed")
    assert refused.value.evidence["feeds"] == ["FOO/USD"]


async def test_a_key_is_sent(url: str, world: World) -> None:
    made = make_key(b"\1" * 40)
    await world.accounts.issue(Order("acme", Tier.PREMIUM, "a", frozenset({"prices"}), None), made, NOW)
    await world.upkeep.turn()
    async with AsyncClient(url, made.text) as chrono:
        await chrono.price("BTC/USD")
        with pytest.raises(Problem, match="lacks the scope history"):
            await chrono.candles("BTC/USD")
    async with AsyncClient(url, "chr_nonsense") as chrono:
        with pytest.raises(Problem, match="not accepted"):
            await chrono.price("BTC/USD")


@pytest.mark.parametrize(("refusals", "served"), [(2, True), (3, False)])
async def test_who_is_told_to_wait_asks_again_and_then_gives_up(refusals: int, served: bool) -> None:
    asked = 0

    def answer(_: httpx.Request) -> httpx.Response:
        nonlocal asked
        asked += 1
        if asked <= refusals:
            return httpx.Response(429, json={"type": "urn:x", "detail": "slow"}, headers={"Retry-After": "0"})
        return httpx.Response(200, json={"prices": []})

    async with AsyncClient("http://chrono", transport=httpx.MockTransport(answer)) as chrono:
        if served:
            assert await chrono.prices() == {}
        else:
            with pytest.raises(Problem) as refused:
                await chrono.prices()
            assert refused.value.retry_after_s == 0


async def test_an_api_that_is_away_or_no_api_is_unreachable() -> None:
    async with AsyncClient("http://127.0.0.1:1") as chrono:
        with pytest.raises(Unreachable):
            await chrono.prices()
    transport = httpx.MockTransport(lambda _: httpx.Response(200, text="<html>"))
    async with AsyncClient("http://chrono", transport=transport) as chrono:
        with pytest.raises(Unreachable, match="without a JSON object"):
            await chrono.prices()


async def test_a_stream_goes_on_over_a_cut_connection_without_a_gap(url: str, world: World) -> None:
    relay = Relay(int(url.rpartition(":")[2]))
    async with relay.running() as relayed, AsyncClient(relayed) as chrono:
        await publish(world, 1)
        stream = chrono.stream("BTC/USD")
        first = await asyncio.wait_for(anext(stream), 10)
        assert isinstance(first, Update)
        assert (first.sequence, first.snapshot, first.prices["BTC/USD"].sequence) == (1, True, 1)
        relay.cut()
        for sequence in (2, 3, 4):
            await publish(world, sequence)
        missed = [await asyncio.wait_for(anext(stream), 10) for _ in range(3)]
        assert [(type(each), each.sequence) for each in missed] == [(Update, 2), (Update, 3), (Update, 4)]
        assert not any(each.snapshot or each.skipped for each in missed if isinstance(each, Update))


async def test_a_gap_is_told_when_the_server_has_forgotten(world: World) -> None:
    async with serving(world) as url:
        chrono = AsyncClient(url)
        await publish(world, 1)
        stream = chrono.stream("BTC/USD")
        await asyncio.wait_for(anext(stream), 10)
    async with serving(world, int(url.rpartition(":")[2])), chrono:
        ahead = asyncio.create_task(publishing(world))
        events = [await asyncio.wait_for(anext(stream), 20) for _ in range(2)]
        ahead.cancel()
        await asyncio.wait({ahead})
    assert isinstance(events[0], Gap)
    assert events[0].since == 1
    assert isinstance(events[1], Update)
    assert events[1].snapshot


async def publishing(world: World) -> None:
    sequence = 10
    while True:
        sequence += 1
        await publish(world, sequence)
        await asyncio.sleep(0.05)


async def test_a_refusal_for_good_ends_the_stream(url: str) -> None:
    async with AsyncClient(url) as chrono:
        with pytest.raises(Problem, match="FOO/USD"):
            await asyncio.wait_for(anext(chrono.stream("FOO/USD")), 10)
    async with AsyncClient(url, "chr_nonsense") as chrono:
        with pytest.raises(Problem, match="not accepted"):
            await asyncio.wait_for(anext(chrono.stream("BTC/USD")), 10)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["type", "prices", "candles", "sequence", "since", "at"]), inner),
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_an_answer_holds_it_is_read_or_unreachable(told: Any) -> None:
    for read in (read_prices, read_candles, read_event):
        with suppress(Unreachable):
            read(told)
