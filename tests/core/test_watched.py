"""The watch beside the passes: it tells, it counts, and it never costs a price."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry
from structlog.testing import capture_logs

from core.aggregation.estimates import Estimates
from core.aggregation.markets import Observations
from core.forge.anomaly.watch import Anomaly, Changes
from core.watched import REST_S, WatchedAggregates, WatchMetrics
from tests.aggregation.markets import NOW
from tests.forge.anomaly.scenes import Scene

PUMPED = Anomaly("BTC/USD", "okx:BTC/USD", "okx", NOW, None, 9.0, 30.0, ("jump",))


class Told:
    """A watch that gives what it is told to, and fails when that is an error."""

    def __init__(self, *changes: Changes | Exception) -> None:
        self._changes: Iterator[Changes | Exception] = iter(changes)
        self.looks = 0

    def look(self, estimates: Estimates, seen: Observations, at: float) -> Changes:
        self.looks += 1
        change = next(self._changes)
        if isinstance(change, Exception):
            raise change
        return change


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


def watched(told: Told, registry: CollectorRegistry) -> WatchedAggregates:
    bench = Scene().bench
    bench.quote("okx:BTC/USD", 100.0)
    return WatchedAggregates(bench.aggregator, told, bench.window.observed, WatchMetrics(registry))


def test_an_anomaly_is_logged_and_counted_when_it_begins_and_when_it_ends(
    registry: CollectorRegistry,
) -> None:
    passes = watched(Told(Changes(begun=(PUMPED,)), Changes(ended=(PUMPED,))), registry)
    with capture_logs() as logged:
        passes.estimate(NOW)
        assert registry.get_sample_value("chrono_anomalies_lasting") == 1
        passes.estimate(NOW + 1)
    assert [each["event"] for each in logged] == ["leg_anomalous", "leg_recovered"]
    assert registry.get_sample_value("chrono_anomalies_total", {"venue": "okx", "reason": "jump"}) == 1
    assert registry.get_sample_value("chrono_anomalies_lasting") == 0


def test_a_fault_of_the_watch_costs_no_price_and_lets_it_rest(registry: CollectorRegistry) -> None:
    told = Told(ValueError("a fault"), Changes())
    passes = watched(told, registry)
    with capture_logs() as logged:
        assert passes.estimate(NOW).price[0] == pytest.approx(100.0)
    assert [each["event"] for each in logged] == ["anomaly_watch_failed"]
    passes.estimate(NOW + 1)
    assert told.looks == 1
    passes.estimate(NOW + REST_S)
    assert told.looks == 2
    assert registry.get_sample_value("chrono_anomaly_failures_total") == 1
