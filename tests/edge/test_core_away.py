"""The core is away and comes back: what the Worker keeps, how it delivers, and what it says it lost."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from infra.edge.prepare import Prepared
from tests.edge.workerd import Workerd, running
from tests.edge.world import Key, World, group_of, open_world, total, waiting

pytestmark = pytest.mark.timeout(300)  # a cold start takes 4 s, or 25 s on a machine at work

FAST = {"INTERVAL_S": 1, "QUEUE_RETRY_S": 1}


def backlog(status: dict[str, object], name: str) -> dict[str, int]:
    return dict(group_of(status, name)["backlog"])


async def stop_collecting(worker: Workerd, admin: Key) -> None:
    """No more cycles than it takes to deliver what waits."""
    answer = await worker.web.post("/admin", json=admin.command("pause", worker.now_ms()))
    assert answer.status_code == 200, answer.text


def assert_each_once_and_in_order(world: World) -> None:
    """No batch came twice, and each group's came in the order in which they were made."""
    for venue in ("kraken", "binance"):
        sequences = world.core.sequences(venue)
        assert sequences == sorted(set(sequences))


async def test_every_tick_arrives_once_and_in_order_through_storage_and_queue(
    prepared: Prepared, tmp_path: Path
) -> None:
    admin = Key()
    variables = {**FAST, "STORED_BATCHES_MAX": 3, "QUEUED_BATCHES_MAX": 50, "ADMIN_KEYS": [admin.text]}
    async with (
        open_world() as world,
        running(
            prepared,
            tmp_path,
            variables=variables,
            secrets={"COLLECTOR_KEY": world.key.secret},
            routes=world.routes(),
        ) as worker,
    ):
        await worker.tick_cron()
        await world.core.until(lambda: len(world.core.batches) >= 4)
        await worker.route(world.routes(core=None))
        await worker.until(
            lambda told: all(backlog(told, name)["queued"] >= 3 for name in ("asia", "america"))
        )
        await worker.route(world.routes())
        await worker.until(
            lambda told: all(not backlog(told, name)["queued"] for name in ("asia", "america"))
        )
        await stop_collecting(worker, admin)
        status = await worker.until(lambda told: waiting(told) == 0)
    assert_each_once_and_in_order(world)
    assert (total(status, "dropped"), total(status, "refused_by_core")) == (0, 0)
    assert total(status, "delivered") == world.core.ticks()
    gaps = {leg: times for leg, times in _receipts(world).items() if len(times) != len(set(times))}
    assert gaps == {}


def _receipts(world: World) -> dict[str, list[float]]:
    receipts: dict[str, list[float]] = {}
    for batch in world.core.batches:
        for tick in batch.ticks:
            receipts.setdefault(str(tick.leg), []).append(tick.received_at)
    return receipts


async def test_what_is_dropped_at_the_bound_is_counted_and_said(prepared: Prepared, tmp_path: Path) -> None:
    admin = Key()
    variables = {**FAST, "STORED_BATCHES_MAX": 2, "QUEUED_BATCHES_MAX": 1, "ADMIN_KEYS": [admin.text]}
    async with (
        open_world() as world,
        running(
            prepared,
            tmp_path,
            variables=variables,
            secrets={"COLLECTOR_KEY": world.key.secret},
            routes=world.routes(core=None),
        ) as worker,
    ):
        await worker.tick_cron()
        await worker.until(lambda told: group_of(told, "asia")["batches"]["dropped"] >= 2)
        await worker.route(world.routes())
        dropped = total(await worker.status(), "dropped")
        await world.core.until(lambda: len(world.core.batches) >= 12)
        await stop_collecting(worker, admin)
        status = await worker.until(lambda told: waiting(told) == 0)
    assert total(status, "dropped") >= dropped > 0
    assert total(status, "delivered") == world.core.ticks()
    assert_each_once_and_in_order(world)
    last = {batch.reports[0].venue: batch.ticks_dropped for batch in world.core.batches}
    assert sum(last.values()) == total(status, "dropped")


async def test_a_backlog_outlives_the_worker_and_the_key_that_began_it(
    prepared: Prepared, tmp_path: Path
) -> None:
    """A new deployment with a new key: what is left of the former one is still signed by the former key."""
    persist, following = tmp_path / "objects", Key()
    async with open_world() as world:
        async with running(
            prepared,
            tmp_path,
            variables=FAST,
            secrets={"COLLECTOR_KEY": world.key.secret},
            routes=world.routes(core=None),
            persist=persist,
        ) as worker:
            await worker.tick_cron()
            await worker.until(
                lambda told: all(backlog(told, name)["stored"] >= 2 for name in ("asia", "america"))
            )
        world.core.keys.append(following)
        async with running(
            prepared,
            tmp_path,
            variables=FAST,
            secrets={"COLLECTOR_KEY": following.secret, "COLLECTOR_KEY_FORMER": world.key.secret},
            routes=world.routes(),
            persist=persist,
        ) as worker:
            await world.core.until(
                lambda: {batch.key_id for batch in world.core.batches} == {world.key.id, following.id}
            )
            await world.core.until(lambda: len(world.core.batches) >= 10)
            status = await worker.status()
    assert world.core.refusals == []
    assert group_of(status, "asia")["key_id"] == following.id.hex()
    assert sum(batch.key_id == world.key.id for batch in world.core.batches) >= 4
    assert_each_once_and_in_order(world)
    assert total(status, "dropped") == 0


async def test_the_watchdog_wakes_a_group_whose_alarm_was_lost(prepared: Prepared, tmp_path: Path) -> None:
    persist = tmp_path / "objects"
    async with open_world() as world:

        def starting() -> AbstractAsyncContextManager[Workerd]:
            return running(
                prepared,
                tmp_path,
                variables=FAST,
                secrets={"COLLECTOR_KEY": world.key.secret},
                routes=world.routes(),
                persist=persist,
            )

        async with starting() as worker:
            await worker.tick_cron()
            await world.core.until(lambda: len(world.core.batches) >= 4)
        assert lose_alarms(persist) >= 2
        async with starting() as worker:
            status = await worker.status()
            world.core.batches.clear()
            await asyncio.sleep(3 * FAST["INTERVAL_S"])
            assert not world.core.batches
            await worker.tick_cron()
            await world.core.until(lambda: len(world.core.batches) >= 4)
    assert group_of(status, "asia")["cycles"] == 0


def lose_alarms(persist: Path) -> int:
    """Take the alarms out of the objects' storage, as the runtime keeps them; returns how many there were."""
    lost = 0
    for file in persist.rglob("*.sqlite"):
        with closing(sqlite3.connect(file)) as database, database:
            tables = {name for (name,) in database.execute("select name from sqlite_master")}
            if "_cf_ALARM" in tables:
                database.execute("delete from _cf_ALARM")
            elif "_cf_METADATA" in tables:
                lost += database.execute("delete from _cf_METADATA where key = 1").rowcount
    return lost
