"""Virtual time for the collector: a driver that asks, answers after a latency and never sleeps."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable

from chrono.collector import Collector, Draft
from chrono.feeds import Leg
from chrono.http import Answer, Failure
from chrono.notices import Notice
from chrono.polling import Pace
from chrono.ticks import Tick
from chrono.venue_state import VenueReport, VenueState
from chrono.venues.adapter import Request, RequestKind
from tests.kernel.payloads import (
    AT,
    AT_MS,
    answer,
    binance_trade,
    bybit_envelope,
    coinbase_trade,
    okx_envelope,
    tickers_answer,
)

Respond = Callable[[Request, float], Answer | Failure | None]
"""What a venue answers to a request at a time; None for never."""


def good(request: Request, at: float) -> Answer:
    """A venue in good health; without trades."""
    if request.kind is RequestKind.TICKERS:
        return tickers_answer(request, at=at)
    match request.venue:
        case "binance":
            trade_id = round(at * 1000)
            return answer([binance_trade(trade_id, "100.5", "1", trade_id)], at=at)
        case "bybit":
            return answer(bybit_envelope([], round(at * 1000)), at=at)
        case "okx":
            return answer(okx_envelope([]), at=at)
        case _:
            time = "2025-06-15T15:06:40Z"
            rows = [coinbase_trade(request.symbols[0], "1", "100.5", "1", time)]
            return answer({"trades": rows, "best_bid": "100", "best_ask": "101"}, at=at)


class Drive:
    """Runs a collector from AT on; keeps all that went in and out."""

    def __init__(
        self,
        legs: Iterable[Leg],
        respond: Respond = good,
        *,
        latency_s: Callable[[Request], float] = lambda _: 0.1,
        pace: Pace | None = None,
    ) -> None:
        self.collector = Collector(legs, at=AT, random=lambda: 0.0, pace=pace)
        self.at = AT
        self.respond = respond
        self.sent: list[tuple[float, Request]] = []
        self.drafts: list[tuple[float, Draft]] = []
        self.notices: list[Notice] = []
        self.in_flight_max = 0
        self.turns = 0
        self._latency_s = latency_s
        self._under_way: list[tuple[float, int, Request, Answer | Failure | None]] = []

    def run(self, seconds: float) -> Drive:
        end = self.at + seconds
        while self.at < end:
            self.turns += 1
            for request in self.collector.due(self.at):
                self._send(request)
            in_flight = len(self._under_way)
            self.in_flight_max = max(self.in_flight_max, in_flight)
            self.drafts += [(self.at, draft) for draft in self.collector.batches(self.at)]
            self.notices += self.collector.notices()
            wake = self.collector.next_due(self.at)
            assert wake > self.at
            arrival = self._under_way[0][0] if self._under_way else float("inf")
            self.at = min(wake, arrival, end)
            self._deliver()
        return self

    def _send(self, request: Request) -> None:
        self.sent.append((self.at, request))
        arrival = self.at + self._latency_s(request)
        heapq.heappush(self._under_way, (arrival, request.serial, request, self.respond(request, self.at)))

    def _deliver(self) -> None:
        while self._under_way and self._under_way[0][0] <= self.at:
            arrival, _, request, came = heapq.heappop(self._under_way)
            if isinstance(came, Answer):
                came = Answer(came.status, came.body, arrival, came.headers)
            if came is not None:
                self.collector.receive(request, came, self.at)

    @property
    def ticks(self) -> list[Tick]:
        return [tick for _, draft in self.drafts for tick in draft.ticks]

    def sent_to(self, venue: str, kind: RequestKind | None = None) -> list[float]:
        """When a venue was asked."""
        return [at for at, request in self.sent if request.venue == venue and kind in (None, request.kind)]

    def report(self, venue: str) -> VenueReport:
        return next(report for report in self.collector.reports() if report.venue == venue)

    def states(self, venue: str) -> list[VenueState]:
        """The states a venue went through, as the notices tell them."""
        return [
            notice.state
            for notice in self.notices
            if getattr(notice, "venue", "") == venue and hasattr(notice, "state")
        ]

    def sent_by_symbol(self, venue: str) -> Counter[str]:
        return Counter(
            symbol for _, request in self.sent if request.venue == venue for symbol in request.symbols
        )


__all__ = ["AT", "AT_MS", "Drive", "Respond", "good"]
