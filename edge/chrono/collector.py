"""The collecting state machine: what to ask which venue and when, and which ticks came of it.

No I/O, no clock, no entropy of its own: time is an argument, randomness is handed in. The loop that drives it

    for request in collector.due(at): send it, and give what comes back to collector.receive(request, ..., at)
    for draft in collector.batches(at): hand it to the spool
    sleep until collector.next_due(at), or until an answer is there

is `core.collect` on a server and the Worker at the edge. Venues share the connections so that a slow one
never takes the last slot of another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from chrono.feeds import Leg
from chrono.http import Answer, Failure
from chrono.notices import Notice
from chrono.polling import Pace, VenuePolls
from chrono.ticks import Tick
from chrono.venue_state import VenueReport
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Request, VenueAdapter

BATCH_TICKS_MAX: Final = 500
BATCH_INTERVAL_S: Final = 0.2
HEARTBEAT_S: Final = 1.0
BUFFER_TICKS_MAX: Final = 10_000
NOTICES_MAX: Final = 1_000
WAKE_S_MIN: Final = 0.01


@dataclass(frozen=True, slots=True)
class Draft:
    """What goes into one batch. `ticks_dropped` counts what the collector lost since its start."""

    ticks: tuple[Tick, ...]
    reports: tuple[VenueReport, ...]
    ticks_dropped: int


class Collector:
    """Polls the venues of `legs`; `random` gives a float in [0, 1).

    Raises ValueError on a leg of a venue that has no adapter.

    Up to BUFFER_TICKS_MAX ticks wait to be drained, then the oldest are dropped and counted; up to
    NOTICES_MAX notices, then the oldest are lost.
    """

    def __init__(
        self,
        legs: Iterable[Leg],
        *,
        at: float,
        random: Callable[[], float],
        pace: Pace | None = None,
        adapters: Mapping[str, VenueAdapter] = VENUE_ADAPTERS,
    ) -> None:
        self._pace = pace or Pace()
        self._notices: deque[Notice] = deque(maxlen=NOTICES_MAX)
        by_venue: dict[str, list[Leg]] = {}
        for leg in legs:
            by_venue.setdefault(leg.venue, []).append(leg)
        unknown = by_venue.keys() - adapters.keys()
        if unknown:
            raise ValueError(f"no such venue: {', '.join(sorted(unknown))}")
        self._polls = {
            venue: VenuePolls(
                adapters[venue],
                tuple(venue_legs),
                at=at,
                pace=self._pace,
                random=random,
                tell=self._notices.append,
            )
            for venue, venue_legs in by_venue.items()
        }
        self._order = list(self._polls.values())
        self._serial = 0
        self._ticks: deque[Tick] = deque()
        self._ticks_dropped = 0
        self._drained_at = at

    def due(self, at: float) -> list[Request]:
        """Requests to send now. Each is in flight until `receive`, or until it is lost for good."""
        for polls in self._order:
            polls.give_up_lost(at)
        requests: list[Request] = []
        while granted := [request for polls in self._order if (request := self._grant(polls, at))]:
            requests += granted
        self._order = self._order[1:] + self._order[:1]  # so that none is always served first
        return requests

    def receive(self, request: Request, answer: Answer | Failure, at: float) -> None:
        """What came of a request. Never raises on what an answer holds."""
        self._ticks.extend(self._polls[request.venue].receive(request, answer, at))
        while len(self._ticks) > BUFFER_TICKS_MAX:
            self._ticks.popleft()
            self._ticks_dropped += 1

    def next_due(self, at: float) -> float:
        """When to call `due` and `batches` next if no answer comes before; always after `at`."""
        wakes = [polls.next_due(at, has_room=self._has_room(polls)) for polls in self._order]
        wakes.append(self._drained_at + (BATCH_INTERVAL_S if self._ticks else HEARTBEAT_S))
        return max(min(wakes), at + WAKE_S_MIN)

    def batches(self, at: float, *, flush: bool = False) -> list[Draft]:
        """What is ready to be batched: ticks that waited for company, or an empty heartbeat.

        With `flush`, all ticks that are there, and nothing if there are none.
        """
        waited_s = at - self._drained_at
        if not self._ticks:
            return [self._draft(at)] if waited_s >= HEARTBEAT_S and not flush else []
        if not flush and waited_s < BATCH_INTERVAL_S and len(self._ticks) < BATCH_TICKS_MAX:
            return []
        drafts = []
        while self._ticks:
            drafts.append(self._draft(at))
        return drafts

    def reports(self) -> tuple[VenueReport, ...]:
        """Every venue's state and counters now."""
        return tuple(polls.report() for polls in self._polls.values())

    def notices(self) -> list[Notice]:
        """What happened since the last call, oldest first."""
        notices = list(self._notices)
        self._notices.clear()
        return notices

    def _grant(self, polls: VenuePolls, at: float) -> Request | None:
        if not self._has_room(polls):
            return None
        request = polls.next_request(at, self._serial + 1)
        if request is not None:
            self._serial += 1
        return request

    def _has_room(self, polls: VenuePolls) -> bool:
        """Whether a connection is free for a venue; a second one only if the idle venues still get one."""
        taken = sum(other.in_flight for other in self._order)
        if polls.in_flight:
            taken += sum(not other.in_flight for other in self._order)
        return taken < self._pace.in_flight_max

    def _draft(self, at: float) -> Draft:
        self._drained_at = at
        count = min(len(self._ticks), BATCH_TICKS_MAX)
        ticks = tuple(self._ticks.popleft() for _ in range(count))
        return Draft(ticks, self.reports(), self._ticks_dropped)
