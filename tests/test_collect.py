"""The collecting process against the venues and a core, all on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from chrono.batch import Batch, decode
from chrono.feeds import VENUES, legs_of
from chrono.polling import Pace
from chrono.signing import KeyRing, PublicKey, key_id, open_sealed
from chrono.venue_state import VenueState
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Request
from core.collect import collect
from tests.kernel.payloads import tickers_answer
from tests.loopback import Asked, Handler, response, serving

PACE = Pace(ticker_interval_s=0.1, trade_interval_s=None, timeout_s=1.0)
BOUND_S = 20.0


class Key:
    """A signer with a key of its own."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public)

    async def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def verify(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


@dataclass
class World:
    """Venues and a core. A test says how the core answers; a venue in `silent` never does."""

    key: Key = field(default_factory=Key)
    ingest_status: int = 200
    silent: frozenset[str] = frozenset()
    crossed: frozenset[str] = frozenset()
    batches: list[Batch] = field(default_factory=list)
    refused: list[Batch] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def venue(self, name: str) -> Handler:
        async def handler(asked: Asked) -> bytes:
            if name in self.silent:
                await asyncio.Event().wait()
            assert asked.method == "GET"
            request: Request = VENUE_ADAPTERS[name].tickers(legs_of(name))
            body = tickers_answer(request, at=time.time()).body
            return response(body.replace(b'"101"', b'"99"') if name in self.crossed else body)

        return handler

    async def core(self, asked: Asked) -> bytes:
        assert (asked.method, asked.path) == ("POST", "/ingest")
        open_sealed(asked.body, KeyRing([PublicKey(self.key.public)]), verify, at=time.time())
        async with self.changed:
            taken = self.batches if self.ingest_status == 200 else self.refused
            taken.append(decode(asked.body))
            self.changed.notify_all()
        return response(b"{}", self.ingest_status)

    async def until(self, reached: Callable[[], object]) -> None:
        async with asyncio.timeout(BOUND_S), self.changed:
            await self.changed.wait_for(lambda: bool(reached()))

    def ticks_refused(self) -> int:
        return sum(len(batch.ticks) for batch in self.refused)

    def legs(self) -> set[str]:
        return {str(tick.leg) for batch in self.batches for tick in batch.ticks}


@asynccontextmanager
async def collecting(world: World, stop: asyncio.Event) -> AsyncIterator[None]:
    """The process at work against the world; stopped at the end."""
    async with AsyncExitStack() as servers:
        base_urls = {name: await servers.enter_async_context(serving(world.venue(name))) for name in VENUES}
        core_url = await servers.enter_async_context(serving(world.core))
        async with asyncio.TaskGroup() as group, asyncio.timeout(2 * BOUND_S):
            group.create_task(
                collect(core_url=core_url, signer=world.key, stop=stop, base_urls=base_urls, pace=PACE)
            )
            yield
            stop.set()


@pytest.fixture
def stop() -> asyncio.Event:
    return asyncio.Event()


ALL_LEGS = {str(leg) for venue in VENUES for leg in legs_of(venue)}


async def test_every_leg_of_every_venue_reaches_the_core_signed_and_in_order(stop: asyncio.Event) -> None:
    world = World()
    async with collecting(world, stop):
        await world.until(lambda: world.legs() == ALL_LEGS and len(world.batches) > 4)
    sequences = [batch.sequence for batch in world.batches]
    assert sequences == sorted(set(sequences))
    assert {report.venue for report in world.batches[-1].reports} == set(VENUES)
    assert world.batches[-1].ticks_dropped == 0


async def test_a_silent_venue_does_not_silence_the_others(stop: asyncio.Event) -> None:
    world = World(silent=frozenset({"okx"}))
    expected = {leg for leg in ALL_LEGS if not leg.startswith("okx:")}
    async with collecting(world, stop):
        await world.until(lambda: any(_state(batch, "okx") for batch in world.batches))
    assert world.legs() == expected


def _state(batch: Batch, venue: str) -> bool:
    return any(report.venue == venue and report.state is VenueState.FAILING for report in batch.reports)


async def test_batches_that_the_core_cannot_take_are_sent_again_in_order(stop: asyncio.Event) -> None:
    world = World(ingest_status=503)
    async with collecting(world, stop):
        await world.until(lambda: len(world.refused) >= 3)
        world.ingest_status = 200
        await world.until(lambda: len(world.batches) >= 3)
    assert len({batch.sequence for batch in world.refused}) == 1
    assert world.batches[0].sequence == world.refused[0].sequence
    assert world.batches[0].ticks == world.refused[0].ticks
    assert world.batches[0].sent_at > world.refused[0].sent_at
    sequences = [batch.sequence for batch in world.batches]
    assert sequences == sorted(set(sequences))
    assert world.batches[-1].ticks_dropped == 0


async def test_a_batch_refused_for_good_is_counted_and_the_next_ones_go(stop: asyncio.Event) -> None:
    world = World(ingest_status=422)
    async with collecting(world, stop):
        await world.until(lambda: len(world.refused) >= 2)
        world.ingest_status = 200
        await world.until(lambda: world.batches and world.batches[-1].ticks_dropped == world.ticks_refused())
    assert not {batch.sequence for batch in world.refused} & {batch.sequence for batch in world.batches}
    assert world.ticks_refused() > 0


async def test_on_stop_what_was_collected_is_delivered(stop: asyncio.Event) -> None:
    world = World()
    with structlog.testing.capture_logs() as logs:
        async with collecting(world, stop):
            await world.until(lambda: world.batches)
    stopped = next(entry for entry in logs if entry["event"] == "collector_stopped")
    assert (stopped["batches_lost"], stopped["ticks_lost"]) == (0, 0)


async def test_a_core_that_is_away_does_not_hold_up_the_stop(stop: asyncio.Event) -> None:
    world = World(ingest_status=503)
    with structlog.testing.capture_logs() as logs:
        async with collecting(world, stop):
            await world.until(lambda: world.refused)
            began = time.monotonic()
            stop.set()
    assert time.monotonic() - began < 4.0
    stopped = next(entry for entry in logs if entry["event"] == "collector_stopped")
    assert stopped["ticks_lost"] > 0


async def test_the_log_tells_a_state_once(stop: asyncio.Event) -> None:
    world = World(silent=frozenset({"kraken"}))
    with structlog.testing.capture_logs() as logs:
        async with collecting(world, stop):
            await world.until(lambda: any(_state(batch, "kraken") for batch in world.batches))
    told = [(entry["venue"], entry["state"]) for entry in logs if entry["event"] == "venue_state_changed"]
    assert ("okx", "healthy") in told
    assert ("kraken", "failing") in told
    assert told.count(("okx", "healthy")) == 1


async def test_the_log_tells_a_kind_of_refused_row_once_a_minute(stop: asyncio.Event) -> None:
    world = World(crossed=frozenset({"okx"}))

    def crossed_rows() -> int:
        reports = world.batches[-1].reports if world.batches else ()
        return sum(sum(report.refused.values()) for report in reports if report.venue == "okx")

    with structlog.testing.capture_logs() as logs:
        async with collecting(world, stop):
            await world.until(lambda: crossed_rows() >= 2 * len(legs_of("okx")))
    told = [entry for entry in logs if entry["event"] == "row_refused"]
    assert [(entry["venue"], entry["reason"]) for entry in told] == [("okx", "crossed_book")]


async def test_an_unknown_venue_is_refused_at_once(stop: asyncio.Event) -> None:
    with pytest.raises(ValueError, match="mtgox"):
        await collect(core_url="http://127.0.0.1:1", signer=Key(), stop=stop, venues=["mtgox"])
