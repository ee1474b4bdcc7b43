"""From the window to everybody: passes over all feeds, published once, stored once.

Knows when a pass is due and in which order its result goes out: memory, bus, then the store's queue. A slow
or absent store never delays a pass. Does not know how an estimate is made nor how a message is read.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.aggregation.estimates import Estimates, FeedState
from core.messages import PassMessage
from core.ports import Bus, EstimateStore, StoreUnavailable

QUIET_PASS_S: Final = 1.0
"""A pass is made at least this often, so that ages and staleness move without new ticks."""
STORE_QUEUE_MAX: Final = 300
DAY_S: Final = 86_400.0
REFERENCE_S: Final = 60.0
REFERENCE_FIRST_S: Final = 5.0

Reference = Mapping[str, tuple[float, float]]

log = structlog.get_logger()


class Aggregates(Protocol):
    """Makes a pass over all feeds."""

    def estimate(self, at: float) -> Estimates: ...


class PublishMetrics:
    """How long passes take, how many feeds are live, and what the store's queue lost."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pass_seconds = Histogram(
            "chrono_pass_seconds",
            "One pass over all feeds",
            registry=registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1),
        )
        self.tick_to_publish = Histogram(
            "chrono_tick_to_publish_seconds",
            "First tick of a pass in the window until its estimates are published",
            registry=registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1),
        )
        self.feeds = Gauge("chrono_feeds", "Feeds by state", ["state"], registry=registry)
        self.lost = Counter(
            "chrono_estimates_lost", "Passes that the store's full queue lost", registry=registry
        )
        self.store_failures = Counter(
            "chrono_estimate_store_failures", "Failed writes of estimates", registry=registry
        )


class Publisher:
    """Owns the latest estimates. `poke` says that ticks have come; the loops are run by their owner."""

    def __init__(
        self,
        *,
        aggregates: Aggregates,
        bus: Bus,
        store: EstimateStore,
        tell: Callable[[Estimates, Reference], PassMessage],
        encode: Callable[[PassMessage], bytes],
        clock: Callable[[], float],
        metrics: PublishMetrics,
        interval_s: float,
        store_interval_s: float,
    ) -> None:
        self._aggregates, self._bus, self._store = aggregates, bus, store
        self._tell, self._encode, self._clock, self._metrics = tell, encode, clock, metrics
        self._interval_s, self._store_interval_s = interval_s, store_interval_s
        self._latest: Estimates | None = None
        self._message: PassMessage | None = None
        self._reference: Reference = {}
        self._poked = asyncio.Event()
        self._poked_at: float | None = None
        self._to_store: deque[Estimates] = deque(maxlen=STORE_QUEUE_MAX)
        self._queued = asyncio.Event()
        self._queued_at = -math.inf
        self._summed: Estimates | None = None

    @property
    def latest(self) -> Estimates | None:
        """The estimates of the last pass; None before the first."""
        return self._latest

    @property
    def message(self) -> PassMessage | None:
        """The last pass as it was told; None before the first."""
        return self._message

    def poke(self) -> None:
        """Ticks are in the window: the next pass is due as soon as the interval allows."""
        if self._poked_at is None:
            self._poked_at = self._clock()
        self._poked.set()

    async def run_passes(self) -> None:
        """Make passes until cancelled: after new ticks, at most one an interval, at least one a second."""
        while True:
            try:
                async with asyncio.timeout(QUIET_PASS_S):
                    await self._poked.wait()
            except TimeoutError:
                pass
            self._poked.clear()
            await self.make_pass(self._clock())
            await asyncio.sleep(self._interval_s)

    async def make_pass(self, at: float) -> Estimates:
        """One pass: estimate, remember, publish, queue for the store."""
        with self._metrics.pass_seconds.time():
            estimates = self._aggregates.estimate(at)
        self._latest, self._message = estimates, self._tell(estimates, self._reference)
        await self._bus.publish(self._encode(self._message))
        if self._poked_at is not None:
            self._metrics.tick_to_publish.observe(max(0.0, self._clock() - self._poked_at))
            self._poked_at = None
        for state in FeedState:
            self._metrics.feeds.labels(state.name.lower()).set(int((estimates.state == state).sum()))
        self._queue(estimates)
        return estimates

    def _queue(self, estimates: Estimates) -> None:
        """Sum what was traded since the last stored pass, and queue a pass a store interval."""
        if self._summed is not None:
            estimates = replace(
                estimates,
                volume=estimates.volume + self._summed.volume,
                notional=estimates.notional + self._summed.notional,
            )
        if estimates.at - self._queued_at < self._store_interval_s:
            self._summed = estimates
            return
        if len(self._to_store) == STORE_QUEUE_MAX:
            self._metrics.lost.inc()
        self._queued_at, self._summed = estimates.at, None
        self._to_store.append(estimates)
        self._queued.set()

    async def run_store(self) -> None:
        """Write queued passes, oldest first, until cancelled. While the store is away they wait."""
        while True:
            await self._queued.wait()
            self._queued.clear()
            while self._to_store:
                estimates = self._to_store[0]
                try:
                    await self._store.append(estimates)
                except StoreUnavailable as error:
                    self._metrics.store_failures.inc()
                    await asyncio.sleep(error.retry_after_s)
                    continue
                if self._to_store and self._to_store[0] is estimates:
                    self._to_store.popleft()

    async def flush(self) -> None:
        """Write what is queued, at a shutdown; gives up at the first failure."""
        with suppress(StoreUnavailable):
            while self._to_store:
                await self._store.append(self._to_store[0])
                self._to_store.popleft()

    async def run_reference(self) -> None:
        """Refresh the prices of a day ago until cancelled; more often while there are none yet."""
        while True:
            try:
                self._reference = await self._store.prices_near(self._clock() - DAY_S)
            except StoreUnavailable as error:
                log.info("reference_prices_unavailable", detail=error.detail)
            await asyncio.sleep(REFERENCE_S if self._reference else REFERENCE_FIRST_S)
