"""Which collector delivers what, and how old it is."""

from __future__ import annotations

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from chrono.batch import Batch, encode, read_header
from chrono.feeds import LEGS
from chrono.signing import PublicKey
from chrono.ticks import Tick
from core.columns import decode_columns
from core.routes import FORGET_S, ROUTES_MAX, RouteMetrics, Routes
from tests.fakes.batches import AT, quote

LOCAL, EDGE = PublicKey(bytes(32), "local"), PublicKey(bytes([1] * 32), "edge")


class Deliveries:
    """Routes, and a window in which a test says by which route each leg came."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.leg_routes = np.full(len(LEGS), -1, np.int32)
        self.routes = Routes(lambda: self.leg_routes, RouteMetrics(self.registry))

    def hear(
        self, key: PublicKey, *ticks: Tick, at: float = AT, clock_ahead_s: float = 0.0, dropped: int = 0
    ) -> int:
        batch = Batch(key.key_id, 1, at + clock_ahead_s, ticks, ticks_dropped=dropped)
        sealed = encode(batch) + bytes(64)
        header = read_header(sealed)
        return self.routes.hear(key, header, decode_columns(sealed, header)[0], at)

    def metric(self, name: str, key: PublicKey) -> float | None:
        labels = {"collector": key.key_id.hex(), "name": key.name}
        return self.registry.get_sample_value(f"chrono_route_{name}", labels)


@pytest.fixture
def heard() -> Deliveries:
    return Deliveries()


def test_each_route_is_told_with_what_came_by_it(heard: Deliveries) -> None:
    local, edge = heard.hear(LOCAL, quote(at=AT)), heard.hear(EDGE, quote(at=AT), at=AT + 1, dropped=3)
    heard.leg_routes[:5], heard.leg_routes[5] = local, edge
    first, second = heard.routes.reports()
    assert (first.name, first.legs, first.heard_at, first.newest_tick_at) == ("local", 5, AT, AT)
    assert (second.name, second.legs, second.heard_at, second.ticks_dropped) == ("edge", 1, AT + 1, 3)
    assert heard.routes.of_legs()[4:7] == ["local", "edge", None]


def test_a_heartbeat_without_ticks_keeps_the_age_of_the_data(heard: Deliveries) -> None:
    heard.hear(LOCAL, quote(at=AT))
    heard.hear(LOCAL, at=AT + 60)
    (report,) = heard.routes.reports()
    assert (report.heard_at, report.newest_tick_at, report.batches, report.ticks) == (AT + 60, AT, 2, 1)


def test_a_clock_offset_is_what_the_quickest_batch_shows(heard: Deliveries) -> None:
    for transit_s in (0.4, 0.1, 2.0):
        heard.hear(LOCAL, clock_ahead_s=5.0 - transit_s)
    (report,) = heard.routes.reports()
    assert report.clock_offset_s == pytest.approx(-4.9)


def test_a_key_without_a_name_is_told_by_its_id(heard: Deliveries) -> None:
    nameless = PublicKey(bytes([2] * 32))
    heard.hear(nameless)
    assert heard.routes.reports()[0].name == nameless.key_id.hex()
    assert heard.routes.name("00" * 8) == "00" * 8


def test_batches_and_ages_are_measured_by_route(heard: Deliveries) -> None:
    heard.hear(LOCAL, quote(at=AT - 2), quote(at=AT - 1.5))
    heard.hear(LOCAL, at=AT + 5)
    assert heard.metric("batches_total", LOCAL) == 2
    assert heard.metric("ticks_total", LOCAL) == 2
    assert heard.metric("last_batch_time_seconds", LOCAL) == AT + 5
    assert heard.metric("tick_age_seconds", LOCAL) == 1.5


def test_a_new_name_of_a_key_replaces_the_old_one(heard: Deliveries) -> None:
    heard.hear(LOCAL)
    renamed = PublicKey(LOCAL.raw, "mini")
    heard.hear(renamed)
    assert [report.name for report in heard.routes.reports()] == ["mini"]
    assert heard.metric("batches_total", LOCAL) is None


def test_a_route_that_is_silent_for_an_hour_is_forgotten_and_its_legs_have_none(heard: Deliveries) -> None:
    heard.leg_routes[:] = heard.hear(LOCAL, quote())
    heard.hear(EDGE, at=AT + FORGET_S + 1)
    assert [report.name for report in heard.routes.reports()] == ["edge"]
    assert set(heard.routes.of_legs()) == {None}
    assert heard.metric("batches_total", LOCAL) is None


def test_of_too_many_routes_the_longest_silent_is_forgotten(heard: Deliveries) -> None:
    numbers = [heard.hear(PublicKey(bytes([n] * 32)), at=AT + n) for n in range(ROUTES_MAX + 1)]
    assert len(set(numbers)) == ROUTES_MAX + 1
    reports = heard.routes.reports()
    assert (len(reports), reports[0].heard_at) == (ROUTES_MAX, AT + 1)
