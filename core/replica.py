"""A replica of the public gateway: one process of several behind one port. Its composition root.

Prices come by Redis from the core, keys and history from the database, limits are shared in Redis; what only
the core knows is asked of it. Without Redis or core a replica goes on with the last prices and their age.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from core.api.app import create_replica
from core.api.server import serve_on
from core.api.services import PublicServices
from core.api.session import StreamLimits
from core.api.stream import Hub
from core.bus import RedisBus
from core.messages import is_late
from core.parts import NotConfigured, about, bus_of, database_of, gateway_of, pool_of, signer_of
from core.portal import STATIC
from core.ports import StoreUnavailable
from core.settings import Settings
from core.storage.estimates import PostgresEstimateStore
from core.storage.metrics import StorageMetrics
from core.tasks import TaskMetrics, keep_running
from core.tidy import Tidy, TidyMetrics

FLUSH_S: Final = 0.5
WARM_UP_S: Final = 3.0
"""How long a replica waits for a first pass before it takes connections: others may have had one."""

log = structlog.get_logger()


async def run_replica(
    settings: Settings,
    listener: socket.socket,
    place: int,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda _: None,
) -> None:
    """Serve connections of the listener until `stop` is set. `place` counts replicas from 0.

    Raises NotConfigured. Starts and goes on without its database, its Redis and its core.
    """
    dsn, registry = database_of(settings), CollectorRegistry()
    bus = bus_of(settings, registry)
    if not isinstance(bus, RedisBus):
        raise NotConfigured("REDIS_URL is not set; replicas get their prices through Redis")
    _serve_metrics(settings, place, registry)
    async with pool_of(dsn) as pool:
        gateway, upkeep = gateway_of(settings, registry, pool)
        services = PublicServices(
            estimates=PostgresEstimateStore(pool, StorageMetrics(registry)),
            bus=bus,
            ready=lambda: _ready(api.state.hub, bus, time.time()),
            clock=time.time,
            registry=registry,
            about={**about(settings, registry), "replica": str(place)},
            portal_dir=STATIC,
            gateway=gateway,
            cors_origins=settings.cors_origins,
            price_signer=signer_of(settings),
        )
        limits = StreamLimits(clients_max=settings.stream_clients)
        api = create_replica(services, settings.core_url or _core_beside(settings), limits)
        with suppress(StoreUnavailable):
            await upkeep.turn()  # keys are known before the first caller comes
        metrics = TaskMetrics(registry)
        tidy = Tidy(lambda: api.state.hub.departed, TidyMetrics(registry))
        work = {"bus": bus.run, "upkeep": upkeep.run, "tidy": tidy.run}
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(keep_running(name, run, metrics), name=name) for name, run in work.items()
            ]
            await serve_on(
                api,
                listener,
                stop,
                started=_announcing(place, started),
                limits=limits,
                network_of=gateway.places.counted,
                warm_up=lambda: api.state.hub.first_pass(WARM_UP_S),
            )
            for task in background:
                task.cancel()
        await api.state.forward.aclose()
        with suppress(TimeoutError, StoreUnavailable):
            async with asyncio.timeout(FLUSH_S):
                await upkeep.store_usage()
    log.info("replica_stopped", place=place)


def _announcing(place: int, started: Callable[[int], None]) -> Callable[[int], None]:
    def announce(port: int) -> None:
        log.info("replica_started", place=place, port=port)
        started(port)

    return announce


def _ready(hub: Hub, bus: RedisBus, at: float) -> Mapping[str, tuple[bool, str]]:
    """Whether this replica's prices can be relied on, from memory."""
    last = hub.last_pass
    passes = "none has come" if last is None else f"the last pass was {at - last.at:.1f} s ago"
    return {
        "estimates": (last is not None and not is_late(last, at), passes),
        "bus": (bus.connected, "connected" if bus.connected else "Redis is away"),
    }


def _serve_metrics(settings: Settings, place: int, registry: CollectorRegistry) -> None:
    """Each replica's own metrics, on a port of its own: behind the shared one they would be anybody's."""
    if not settings.gateway_metrics_port:
        return
    port = settings.gateway_metrics_port + place
    try:
        start_http_server(port, "127.0.0.1", registry)
    except OSError as error:
        log.error("metrics_not_served", port=port, detail=error.strerror)


def _core_beside(settings: Settings) -> str:
    return f"http://{settings.host}:{settings.port}"
