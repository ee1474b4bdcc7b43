"""The watch beside the passes: tells the log and the metrics of legs that behave strangely.

Knows when something is to be told. Does not know how anomalies are found (`core.forge.anomaly`). A fault of
the watch costs no price: it is logged, counted, and the watch rests for REST_S.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from core.aggregation.estimates import Estimates
from core.aggregation.markets import Observations
from core.forge.anomaly.watch import Anomaly, Changes

REST_S: Final = 300.0

log = structlog.get_logger()


class Aggregates(Protocol):
    def estimate(self, at: float) -> Estimates: ...


class Looks(Protocol):
    """Looks at passes; `core.forge.anomaly.watch.Watch`."""

    def look(self, estimates: Estimates, seen: Observations, at: float) -> Changes: ...


class WatchMetrics:
    """What the watch told, and what a look takes."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.begun = Counter(
            "chrono_anomalies", "Anomalies of legs that began", ["venue", "reason"], registry=registry
        )
        self.lasting = Gauge("chrono_anomalies_lasting", "Anomalies of legs that last", registry=registry)
        self.seconds = Histogram(
            "chrono_anomaly_look_seconds",
            "One look of the watch over all legs",
            registry=registry,
            buckets=(0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.005, 0.01),
        )
        self.failures = Counter("chrono_anomaly_failures", "Looks that failed", registry=registry)


class WatchedAggregates:
    """Makes the passes of `aggregates`, and shows each to the watch."""

    def __init__(
        self,
        aggregates: Aggregates,
        watch: Looks,
        observed: Callable[[float], Observations],
        metrics: WatchMetrics,
    ) -> None:
        self._aggregates, self._watch, self._observed = aggregates, watch, observed
        self._metrics = metrics
        self._rests_until = 0.0

    def estimate(self, at: float) -> Estimates:
        """The pass at `at`, as `aggregates` makes it."""
        estimates = self._aggregates.estimate(at)
        if at >= self._rests_until:
            self._look(estimates, at)
        return estimates

    def _look(self, estimates: Estimates, at: float) -> None:
        try:
            with self._metrics.seconds.time():
                changes = self._watch.look(estimates, self._observed(at), at)
        except Exception:  # prices go on without the watch
            log.exception("anomaly_watch_failed", again_in_s=REST_S)
            self._metrics.failures.inc()
            self._rests_until = at + REST_S
            return
        for anomaly in changes.begun:
            self._metrics.begun.labels(anomaly.venue, anomaly.reasons[0]).inc()
            self._metrics.lasting.inc()
            log.warning("leg_anomalous", **_fields(anomaly))
        for anomaly in changes.ended:
            self._metrics.lasting.dec()
            lasted_s = round((anomaly.ended_at or at) - anomaly.began_at, 1)
            log.info("leg_recovered", lasted_s=lasted_s, **_fields(anomaly))


def _fields(anomaly: Anomaly) -> dict[str, object]:
    return {
        "leg": anomaly.leg,
        "feed": anomaly.feed,
        "reasons": ",".join(anomaly.reasons),
        "off_bps": round(anomaly.off_bps, 2),
        "score": round(anomaly.score, 2),
    }
