"""From a posted batch to the window and the store.

Knows the order in which a batch is trusted: signature, freshness, window, then the store. The window is
updated before the store is asked, so that prices never wait for the database; a receipt means committed.
Does not know HTTP (`core.api`) nor SQL (`core.storage`).
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Histogram

from chrono.batch import Header
from chrono.errors import BatchError
from chrono.signing import FRESHNESS_S, KeyRing, PublicKey, Verify, open_sealed
from chrono.ticks import Reason
from chrono.venue_state import VenueReport, VenueState
from core.columns import TickColumns, decode_columns
from core.ports import BatchRecord, Receipt, SequenceConflict, StoreUnavailable, TickStore

FUTURE_TOLERANCE_S: Final = 5.0
SEEN_MAX: Final = 16_384


class TickWindow(Protocol):
    """What ingest needs of the window. `route` is the number of the collector that brings the ticks."""

    def apply(self, ticks: TickColumns, at: float, route: int) -> None: ...

    def hear(self, venue: str, at: float) -> None: ...


class VenueBoard(Protocol):
    """What ingest needs of the board of venues."""

    def post(
        self, key_id: bytes, reports: tuple[VenueReport, ...], ticks_dropped: int, at: float
    ) -> None: ...


class Routes(Protocol):
    """What ingest needs of the routes: it tells a batch, and gets the number of its route."""

    def hear(self, key: PublicKey, header: Header, ticks: TickColumns, at: float) -> int: ...


class IngestMetrics:
    """Counts of what was accepted and refused, and how old ticks were on arrival."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.batches = Counter("chrono_ingest_batches", "Batches by outcome", ["outcome"], registry=registry)
        self.ticks = Counter("chrono_ingest_ticks", "Ticks accepted", registry=registry)
        self.refused = Counter(
            "chrono_ingest_ticks_refused", "Ticks refused by reason", ["reason"], registry=registry
        )
        self.age = Histogram(
            "chrono_ingest_tick_age_seconds",
            "From the newest tick of a batch until it is in the window: since its receipt by the collector,"
            " and since the venue's own time of it",
            ["since"],
            registry=registry,
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60),
        )


class Ingest:
    """Receives sealed batches. Every refusal is raised as an error and counted."""

    def __init__(
        self,
        *,
        ring: Callable[[], KeyRing],
        verify: Verify,
        window: TickWindow,
        board: VenueBoard,
        routes: Routes,
        store: TickStore,
        metrics: IngestMetrics,
        freshness_s: float = FRESHNESS_S,
        on_ticks: Callable[[], None] = lambda: None,
    ) -> None:
        self._ring, self._verify = ring, verify
        self._window, self._board, self._routes, self._store = window, board, routes, store
        self._metrics = metrics
        self._freshness_s = freshness_s
        self._on_ticks = on_ticks
        self._seen: OrderedDict[tuple[bytes, int], None] = OrderedDict()

    async def receive(self, sealed: bytes, at: float) -> Receipt:
        """Accept a batch: into the window at once, and into the store before this returns.

        Raises BatchError (the batch is refused), SequenceConflict, or StoreUnavailable (the ticks count for
        prices already; the collector must send the batch again).
        """
        ring = self._ring()
        try:
            header = open_sealed(sealed, ring, self._verify, at=at, freshness_s=self._freshness_s)
        except BatchError as error:
            self._metrics.batches.labels(error.reason).inc()
            raise
        ticks, refused = self._judge(sealed, header, at)
        self._show(ring.find(header.key_id), header, ticks, at)
        record = BatchRecord(
            header.key_id, header.sequence, content_digest(sealed, header), at, ticks, refused
        )
        try:
            receipt = await self._store.append(record)
        except StoreUnavailable:
            self._metrics.batches.labels("store-unavailable").inc()
            raise
        except SequenceConflict:
            self._metrics.batches.labels("sequence-conflict").inc()
            raise
        self._count(receipt)
        return receipt

    def _judge(self, sealed: bytes, header: Header, at: float) -> tuple[TickColumns, dict[str, int]]:
        """The good ticks and the counts of the others; ticks from the future are refused here."""
        ticks, refused = decode_columns(sealed, header)
        newest_ms = round((at + FUTURE_TOLERANCE_S) * 1000)
        future = (ticks.rows["received_ms"] > newest_ms) | (ticks.rows["event_ms"] > newest_ms)
        counts = {str(reason): count for reason, count in refused.items()}
        if future.any():
            counts[str(Reason.FUTURE)] = int(np.count_nonzero(future))
            ticks = TickColumns(ticks.leg[~future], ticks.rows[~future])
        return ticks, counts

    def _show(self, signer: PublicKey, header: Header, ticks: TickColumns, at: float) -> None:
        """Update window and board, once a (key, sequence): a resent batch must not count a trade twice."""
        key = (header.key_id, header.sequence)
        if key in self._seen:
            return
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        route = self._routes.hear(signer, header, ticks, at)
        self._board.post(header.key_id, header.reports, header.ticks_dropped, at)
        for report in header.reports:
            if report.state is VenueState.HEALTHY:
                self._window.hear(report.venue, at)
        if len(ticks):
            self._window.apply(ticks, at, route)
            for since, column in (("receipt", "received_ms"), ("event", "event_ms")):
                newest_ms = int(ticks.rows[column].max())
                if newest_ms:
                    self._metrics.age.labels(since).observe(max(0.0, at - newest_ms / 1000))
            self._on_ticks()

    def _count(self, receipt: Receipt) -> None:
        self._metrics.batches.labels("duplicate" if receipt.duplicate else "accepted").inc()
        if receipt.duplicate:
            return
        self._metrics.ticks.inc(receipt.accepted)
        for reason, count in receipt.refused.items():
            self._metrics.refused.labels(reason).inc(count)


def content_digest(sealed: bytes, header: Header) -> bytes:
    """SHA-256 over a batch's legs and ticks: what must be equal when a sequence is sent again.

    Reports, drop counts and the sending time are left out: they may be newer on a resend.
    """
    digest = hashlib.sha256("\n".join(header.legs).encode("ascii"))
    digest.update(b"\0")
    digest.update(sealed[header.ticks_at : header.signed])
    return digest.digest()
