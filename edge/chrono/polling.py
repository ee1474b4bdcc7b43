"""One venue's polling: which request is due, and what its answers change.

Knows the venue's gate, its weight limit, its groups of symbols and whose trades come next. Does not know
other venues (`chrono.collector` shares the connections among them), sockets or clocks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from chrono.backoff import Gate, WeightWindow
from chrono.feeds import Leg
from chrono.http import Answer, Failure
from chrono.listing import Group, Listing
from chrono.notices import Notice, RowRefused, SymbolFound, SymbolLost, TradesFailed, VenueChanged
from chrono.ticks import Reason, Refusal, Tick
from chrono.turns import NEVER, TradeTurns
from chrono.validation import Rim
from chrono.venue_state import VenueReport, VenueState
from chrono.venues.adapter import Outcome, Parsed, Refused, Request, RequestKind, SymbolRefused, VenueAdapter

LOST_AFTER_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Pace:
    """How often and how widely venues are asked. `trade_interval_s` None asks for no trades.

    `in_flight_max` is shared by all venues; each can always have one request in flight if it is at least
    their number.
    """

    ticker_interval_s: float = 1.5
    trade_interval_s: float | None = 0.25
    timeout_s: float = 5.0
    in_flight_max: int = 10
    in_flight_per_venue: int = 2


@dataclass(frozen=True, slots=True)
class _Flight:
    request: Request
    lost_at: float
    group: Group | None
    is_probe: bool


class VenuePolls:
    """The state machine of one venue and its one or more legs.

    `tell` takes notices; `random` gives a float in [0, 1).
    """

    def __init__(
        self,
        adapter: VenueAdapter,
        legs: tuple[Leg, ...],
        *,
        at: float,
        pace: Pace,
        random: Callable[[], float],
        tell: Callable[[Notice], None],
    ) -> None:
        self._adapter, self._pace, self._tell = adapter, pace, tell
        self._gate = Gate(at, random)
        self._window = WeightWindow(adapter.limit.weight, adapter.limit.window_s)
        self._listing = Listing(legs, at, adapter.part)
        self._reserve = max(adapter.tickers(part).weight for part in self._listing.parts)
        self._turns = TradeTurns(
            legs, pace.trade_interval_s if adapter.trades else None, at=at, random=random
        )
        self._trade_weight = adapter.trades(legs[0]).weight if adapter.trades else 0
        self._rim = Rim(legs, adapter.symbol)
        self._flights: dict[int, _Flight] = {}
        self._lost: set[str] = set()
        self._requests = self._failures = 0
        self._refused: dict[Reason, int] = {}

    @property
    def in_flight(self) -> int:
        return len(self._flights)

    def report(self) -> VenueReport:
        gate = self._gate
        return VenueReport(
            self._adapter.venue,
            gate.state,
            gate.since,
            gate.retry_at,
            gate.code,
            self._requests,
            self._failures,
            dict(self._refused),
        )

    def next_request(self, at: float, serial: int) -> Request | None:
        """A request that is due now, or None; it is then in flight until `receive` or until it is lost."""
        self._listing.recall(at)
        if self._gate.wants_probe(at):
            return self._ask_probe(at, serial)
        if not self._gate.is_open or len(self._flights) >= self._pace.in_flight_per_venue:
            return None
        group = self._listing.due_group(at)
        return self._ask_group(group, at, serial, is_probe=False) or self._ask_trades(at, serial)

    def receive(self, request: Request, answer: Answer | Failure, at: float) -> list[Tick]:
        """The accepted ticks of an answer. An answer to a request that was given up is not looked at."""
        flight = self._flights.pop(request.serial, None)
        if flight is None:
            return []
        if isinstance(answer, Failure):
            self._settle(flight, Refused(VenueState.FAILING, detail=answer.detail), at)
            return []
        outcome = self._adapter.parse(request, answer)
        if isinstance(outcome, Parsed) and _is_empty(request, outcome):
            outcome = Refused(VenueState.FAILING, detail="no row of many could be read")
        self._settle(flight, outcome, at)
        return self._accept(request, outcome) if isinstance(outcome, Parsed) else []

    def give_up_lost(self, at: float) -> None:
        """Free the slots of requests that nobody answered for; each counts as a failure."""
        for serial in [serial for serial, flight in self._flights.items() if at >= flight.lost_at]:
            flight = self._flights.pop(serial)
            self._settle(flight, Refused(VenueState.FAILING, detail="the request was lost"), at)

    def next_due(self, at: float, *, has_room: bool) -> float:
        """When `next_request` may give one, or a request is lost."""
        lost_at = min((flight.lost_at for flight in self._flights.values()), default=NEVER)
        if not has_room:
            return lost_at
        weight_at = self._window.free_at(self._reserve, at)
        if self._gate.retry_at is not None:
            idle = self._listing.idle_group() is not None
            return min(lost_at, max(self._gate.retry_at, weight_at)) if idle else lost_at
        if not self._gate.is_open or len(self._flights) >= self._pace.in_flight_per_venue:
            return lost_at
        return min(lost_at, max(self._listing.next_at(), weight_at), self._trades_at(at))

    def _ask_probe(self, at: float, serial: int) -> Request | None:
        group = self._listing.idle_group()
        request = self._ask_group(group, at, serial, is_probe=True)
        if request is not None:
            before = self._gate.state, self._gate.code
            self._gate.begin_probe(at)
            self._tell_if_changed(before, "")
        return request

    def _ask_group(self, group: Group | None, at: float, serial: int, *, is_probe: bool) -> Request | None:
        if group is None:
            return None
        ask = self._adapter.whole if group.by_whole and self._adapter.whole else self._adapter.tickers
        request = ask(group.legs)
        if self._window.free_at(request.weight, at) > at:
            return None
        group.in_flight, group.due_at = True, at + self._pace.ticker_interval_s
        return self._send(request, at, serial, group, is_probe=is_probe)

    def _ask_trades(self, at: float, serial: int) -> Request | None:
        if self._adapter.trades is None or self._trades_at(at) > at:
            return None
        leg = self._turns.take(at, lambda leg: self._adapter.symbol(leg) not in self._lost)
        if leg is None:
            return None
        return self._send(self._adapter.trades(leg), at, serial, None, is_probe=False)

    def _trades_at(self, at: float) -> float:
        """When trades may be asked for: tickers keep their slot and their weight."""
        out = sum(flight.group is None for flight in self._flights.values())
        slots = max(1, self._pace.in_flight_per_venue - 1)
        ready_at = self._turns.ready_at()
        if self._gate.state is not VenueState.HEALTHY or out >= slots or ready_at == NEVER:
            return NEVER
        return max(ready_at, self._window.free_at(self._trade_weight + self._reserve, at))

    def _send(
        self, request: Request, at: float, serial: int, group: Group | None, *, is_probe: bool
    ) -> Request:
        request = replace(request, serial=serial)
        lost_at = at + self._pace.timeout_s + LOST_AFTER_S
        self._flights[serial] = _Flight(request, lost_at, group, is_probe)
        self._window.spend(request.weight, at)
        self._requests += 1
        return request

    def _settle(self, flight: _Flight, outcome: Outcome, at: float) -> None:
        """What an outcome does to the venue's states; the ticks in it are another matter."""
        if flight.group is not None:
            flight.group.in_flight = False
        before = self._gate.state, self._gate.code
        if isinstance(outcome, SymbolRefused):
            refused = self._settle_disowned(flight, outcome, at)
        elif isinstance(outcome, Parsed) and flight.group is not None and flight.group.by_whole:
            refused = self._settle_narrowed(flight.group, outcome, at)
        else:
            refused = outcome if isinstance(outcome, Refused) else None
        if refused is not None:
            self._failures += 1
            self._settle_refused(flight, refused, at)
        else:
            self._settle_answered(flight, outcome, at)
        self._tell_if_changed(before, refused.detail if refused else "")

    def _settle_refused(self, flight: _Flight, refused: Refused, at: float) -> None:
        if flight.group is None:
            symbol = flight.request.symbols[0]
            if refused.state is VenueState.FAILING:
                self._turns.gate.refused(refused, at)
                self._tell_trades_failed(symbol, refused.code, self._turns.gate.retry_at, refused.detail)
                return
            self._turns.gate.answered(at)  # the refusal is of the venue, and says nothing about trades
        self._gate.refused(refused, at)

    def _settle_answered(self, flight: _Flight, outcome: Outcome, at: float) -> None:
        if flight.group is None:
            self._turns.gate.answered(at)
        elif isinstance(outcome, Parsed):
            self._listing.answered(flight.group)
        if self._gate.state is not VenueState.PROBING or flight.is_probe:
            self._gate.answered(at)

    def _settle_disowned(self, flight: _Flight, refused: SymbolRefused, at: float) -> Refused | None:
        """Search for the unknown symbol, or set it aside."""
        if flight.group is None:
            until = self._turns.disowned(flight.request.legs[0], at)
            self._tell_trades_failed(flight.request.symbols[0], refused.code, until, refused.detail)
            return None
        if self._adapter.whole is not None and not flight.group.by_whole and len(flight.group.legs) > 1:
            flight.group.by_whole, flight.group.due_at = True, at
            return None
        leg_aside = self._listing.disowned(flight.group, at)
        if leg_aside is not None and not self._listing.is_mostly_aside:
            self._lose(self._adapter.symbol(leg_aside))
        return self._disbelieve(refused.code, refused.detail, at)

    def _settle_narrowed(self, group: Group, parsed: Parsed, at: float) -> Refused | None:
        """All that the venue has shows which symbols it knows no more."""
        missing = frozenset(parsed.missing)
        self._listing.narrowed(group, [leg for leg in group.legs if self._adapter.symbol(leg) in missing], at)
        return self._disbelieve(0, "most symbols are missing", at)

    def _disbelieve(self, code: int, detail: str, at: float) -> Refused | None:
        """A venue that disowns most of its symbols is failing; all of them are asked for again."""
        if not self._listing.is_mostly_aside:
            return None
        self._listing.start_over(at)
        return Refused(VenueState.FAILING, code, detail=detail)

    def _tell_trades_failed(self, symbol: str, code: int, retry_at: float | None, detail: str) -> None:
        self._tell(TradesFailed(self._adapter.venue, symbol, code, retry_at, detail))

    def _lose(self, symbol: str) -> None:
        if symbol in self._lost:
            return
        self._lost.add(symbol)
        self._refused[Reason.UNKNOWN_SYMBOL] = self._refused.get(Reason.UNKNOWN_SYMBOL, 0) + 1
        self._tell(SymbolLost(self._adapter.venue, symbol))

    def _accept(self, request: Request, parsed: Parsed) -> list[Tick]:
        """The rows that stand at the rim; the others are counted and told."""
        if request.kind is RequestKind.TICKERS:
            self._note_listed(request, parsed)
        ticks: list[Tick] = []
        refusals = list(parsed.refusals)
        for quote in parsed.quotes:
            refusal = self._rim.judge(quote)
            if refusal is None:
                ticks.append(quote)
            else:
                refusals.append(refusal)
        if parsed.trades:
            trades, refused = self._rim.new_trades(request.legs[0], parsed.trades)
            ticks += trades
            refusals += refused
        for refusal in refusals:
            self._count(refusal)
        return ticks

    def _note_listed(self, request: Request, parsed: Parsed) -> None:
        for symbol in parsed.missing:
            self._lose(symbol)
        for symbol in self._lost.intersection(request.symbols).difference(parsed.missing):
            self._lost.remove(symbol)
            self._tell(SymbolFound(self._adapter.venue, symbol))

    def _count(self, refusal: Refusal) -> None:
        self._refused[refusal.reason] = self._refused.get(refusal.reason, 0) + 1
        self._tell(RowRefused(self._adapter.venue, refusal))

    def _tell_if_changed(self, before: tuple[VenueState, int], detail: str) -> None:
        gate = self._gate
        if (gate.state, gate.code) != before:
            self._tell(VenueChanged(self._adapter.venue, gate.state, gate.code, gate.retry_at, detail))


def _is_empty(request: Request, parsed: Parsed) -> bool:
    """An answer for many tickers of which none could be read: the venue fails, not each symbol."""
    if request.kind is not RequestKind.TICKERS or len(request.legs) == 1 or parsed.quotes:
        return False
    return all(refusal.reason is Reason.MALFORMED for refusal in parsed.refusals)
