"""Which collectors deliver now, how old what each delivers is, and by which of them each leg came last.

A route is one collector's key. Two collectors of the same venues are two routes; nothing here prefers one:
the window takes the newest observation of a leg, whoever brings it, and says whose it was. Pure but for the
metrics it sets.

Routes are numbered as they come and no number is used twice, so that the window may keep a number a leg. Of
more than ROUTES_MAX routes the longest silent one is forgotten, and so is one that was silent for FORGET_S:
its legs, if no other route brings them, are then told without a route.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry, Counter, Gauge

from chrono.batch import Header
from chrono.signing import PublicKey
from core.columns import TickColumns
from core.ports import RouteReport

ROUTES_MAX: Final = 64
FORGET_S: Final = 3_600.0
OFFSETS_KEPT: Final = 60
"""Batches whose transit is remembered: the quickest of them tells most of the clock and least of the way."""

LegRoutes = Callable[[], NDArray[np.int32]]
"""By leg, in the order of `chrono.feeds.LEGS`, the number of the route that it came by last; -1 for none."""


class RouteMetrics:
    """What each route delivers. An age is `time() - chrono_route_last_batch_time_seconds`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ["collector", "name"]
        self.batches = Counter("chrono_route_batches", "Batches by collector", labels, registry=registry)
        self.ticks = Counter("chrono_route_ticks", "Ticks by collector", labels, registry=registry)
        self.last_batch = Gauge(
            "chrono_route_last_batch_time_seconds", "When its last batch came", labels, registry=registry
        )
        self.tick_age = Gauge(
            "chrono_route_tick_age_seconds",
            "Age of the newest tick of its last batch on arrival, by its own clock",
            labels,
            registry=registry,
        )
        self.clock_offset = Gauge(
            "chrono_route_clock_offset_seconds",
            "Least difference between sending by its clock and arrival by ours, of its last batches",
            labels,
            registry=registry,
        )

    def forget(self, *labels: str) -> None:
        """Remove the series of a route that is gone."""
        for each in (self.batches, self.ticks, self.last_batch, self.tick_age, self.clock_offset):
            each.remove(*labels)


@dataclass(slots=True)
class _Route:
    number: int
    key_id: str
    name: str
    heard_at: float
    newest_at: float | None = None
    batches: int = 0
    ticks: int = 0
    ticks_dropped: int = 0
    offsets_s: deque[float] = field(default_factory=lambda: deque(maxlen=OFFSETS_KEPT))


class Routes:
    """The routes heard since the start. `leg_routes` asks the window."""

    def __init__(self, leg_routes: LegRoutes, metrics: RouteMetrics) -> None:
        self._leg_routes, self._metrics = leg_routes, metrics
        self._routes: dict[str, _Route] = {}
        self._next_number = 0

    def hear(self, key: PublicKey, header: Header, ticks: TickColumns, at: float) -> int:
        """Note a batch that has come for the first time; returns its route's number."""
        route = self._route(key, at)
        route.heard_at = at
        route.batches += 1
        route.ticks += len(ticks)
        route.ticks_dropped = header.ticks_dropped
        route.offsets_s.append(at - header.sent_at)
        if len(ticks):
            newest_at = float(ticks.rows["received_ms"].max()) / 1000
            route.newest_at = max(newest_at, route.newest_at or newest_at)
        self._measure(route, ticks, at)
        self._forget(at)
        return route.number

    def name(self, key_id: str) -> str:
        """What a collector is called: the name beside its key, or the key id where there is none."""
        route = self._routes.get(key_id)
        return route.name if route else key_id

    def of_legs(self) -> Sequence[str | None]:
        """By leg, the name of the route that it came by last; None for a leg that came by none."""
        names = {route.number: route.name for route in self._routes.values()}
        return [names.get(number) for number in self._leg_routes().tolist()]

    def reports(self) -> Sequence[RouteReport]:
        """Every route that is not forgotten, in the order in which they were first heard."""
        numbers, counts = np.unique(self._leg_routes(), return_counts=True)
        legs = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
        return [
            RouteReport(
                name=route.name,
                key_id=route.key_id,
                heard_at=route.heard_at,
                newest_tick_at=route.newest_at,
                legs=legs.get(route.number, 0),
                batches=route.batches,
                ticks=route.ticks,
                ticks_dropped=route.ticks_dropped,
                clock_offset_s=min(route.offsets_s),
            )
            for route in self._routes.values()
        ]

    def _route(self, key: PublicKey, at: float) -> _Route:
        key_id = key.key_id.hex()
        name = key.name or key_id
        route = self._routes.get(key_id)
        if route is None:
            route = self._routes[key_id] = _Route(self._next_number, key_id, name, at)
            self._next_number += 1
        elif route.name != name:
            self._metrics.forget(key_id, route.name)
            route.name = name
        return route

    def _measure(self, route: _Route, ticks: TickColumns, at: float) -> None:
        labels = route.key_id, route.name
        self._metrics.batches.labels(*labels).inc()
        self._metrics.ticks.labels(*labels).inc(len(ticks))
        self._metrics.last_batch.labels(*labels).set(at)
        self._metrics.clock_offset.labels(*labels).set(min(route.offsets_s))
        if len(ticks):
            newest_at = float(ticks.rows["received_ms"].max()) / 1000
            self._metrics.tick_age.labels(*labels).set(max(0.0, at - newest_at))

    def _forget(self, at: float) -> None:
        by_age = sorted(self._routes.values(), key=lambda route: route.heard_at)
        surplus = len(by_age) - ROUTES_MAX
        for position, route in enumerate(by_age):
            if position < surplus or at - route.heard_at > FORGET_S:
                del self._routes[route.key_id]
                self._metrics.forget(route.key_id, route.name)
