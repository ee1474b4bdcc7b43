"""Passes go to memory, bus and store, in this order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from core.aggregation.estimates import Estimates
from core.messages import PassMessage
from core.ports import Candle, Point, StoreUnavailable
from core.publish import STORE_QUEUE_MAX, Publisher, PublishMetrics
from tests.fakes.estimates import flat_estimates

AT = 1_800_000_000.0


class RisingMarket:
    """Each pass is one dollar higher."""

    def __init__(self) -> None:
        self.passes = 0

    def estimate(self, at: float) -> Estimates:
        self.passes += 1
        return flat_estimates(at, 100.0 + self.passes, sequence=self.passes)


@dataclass
class FakeBus:
    messages: list[bytes] = field(default_factory=list)

    async def publish(self, message: bytes) -> None:
        self.messages.append(message)

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        raise NotImplementedError


@dataclass
class FakeEstimates:
    stored: list[Estimates] = field(default_factory=list)
    down: bool = False
    tried: asyncio.Event = field(default_factory=asyncio.Event)

    async def append(self, estimates: Estimates) -> None:
        self.tried.set()
        if self.down:
            raise StoreUnavailable("down", 0.0)
        self.stored.append(estimates)

    async def points(self, feed: str, start: float, end: float, limit: int) -> Sequence[Point]:
        return []

    async def candles(
        self, feed: str, interval_s: int, start: float, end: float, limit: int
    ) -> Sequence[Candle]:
        return []

    async def prices_near(self, at: float) -> Mapping[str, tuple[float, float]]:
        return {"BTC/USD": (at, 50.0)}


def told(made: Estimates, reference: Mapping[str, tuple[float, float]]) -> PassMessage:
    return PassMessage(made.sequence, made.at, {"changes": b"%d" % len(reference)})


class Desk:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.bus, self.store = FakeBus(), FakeEstimates()
        self.publisher = Publisher(
            aggregates=RisingMarket(),
            bus=self.bus,
            store=self.store,
            tell=told,
            encode=lambda message: b"%d %b" % (message.sequence, message.fragments["changes"]),
            clock=lambda: AT,
            metrics=PublishMetrics(self.registry),
            interval_s=0.0,
            store_interval_s=1.0,
        )


@pytest.fixture
def desk() -> Desk:
    return Desk()


async def store_all(desk: Desk, passes: int) -> None:
    """Run the store's loop until it has written what is queued."""
    task = asyncio.create_task(desk.publisher.run_store())
    while len(desk.store.stored) < passes:
        await asyncio.sleep(0)
    task.cancel()


async def test_a_pass_is_remembered_and_published_at_once(desk: Desk) -> None:
    made = await desk.publisher.make_pass(AT)
    assert desk.publisher.latest is made
    assert desk.bus.messages == [b"1 0"]
    assert desk.registry.get_sample_value("chrono_feeds", {"state": "live"}) == 63


async def test_volume_between_stored_passes_is_summed_not_lost(desk: Desk) -> None:
    for tenth in range(21):
        await desk.publisher.make_pass(AT + tenth / 10)
    await store_all(desk, 3)
    assert [estimates.sequence for estimates in desk.store.stored] == [1, 11, 21]
    assert [float(estimates.volume[0]) for estimates in desk.store.stored] == [2, 20, 20]
    assert np.allclose(
        sum(estimates.notional[0] for estimates in desk.store.stored), sum(2 * (101 + n) for n in range(21))
    )


async def test_passes_go_on_and_wait_in_order_while_the_store_is_down(desk: Desk) -> None:
    desk.store.down = True
    task = asyncio.create_task(desk.publisher.run_store())
    for second in range(5):
        await desk.publisher.make_pass(AT + second)
    await desk.store.tried.wait()
    assert len(desk.bus.messages) == 5
    desk.store.down = False
    while len(desk.store.stored) < 5:
        await asyncio.sleep(0)
    task.cancel()
    assert [estimates.sequence for estimates in desk.store.stored] == [1, 2, 3, 4, 5]


async def test_what_a_full_queue_loses_is_the_oldest_and_is_counted(desk: Desk) -> None:
    for second in range(STORE_QUEUE_MAX + 3):
        await desk.publisher.make_pass(AT + second)
    assert desk.registry.get_sample_value("chrono_estimates_lost_total") == 3
    await store_all(desk, STORE_QUEUE_MAX)
    assert desk.store.stored[0].sequence == 4


async def test_new_ticks_bring_a_pass_without_waiting_for_the_second(desk: Desk) -> None:
    task = asyncio.create_task(desk.publisher.run_passes())
    desk.publisher.poke()
    async with asyncio.timeout(0.9):
        while not desk.bus.messages:
            await asyncio.sleep(0)
    task.cancel()
    assert desk.registry.get_sample_value("chrono_tick_to_publish_seconds_count") == 1
