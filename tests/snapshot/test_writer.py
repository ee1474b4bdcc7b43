"""The writer: the newest pass, once, never over a newer one, and whatever fails is counted."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass, field

import pytest
from prometheus_client import CollectorRegistry

from core.messages import PassMessage
from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.snapshot.objects import Objects, Order, StoreFailed
from core.snapshot.snapshot import Snapshot, decode_snapshot
from core.snapshot.writer import SnapshotMetrics, SnapshotWriter
from tests.fakes.objects import FakeObjects
from tests.fakes.services import NOW, message_at

KEY = PriceKey(bytes(31) + b"\x07")


@dataclass
class Scene:
    objects: FakeObjects = field(default_factory=FakeObjects)
    latest: PassMessage | None = field(default_factory=message_at)
    now: float = NOW
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def writer(self, objects: Objects | None = None) -> SnapshotWriter:
        return SnapshotWriter(
            last_pass=lambda: self.latest,
            signer=PassSigner(KEY, 14),
            objects=objects or self.objects,
            name="prices/latest.json",
            clock=lambda: self.now,
            metrics=SnapshotMetrics(self.registry),
            interval_s=0.01,
        )

    def held(self) -> Snapshot:
        body = self.objects.get("prices/latest.json")
        assert body is not None
        return decode_snapshot(body, signer=KEY.address, chain_id=14, at=self.now, age_s_max=900)

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0


async def test_each_pass_is_written_once() -> None:
    scene = Scene()
    writer = scene.writer()
    assert [await writer.write(), await writer.write()] == [True, False]
    scene.latest = message_at(NOW + 5, sequence=20)
    assert await writer.write()
    assert scene.held().order == ((NOW + 5) * 1000, 20)
    assert scene.metric("chrono_snapshot_timestamp_seconds") == NOW + 5


async def test_before_the_first_pass_nothing_is_written() -> None:
    assert not await Scene(latest=None).writer().write()


async def test_a_core_that_began_anew_goes_on_from_what_stands_there() -> None:
    scene = Scene()
    await scene.writer().write()
    scene.latest, scene.registry = message_at(NOW + 1, sequence=1), CollectorRegistry()
    assert await scene.writer().write()
    assert scene.held().at == NOW + 1


async def test_an_older_pass_never_replaces_a_newer_one() -> None:
    scene = Scene(latest=message_at(NOW + 10, sequence=2))
    await scene.writer().write()
    scene.latest, scene.registry = message_at(NOW, sequence=900), CollectorRegistry()
    assert not await scene.writer().write()
    assert scene.held().at == NOW + 10
    assert scene.metric("chrono_snapshots_overtaken_total") == 1


async def test_a_snapshot_from_the_future_stands_in_nobody_s_way() -> None:
    scene = Scene(latest=message_at(NOW + 86_400))
    await scene.writer().write()
    scene.latest, scene.registry = message_at(NOW), CollectorRegistry()
    assert await scene.writer().write()
    assert scene.held().at == NOW


async def test_a_store_that_fails_is_counted_and_the_next_pass_is_written() -> None:
    scene = Scene()
    writer = scene.writer()
    scene.objects.fails_with = StoreFailed("unreachable", "away")
    assert not await writer.write()
    assert scene.metric("chrono_snapshot_failures_total", reason="unreachable") == 1
    scene.objects.fails_with = None
    assert await writer.write()


class Contended(FakeObjects):
    """Somebody else writes before each write of ours."""

    def put(self, name: str, body: bytes, order: Order, replaces: str | None) -> str:
        there = self.standing(name)
        super().put(name, b"another's", (1, 1), there.mark if there else None)
        return super().put(name, body, order, replaces)


async def test_who_is_overtaken_again_and_again_gives_up_and_says_so() -> None:
    scene = Scene()
    assert not await scene.writer(Contended()).write()
    assert scene.metric("chrono_snapshot_failures_total", reason="contended") == 1


class Slow(FakeObjects):
    """Takes a write only once the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.let = threading.Event(), threading.Event()

    def put(self, name: str, body: bytes, order: Order, replaces: str | None) -> str:
        self.begun.set()
        assert self.let.wait(10)
        return super().put(name, body, order, replaces)


async def test_a_slow_store_keeps_nobody_waiting_and_is_not_asked_twice() -> None:
    slow, scene = Slow(), Scene()
    running = asyncio.create_task(scene.writer(slow).run())
    while not slow.begun.is_set():
        await asyncio.sleep(0)
    for _ in range(50):  # the loop is free, and no second write begins
        await asyncio.sleep(0.001)
    assert [thread.name for thread in threading.enumerate()].count("in-thread") == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    slow.let.set()
