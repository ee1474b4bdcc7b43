"""Writes the newest signed prices to the store, again and again, beside the passes and never in their way.

Knows when a snapshot is due and which of two is newer. One write at a time, in a thread; what is not written
is not queued: the next one is newer. A write names the object that it replaces, so that one that was held up
on its way, or a second core, never puts an older snapshot over a newer one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.messages import PassMessage
from core.signed.passes import PassSigner
from core.snapshot.objects import Objects, Order, Overtaken, StoreFailed
from core.snapshot.snapshot import encode_snapshot
from core.snapshot.threads import in_thread

TURNS_MAX: Final = 3
"""Writes that are overtaken before a snapshot is given up."""

FUTURE_MS_MAX: Final = 60_000
"""A snapshot that is further ahead of our clock was written by a wrong one, and stands in nobody's way."""

log = structlog.get_logger(__name__)


class SnapshotMetrics:
    """What was written, how old it is, and what failed."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.written = Counter("chrono_snapshots_written", "Snapshots that the store took", registry=registry)
        self.failures = Counter(
            "chrono_snapshot_failures", "Snapshots that were not written", ["reason"], registry=registry
        )
        self.overtaken = Counter(
            "chrono_snapshots_overtaken", "Snapshots older than the one that stood there", registry=registry
        )
        self.at = Gauge(
            "chrono_snapshot_timestamp_seconds", "Time of the pass that was written last", registry=registry
        )
        self.seconds = Histogram(
            "chrono_snapshot_seconds",
            "One snapshot, signatures and write",
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )


class SnapshotWriter:
    """Owns the object of one core. `run` belongs to a task."""

    def __init__(
        self,
        *,
        last_pass: Callable[[], PassMessage | None],
        signer: PassSigner,
        objects: Objects,
        name: str,
        clock: Callable[[], float],
        metrics: SnapshotMetrics,
        interval_s: float,
    ) -> None:
        self._last_pass, self._signer, self._objects, self._name = last_pass, signer, objects, name
        self._clock, self._metrics, self._interval_s = clock, metrics, interval_s
        self._mark: str | None = None
        self._done: Order = (0, 0)

    async def run(self) -> None:
        """Write until cancelled; a write under way is left to its thread, which ends within its timeouts."""
        while True:
            await self.write()
            await asyncio.sleep(self._interval_s)

    async def write(self) -> bool:
        """Write the last pass, unless it was written or a newer one stands there; whether it was written."""
        message = self._last_pass()
        if message is None:
            return False
        order = (round(message.at * 1000), message.sequence)
        if order <= self._done:
            return False
        try:
            with self._metrics.seconds.time():
                written = await in_thread(lambda: self._write(message, order))
        except StoreFailed as error:
            self._metrics.failures.labels(error.reason).inc()
            log.warning("snapshot_not_written", reason=error.reason, detail=error.detail)
            return False
        self._done = order
        if written:
            self._metrics.written.inc()
            self._metrics.at.set(message.at)
        else:
            self._metrics.overtaken.inc()
            log.warning("snapshot_overtaken", at=message.at)
        return written

    def _write(self, message: PassMessage, order: Order) -> bool:
        body = snapshot_of(message, self._signer)
        for _ in range(TURNS_MAX):
            try:
                self._mark = self._objects.put(self._name, body, order, self._mark)
                return True
            except Overtaken:
                standing = self._objects.standing(self._name)
            self._mark = None if standing is None else standing.mark
            if standing is not None and self._stands(standing.order, order):
                return False
        raise StoreFailed("contended", f"overtaken {TURNS_MAX} times")

    def _stands(self, there: Order | None, ours: Order) -> bool:
        """Whether what is there is to be left alone."""
        if there is None or there[0] > self._clock() * 1000 + FUTURE_MS_MAX:
            return False
        return there >= ours


def snapshot_of(message: PassMessage, signer: PassSigner) -> bytes:
    """The snapshot's bytes: a signature a price and one over all, a few milliseconds of work."""
    signed = signer.fresh(message)
    signatures = [signed.signature(feed) for feed in signed.prices]
    return encode_snapshot(signer.domain, signer.address, signed.all(), signatures)
