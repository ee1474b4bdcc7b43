"""The process of the core: its parts run as tasks of one group, until it is told to stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

import asyncpg
import structlog
from prometheus_client import CollectorRegistry

from core.api.app import create_api
from core.api.server import serve
from core.api.session import StreamLimits
from core.assembly import Core, assemble
from core.bus import RedisBus
from core.parts import database_of, pool_of
from core.ports import StoreUnavailable
from core.settings import Settings
from core.storage.venues import PostgresVenueStore
from core.tasks import TaskMetrics, keep_running
from core.tidy import Tidy, TidyMetrics
from core.venue_board import Board

MAINTAIN_EVERY_S: Final = 30.0
VENUES_EVERY_S: Final = 1.0
DATABASE_RETRY_S: Final = 2.0
FLUSH_S: Final = 0.5

Work = Callable[[], Awaitable[None]]

log = structlog.get_logger()


async def run_core(
    settings: Settings, stop: asyncio.Event, started: Callable[[int], None] = lambda _: None
) -> None:
    """Run ingest, estimates and the API until `stop` is set; `started` is called with the API's port.

    Starts and goes on without its database. Raises NotConfigured, or OSError when the port is taken.
    """
    dsn, registry = database_of(settings), CollectorRegistry()
    async with pool_of(dsn) as pool:
        parts = assemble(settings, registry, pool, dsn)
        await parts.prepare(pool, settings)
        services = parts.services(settings, registry)
        api = create_api(services, StreamLimits(clients_max=settings.stream_clients))

        def announce(port: int) -> None:
            log.info("core_started", port=port)
            started(port)

        parts.learning.restore()
        await parts.publisher.make_pass(time.time())
        metrics = TaskMetrics(registry)
        tidy = Tidy(lambda: api.state.hub.departed, TidyMetrics(registry))
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(keep_running(name, work, metrics), name=name)
                for name, work in {**_background(parts, pool, settings), "tidy": tidy.run}.items()
            ]
            await serve(
                api,
                settings.host,
                settings.port,
                stop,
                started=announce,
                network_of=parts.gateway.places.counted,
            )
            for task in background:
                task.cancel()
        parts.learning.save()
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(FLUSH_S):
                await parts.publisher.flush()
                await parts.upkeep.store_usage()
    log.info("core_stopped")


def _background(parts: Core, pool: asyncpg.Pool, settings: Settings) -> dict[str, Work]:
    """What runs beside the API, by name. What stores begins once the database is prepared."""

    def prepared(work: Work) -> Work:
        async def run() -> None:
            await parts.prepared.wait()
            await work()

        return run

    work: dict[str, Work] = {
        "passes": parts.publisher.run_passes,
        "ticks": prepared(lambda: _store_ticks(parts)),
        "estimates": prepared(parts.publisher.run_store),
        "reference": prepared(parts.publisher.run_reference),
        "venue_states": prepared(lambda: _keep_venue_states(parts.board, parts.venues)),
        "upkeep": prepared(parts.upkeep.run),
        "rounds": lambda: parts.rounds.run(time.time),
        "memory": parts.learning.run_saving,
        "lessons": prepared(parts.learning.run_lessons),
        "database": lambda: _keep_database(parts, pool, settings),
    }
    if isinstance(parts.bus, RedisBus):
        work["bus"] = parts.bus.run
    if parts.snapshots is not None:
        work["snapshots"] = parts.snapshots.run
    return work


async def _store_ticks(parts: Core) -> None:
    async with parts.ticks.running():
        await asyncio.Event().wait()


async def _keep_database(parts: Core, pool: asyncpg.Pool, settings: Settings) -> None:
    """Prepare the database as soon as it answers, then do its housekeeping, until cancelled."""
    while True:
        await asyncio.sleep(MAINTAIN_EVERY_S if parts.database == "ok" else DATABASE_RETRY_S)
        await parts.prepare(pool, settings)


async def _keep_venue_states(board: Board, store: PostgresVenueStore) -> None:
    """Store changes of venues' states until cancelled; what cannot be stored waits in its order."""
    while True:
        await asyncio.sleep(VENUES_EVERY_S)
        changes = board.take_changes()
        for position, heard in enumerate(changes):
            try:
                await store.append(bytes.fromhex(heard.collector), [heard.report], heard.heard_at)
            except StoreUnavailable:
                board.put_back(changes[position:])
                break
