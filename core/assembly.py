"""The parts of a core, built and passed to each other. The only place where storage, bus and API meet.

Knows which parts there are and what each holds on to. Runs nothing: that is `core.app`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import asyncpg
import numpy as np
import structlog
from prometheus_client import CollectorRegistry, Counter

from core.aggregation.estimates import FeedState
from core.aggregation.window import Window
from core.api.gate import Gateway
from core.api.services import Services
from core.bus import InProcessBus, RedisBus
from core.columns import TickColumns
from core.ftso.identities import Address
from core.ingest import Ingest, IngestMetrics
from core.keys import KnownKeys, verify
from core.learning import Learning
from core.messages import encode_pass, message_of
from core.networks import network_of, provider_name
from core.parts import about, bus_of, gateway_of, signer_of
from core.portal import STATIC
from core.ports import StoreUnavailable
from core.publish import Publisher, PublishMetrics
from core.rounds import FrozenRounds
from core.routes import RouteMetrics, Routes
from core.settings import Settings
from core.signed.passes import PassSigner
from core.snapshot.snapshot import OBJECT
from core.snapshot.writer import SnapshotMetrics, SnapshotWriter
from core.storage.estimates import PostgresEstimateStore
from core.storage.maintenance import Retention, maintain
from core.storage.market import claim_market
from core.storage.metrics import StorageMetrics
from core.storage.migrate import migrate
from core.storage.pool import connector, unavailable_when_down
from core.storage.provider import PostgresScores
from core.storage.rounds import PostgresRoundStore
from core.storage.shadow import PostgresShadowStore
from core.storage.ticks import PostgresTickStore
from core.storage.venues import PostgresVenueStore
from core.trades import NewTrades
from core.upkeep import Upkeep
from core.venue_board import Board, BoardMetrics
from core.volumes import VolumeBook

LATE_PASS_S: Final = 5.0
SEQUENCES_PER_S_MAX: Final = 100
"""Twice the most passes a second that the settings allow: no sequence of a run comes again in the next."""

log = structlog.get_logger()


@dataclass(slots=True)
class Core:
    """The parts of a core. `database` is "ok", or what is wrong with it; `prepared` once it was."""

    window: Window
    learning: Learning
    volumes: VolumeBook
    board: Board
    routes: Routes
    bus: InProcessBus | RedisBus
    ticks: PostgresTickStore
    estimates: PostgresEstimateStore
    venues: PostgresVenueStore
    publisher: Publisher
    rounds: FrozenRounds
    ingest: Ingest
    gateway: Gateway
    upkeep: Upkeep
    round_book: PostgresScores | None
    shadow_book: PostgresShadowStore
    signer: PassSigner
    snapshots: SnapshotWriter | None
    database: str = "not tried yet"
    prepared: asyncio.Event = field(default_factory=asyncio.Event)

    def services(self, settings: Settings, registry: CollectorRegistry) -> Services:
        """What the API is given."""
        return Services(
            ingest=self.ingest,
            latest=lambda: self.publisher.latest,
            last_pass=lambda: self.publisher.message,
            estimates=self.estimates,
            rounds=self.rounds,
            volumes=self._traded,
            venues=self.board.reports,
            routes=self.routes,
            bus=self.bus,
            ready=self.ready,
            clock=time.time,
            registry=registry,
            about=about(settings, registry),
            portal_dir=STATIC,
            round_book=self.round_book,
            shadow_book=self.shadow_book,
            gateway=self.gateway,
            cors_origins=settings.cors_origins,
            price_signer=self.signer,
            learning=self.learning,
        )

    def ready(self) -> Mapping[str, tuple[bool, str]]:
        """Whether prices can be relied on, from memory."""
        latest = self.publisher.latest
        live = 0 if latest is None else int(np.count_nonzero(latest.state == FeedState.LIVE))
        late_s = float("inf") if latest is None else time.time() - latest.at
        bus_up = not isinstance(self.bus, RedisBus) or self.bus.connected
        # Housekeeping looks every half minute; the store of ticks knows at once.
        away = self.database == "ok" and not self.ticks.connected
        database = "the store of ticks is not connected" if away else self.database
        return {
            "estimates": (late_s < LATE_PASS_S, f"the last pass was {late_s:.1f} s ago"),
            "feeds": (live > 0, f"{live} feeds are live"),
            "database": (database == "ok", database),
            "bus": (bus_up, "connected" if bus_up else "Redis is away"),
        }

    async def prepare(self, pool: asyncpg.Pool, settings: Settings) -> bool:
        """Bring the database to this release's layout, once, and do its housekeeping; False while it is away.

        Nothing is stored before: rows must not come while the partitions of their day are made.
        """
        retention = Retention(settings.tick_retention_days, settings.estimate_retention_days)
        try:
            with unavailable_when_down():
                async with pool.acquire() as connection:
                    if not self.prepared.is_set():
                        applied = await migrate(connection)
                        await claim_market(connection, settings.market)
                        log.info("database_ready", migrations_applied=len(applied))
                    await maintain(connection, time.time(), retention)
        except StoreUnavailable as error:
            self.database = error.detail
            log.warning("database_unavailable", detail=error.detail)
            return False
        self.database = "ok"
        self.prepared.set()
        return True

    def _traded(self, feed: str, window_s: int, at: float) -> Mapping[str, float]:
        latest = self.publisher.latest
        return self.volumes.traded(feed, window_s, at, {} if latest is None else latest.conversion)


def assemble(settings: Settings, registry: CollectorRegistry, pool: asyncpg.Pool, dsn: str) -> Core:
    """Build the parts and pass them to each other. Nothing runs yet."""
    storage_metrics = StorageMetrics(registry)
    window, volumes, board = Window(), VolumeBook(), Board(BoardMetrics(registry))
    routes = Routes(window.routes, RouteMetrics(registry))
    bus = bus_of(settings, registry)
    ticks = PostgresTickStore(connector(dsn), storage_metrics)
    estimates = PostgresEstimateStore(pool, storage_metrics)
    network, round_book = network_of(settings), _round_book(settings, pool)
    commit_offset_s = settings.commit_offset_s * network.voting_epoch_s / 90
    learning = Learning(
        window,
        file=settings.memory_file,
        rounds=round_book,
        commit_at=lambda voting_round: network.start_of(voting_round) + commit_offset_s,
        clock=time.time,
        registry=registry,
        after=int(time.time() * SEQUENCES_PER_S_MAX),
    )
    publisher = Publisher(
        aggregates=learning,
        bus=bus,
        store=estimates,
        tell=message_of,
        encode=encode_pass,
        clock=time.time,
        metrics=PublishMetrics(registry),
        interval_s=settings.estimate_interval_s,
        store_interval_s=settings.store_interval_s,
    )
    rounds = FrozenRounds(
        timing=network,
        commit_offset_s=commit_offset_s,
        latest=lambda: publisher.latest,
        store=PostgresRoundStore(pool),
        registry=registry,
    )
    ingest = Ingest(
        ring=KnownKeys(settings.known_keys_file).ring,
        verify=verify,
        window=_Windows(window, volumes, registry),
        board=board,
        routes=routes,
        store=ticks,
        metrics=IngestMetrics(registry),
        freshness_s=settings.freshness_s,
        on_ticks=publisher.poke,
    )
    venues = PostgresVenueStore(pool, storage_metrics)
    gateway, upkeep = gateway_of(settings, registry, pool)
    signer = signer_of(settings)
    return Core(
        window,
        learning,
        volumes,
        board,
        routes,
        bus,
        ticks,
        estimates,
        venues,
        publisher,
        rounds,
        ingest,
        gateway,
        upkeep,
        round_book,
        PostgresShadowStore(pool),
        signer,
        _snapshots(settings, signer, publisher, registry),
    )


class _Windows:
    """The window of the estimates and the book of volumes, as ingest sees them; each trade counts once."""

    def __init__(self, window: Window, volumes: VolumeBook, registry: CollectorRegistry) -> None:
        self._window, self._volumes, self._new_trades = window, volumes, NewTrades()
        self._repeated = Counter(
            "chrono_trades_repeated", "Trades that an earlier batch had told", registry=registry
        )

    def apply(self, ticks: TickColumns, at: float, route: int) -> None:
        new = self._new_trades.of(ticks)
        self._repeated.inc(len(ticks) - len(new))
        self._window.apply(new, at, route)
        self._volumes.apply(new, at)

    def hear(self, venue: str, at: float) -> None:
        self._window.hear(venue, at)


def _round_book(settings: Settings, pool: asyncpg.Pool) -> PostgresScores | None:
    """The records of the provider whose submit address is configured."""
    if settings.submit_address is None:
        return None
    address = Address.of(settings.submit_address)
    return PostgresScores(pool, provider_name(network_of(settings), address))


def _snapshots(
    settings: Settings, signer: PassSigner, publisher: Publisher, registry: CollectorRegistry
) -> SnapshotWriter | None:
    """Writes snapshots to the bucket that is configured, if one is."""
    access = settings.snapshot_access
    if access is None:
        return None
    from core.snapshot.s3 import S3Objects  # noqa: PLC0415 - a core without a bucket need not wait for boto3

    return SnapshotWriter(
        last_pass=lambda: publisher.message,
        signer=signer,
        objects=S3Objects(*access),
        name=settings.snapshot_prefix + OBJECT,
        clock=time.time,
        metrics=SnapshotMetrics(registry),
        interval_s=settings.snapshot_interval_s,
    )
