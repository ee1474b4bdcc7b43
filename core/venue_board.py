"""How every venue treats every collector now: the latest reports, for the API, metrics and the store.

Pure but for the metrics it sets.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from prometheus_client import CollectorRegistry, Gauge

from chrono.venue_state import VenueReport
from core.ports import HeardReport

COLLECTORS_MAX: Final = 64
CHANGES_MAX: Final = 1_000
FORGET_S: Final = 600.0


class BoardMetrics:
    """Gauges per collector and venue; counters since the collector's start are gauges here."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["collector", "venue"]
        self.state = Gauge(
            "chrono_venue_state", "State of a venue (chrono.venue_state)", labels, registry=registry
        )
        self.requests = Gauge(
            "chrono_venue_requests", "Requests since the collector's start", labels, registry=registry
        )
        self.failures = Gauge(
            "chrono_venue_failures", "Failed requests since its start", labels, registry=registry
        )
        self.refused = Gauge(
            "chrono_venue_rows_refused",
            "Rows refused by the collector since its start",
            [*labels, "reason"],
            registry=registry,
        )
        self.dropped = Gauge(
            "chrono_collector_ticks_dropped",
            "Ticks dropped since its start by the part of a collector that asks these venues",
            ["collector", "venues"],
            registry=registry,
        )


class Board:
    """Keeps the latest report by (collector, venue); of collectors over COLLECTORS_MAX, the latest heard."""

    def __init__(self, metrics: BoardMetrics) -> None:
        self._metrics = metrics
        self._reports: dict[tuple[str, str], HeardReport] = {}
        self._changed: deque[HeardReport] = deque(maxlen=CHANGES_MAX)

    def post(self, key_id: bytes, reports: Sequence[VenueReport], ticks_dropped: int, at: float) -> None:
        """Take over a collector's reports."""
        collector = key_id.hex()
        venues = "+".join(sorted(report.venue for report in reports))
        self._metrics.dropped.labels(collector, venues).set(ticks_dropped)
        for report in reports:
            heard = HeardReport(report, collector, at)
            before = self._reports.get((collector, report.venue))
            self._reports[collector, report.venue] = heard
            if before is None or before.report.state is not report.state:
                self._changed.append(heard)
            self._measure(collector, report)
        self._forget()

    def reports(self, at: float) -> list[HeardReport]:
        """The latest report of every venue by every collector heard within FORGET_S."""
        return [heard for heard in self._reports.values() if at - heard.heard_at <= FORGET_S]

    def take_changes(self) -> list[HeardReport]:
        """The changes of state since the last call, oldest first; of more than CHANGES_MAX, the newest."""
        changed = list(self._changed)
        self._changed.clear()
        return changed

    def _forget(self) -> None:
        heard = {collector: report.heard_at for (collector, _), report in self._reports.items()}
        for collector in sorted(heard, key=heard.__getitem__)[:-COLLECTORS_MAX]:
            self._reports = {key: kept for key, kept in self._reports.items() if key[0] != collector}

    def put_back(self, changes: Sequence[HeardReport]) -> None:
        """Return changes that could not be stored; they come first at the next `take_changes`."""
        room = CHANGES_MAX - len(self._changed)
        self._changed.extendleft(reversed(changes[max(0, len(changes) - room) :]))

    def _measure(self, collector: str, report: VenueReport) -> None:
        self._metrics.state.labels(collector, report.venue).set(report.state)
        self._metrics.requests.labels(collector, report.venue).set(report.requests)
        self._metrics.failures.labels(collector, report.venue).set(report.failures)
        for reason, count in report.refused.items():
            self._metrics.refused.labels(collector, report.venue, str(reason)).set(count)
