"""In-memory services for the API's tests: small, true to the ports, and open to the tests."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from prometheus_client import CollectorRegistry

from chrono.batch import read_header
from chrono.feeds import FEEDS, LEGS
from chrono.venue_state import VenueReport, VenueState
from core.aggregation.estimates import Estimates, FeedState, LegColumns, LegReason
from core.api.gate import Gateway
from core.api.services import Services
from core.bus import InProcessBus
from core.gateway.callers import LOOPBACK, Places
from core.gateway.entrance import Entrance, Event
from core.gateway.limiter import LocalLimiter
from core.gateway.meter import Meter
from core.messages import PassMessage, encode_pass, message_of
from core.ports import (
    Candle,
    HeardReport,
    Point,
    Receipt,
    RoundMissed,
    RoundNotOpen,
    RouteReport,
    SequenceConflict,
    StoreUnavailable,
)
from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.upkeep import GatewayMetrics, Upkeep
from tests.fakes.accounts import FakeAccounts
from tests.fakes.learning import FakeLearning

ADMIN_TOKEN = "the-operator's-own-token-of-the-tests"
NOW = 1_790_000_000.0


def estimates_at(at: float = NOW, sequence: int = 1, btc: float = 64_000.0) -> Estimates:
    """A pass in which every feed is live at `btc` times 0.9 per place in the table."""
    price = btc * 0.9 ** np.arange(len(FEEDS), dtype=np.float64)
    place = np.repeat(np.arange(len(FEEDS)), [len(feed.legs) for feed in FEEDS])
    legs_of_feed = np.bincount(place)
    legs = LegColumns(
        price=price[place],
        weight=1.0 / legs_of_feed[place],
        age_s=np.full(len(LEGS), 0.5),
        reason=np.full(len(LEGS), LegReason.USED, np.int8),
    )
    return Estimates(
        sequence=sequence,
        at=at,
        price=price,
        band_low=price * 0.999,
        band_high=price * 1.001,
        median=price.copy(),
        vwap=price.copy(),
        twap=price.copy(),
        volume=np.ones(len(FEEDS)),
        notional=price.copy(),
        age_s=np.full(len(FEEDS), 0.25),
        estimated_at=np.full(len(FEEDS), at),
        venues_used=np.array([len({leg.venue for leg in feed.legs}) for feed in FEEDS], np.int16),
        state=np.full(len(FEEDS), FeedState.LIVE, np.int8),
        legs=legs,
        conversion={"USDT": 1.0, "USDC": 1.0},
    )


def message_at(at: float = NOW, sequence: int = 1, btc: float = 64_000.0) -> PassMessage:
    """The same pass as it is told."""
    return message_of(estimates_at(at, sequence, btc), {})


def encoded_at(at: float = NOW, sequence: int = 1, btc: float = 64_000.0) -> bytes:
    """The same pass as the bus carries it."""
    return encode_pass(message_at(at, sequence, btc))


def without(estimates: Estimates, feed: str, reason: LegReason, *, keep_price: bool) -> Estimates:
    """The pass with one feed stale at its last price, or without any."""
    index = next(i for i, each in enumerate(FEEDS) if each.name == feed)
    state, price, reasons = estimates.state.copy(), estimates.price.copy(), estimates.legs.reason.copy()
    state[index] = FeedState.STALE if keep_price else FeedState.NONE
    if not keep_price:
        price[index] = np.nan
    reasons[np.array([leg in FEEDS[index].legs for leg in LEGS])] = reason
    return replace(estimates, state=state, price=price, legs=replace(estimates.legs, reason=reasons))


class FakeIngest:
    """Commits every batch whose header reads, once."""

    def __init__(self) -> None:
        self.committed: dict[tuple[bytes, int], tuple[bytes, Receipt]] = {}
        self.fails_with: Exception | None = None

    async def receive(self, sealed: bytes, at: float) -> Receipt:
        if self.fails_with:
            raise self.fails_with
        header = read_header(sealed)
        key = (header.key_id, header.sequence)
        digest = hashlib.sha256(sealed).digest()
        if key in self.committed:
            known, receipt = self.committed[key]
            if known != digest:
                raise SequenceConflict(header.key_id.hex(), header.sequence)
            return replace(receipt, duplicate=True)
        receipt = Receipt(header.tick_count, {"malformed": 2, "crossed_book": 1}, duplicate=False)
        self.committed[key] = (digest, receipt)
        return receipt


class FakeEstimateStore:
    """A past with a point a second and a candle an interval, unless it is down."""

    def __init__(self) -> None:
        self.fails_with: StoreUnavailable | None = None

    async def append(self, estimates: Estimates) -> None:
        self._check()

    async def points(self, feed: str, start: float, end: float, limit: int) -> Sequence[Point]:
        self._check()
        first, last = int(np.ceil(start)), int(np.ceil(end))
        times = range(first, min(last, first + limit))
        return [Point(float(at), 100.0 + at % 7, 99.0, 107.5, None, 101.0, 4) for at in times]

    async def candles(
        self, feed: str, interval_s: int, start: float, end: float, limit: int
    ) -> Sequence[Candle]:
        self._check()
        first = int(np.ceil(start / interval_s)) * interval_s
        starts = range(first, int(np.ceil(end)), interval_s)
        return [Candle(float(at), 100.0, 103.0, 99.0, 101.0, None, 12.5) for at in starts[:limit]]

    async def prices_near(self, at: float) -> Mapping[str, tuple[float, float]]:
        self._check()
        return {}

    def _check(self) -> None:
        if self.fails_with:
            raise self.fails_with


class FakeRounds:
    """Round 1 is frozen, round 0 was missed, every other is still to come."""

    async def values(self, voting_round: int, at: float) -> Mapping[str, float]:
        if voting_round == 0:
            raise RoundMissed(voting_round)
        if voting_round > 1:
            raise RoundNotOpen(voting_round, at + 90.0)
        return {"BTC/USD": 64_000.125, "ETH/USD": 3_100.5}


class FakeRoutes:
    """One collector, by which every leg came but the first."""

    def reports(self) -> Sequence[RouteReport]:
        return [RouteReport("local", "00ff00ff00ff00ff", NOW - 2, NOW - 2.5, len(LEGS) - 1, 7, 900, 3, 0.01)]

    def of_legs(self) -> Sequence[str | None]:
        return [None, *["local"] * (len(LEGS) - 1)]

    def name(self, key_id: str) -> str:
        return {"00ff00ff00ff00ff": "local"}.get(key_id, key_id)


@dataclass
class World:
    """What the tests turn; `services` is what the API sees of it."""

    portal_dir: Path | None = None
    now: float = NOW
    estimates: Estimates | None = field(default_factory=estimates_at)
    reference: dict[str, tuple[float, float]] = field(default_factory=dict)
    checks: dict[str, tuple[bool, str]] = field(default_factory=lambda: {"database": (True, "PostgreSQL")})
    ingest: FakeIngest = field(default_factory=FakeIngest)
    store: FakeEstimateStore = field(default_factory=FakeEstimateStore)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    anonymous: bool = True
    accounts: FakeAccounts = field(default_factory=FakeAccounts)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.bus = InProcessBus(self.registry)
        entropy = random.Random(7)
        self.entrance = Entrance(
            limiter=LocalLimiter(lambda: self.now),
            meter=Meter(lambda: entropy.randbytes(16)),
            clock=lambda: self.now,
            anonymous=self.anonymous,
            admin_token=ADMIN_TOKEN,
            tell=self.events.append,
        )
        self.gateway = Gateway(self.entrance, self.accounts, Places(LOOPBACK), entropy.randbytes, hold_s=0.0)
        self.upkeep = Upkeep(
            self.entrance, self.accounts, lambda: self.now, GatewayMetrics(CollectorRegistry())
        )

    def services(self) -> Services:
        return Services(
            ingest=self.ingest,
            latest=lambda: self.estimates,
            last_pass=lambda: None if self.estimates is None else message_of(self.estimates, self.reference),
            estimates=self.store,
            rounds=FakeRounds(),
            volumes=self.volumes,
            venues=self.venues,
            routes=FakeRoutes(),
            bus=self.bus,
            ready=lambda: self.checks,
            clock=lambda: self.now,
            registry=self.registry,
            portal_dir=self.portal_dir,
            gateway=self.gateway,
            price_signer=PassSigner(PriceKey(bytes(31) + b"\x01"), 14),
            learning=FakeLearning(),
        )

    def volumes(self, feed: str, window_s: int, at: float) -> Mapping[str, float]:
        return {"kraken": 10.0 * window_s, "okx": 2.5} if feed == "BTC/USD" else {}

    def venues(self, at: float) -> Sequence[HeardReport]:
        banned = VenueReport("binance", VenueState.BANNED, NOW - 60, NOW + 60, 418, 100, 3)
        healthy = VenueReport("kraken", VenueState.HEALTHY, NOW - 600)
        return [HeardReport(report, "00ff00ff00ff00ff", NOW - 2) for report in (banned, healthy)]

    def metric(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(name, labels) or 0.0
