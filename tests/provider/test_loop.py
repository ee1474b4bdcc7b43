"""A provider's life: one works, one stands by, and a failure of the chain ends nothing."""

from __future__ import annotations

import asyncio
from typing import Any

from prometheus_client import CollectorRegistry

from core.provider.engine import Provider
from core.provider.loop import live
from core.provider.metrics import ProviderMetrics
from core.provider.ports import Ledger
from tests.fakes.ledgers import FakeLedgers
from tests.provider.scene import Scene


async def running(
    scene: Scene, ledgers: FakeLedgers, name: str, made: asyncio.Event, stop: asyncio.Event
) -> None:
    def make(ledger: Ledger) -> Provider:
        made.set()
        return scene.provider(ledger=ledger)

    await live(
        ledgers=ledgers,
        provider="own",
        holder=name,
        make=make,
        clock=lambda: 1_050.0,
        metrics=ProviderMetrics(CollectorRegistry()),
        stop=stop,
    )


async def within(waited: Any) -> None:
    async with asyncio.timeout(10):
        await waited


async def test_a_standby_takes_over_when_the_first_ends_and_not_before() -> None:
    scene, ledgers = Scene(), FakeLedgers()
    first, second, stop_first, stop_second = (asyncio.Event() for _ in range(4))
    async with asyncio.TaskGroup() as group:
        group.create_task(running(scene, ledgers, "first", first, stop_first))
        await within(first.wait())
        group.create_task(running(scene, ledgers, "second", second, stop_second))
        await asyncio.sleep(0)
        assert not second.is_set()
        stop_first.set()
        await within(second.wait())
        stop_second.set()


async def test_a_chain_that_is_away_does_not_end_the_provider() -> None:
    scene, ledgers = Scene(), FakeLedgers()
    scene.world.down = True
    made, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(running(scene, ledgers, "first", made, stop))
        await within(made.wait())
        assert not task.done()
        stop.set()
