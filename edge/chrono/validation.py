"""Validation at the rim: what a row may not claim, judged beside what its leg said before.

Knows the last accepted price and time of each leg and the newest trade told. Refuses a row, never an answer.
Does not judge whether a price is current (the core does, with all venues in sight).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from chrono.feeds import Leg
from chrono.ticks import Quote, Reason, Refusal, Trade
from chrono.venues.adapter import ToldTrade

FUTURE_S: Final = 2.0
STALE_S: Final = 3_600.0
BACKWARD_S: Final = 10.0
HISTORY_S: Final = 120.0
JUMP: Final = 0.30
JUMP_WINDOW_S: Final = 60.0
JUMP_CONFIRMATIONS: Final = 3
AGREEMENT: Final = 0.10
TOLD_MAX: Final = 1_000


@dataclass(slots=True)
class _LegMemory:
    """What one leg said. `claims` answers in a row said `claimed` and were refused for the jump to it."""

    symbol: str
    price: float = 0.0
    accepted_at: float = 0.0
    event_at: float = 0.0
    claimed: float = 0.0
    claims: int = 0
    told_at: float | None = None
    told_ids: set[str] = field(default_factory=set)


class Rim:
    """Judges the rows of one venue. Bounded by its legs; of trades only the newest instant is remembered.

    `symbol` names a leg in the refusals as the venue does.
    """

    def __init__(self, legs: Iterable[Leg], symbol: Callable[[Leg], str]) -> None:
        self._memory = {leg: _LegMemory(symbol(leg)) for leg in legs}

    def judge(self, quote: Quote) -> Refusal | None:
        """Why a quote is refused, or None; an accepted one is remembered."""
        memory = self._memory[quote.leg]
        level = _level(quote)
        refusal = (
            _misdated(memory, quote.event_at, quote.received_at)
            or _set_back(memory, quote.event_at)
            or _jumped(memory, level, quote.received_at)
        )
        if refusal is not None and refusal.reason is Reason.JUMP and _confirmed(memory, level):
            refusal = None
        if refusal is None:
            memory.price, memory.accepted_at, memory.claims = level, quote.received_at, 0
            memory.event_at = max(memory.event_at, quote.event_at or 0.0)
        return refusal

    def new_trades(self, leg: Leg, told: Iterable[ToldTrade]) -> tuple[list[Trade], list[Refusal]]:
        """The trades of one leg, oldest first, that were not told before, and those refused.

        At the first answer, trades older than HISTORY_S are history, not news: they are left out and not
        counted. A venue's trades do not go back in time, so the newest instant and its ids are memory
        enough.
        """
        memory = self._memory[leg]
        history_s = HISTORY_S if memory.told_at is None else float("inf")
        trades: list[Trade] = []
        refusals: list[Refusal] = []
        for item in told:
            trade = item.trade
            misdated = _misdated(memory, trade.event_at, trade.received_at)
            if misdated is not None and misdated.reason is Reason.FUTURE:
                refusals.append(misdated)  # and not remembered: it would hide the true ones
                continue
            if not _is_news(memory, item) or trade.received_at - trade.event_at > history_s:
                continue
            refusal = misdated or _jumped(memory, float(trade.price), trade.received_at)
            if refusal is None:
                trades.append(trade)
            else:
                refusals.append(refusal)
        return trades, refusals


def _misdated(memory: _LegMemory, event_at: float | None, received_at: float) -> Refusal | None:
    if event_at is None:
        return None
    if event_at > received_at + FUTURE_S:
        return Refusal(memory.symbol, Reason.FUTURE, f"{event_at - received_at:.1f} s ahead")
    if event_at < received_at - STALE_S:
        return Refusal(memory.symbol, Reason.STALE, f"{received_at - event_at:.0f} s old")
    return None


def _set_back(memory: _LegMemory, event_at: float | None) -> Refusal | None:
    """An answer from a cache that is behind the one before: an old price served by a venue that is up."""
    if event_at is None or event_at >= memory.event_at - BACKWARD_S:
        return None
    return Refusal(memory.symbol, Reason.STALE, f"{memory.event_at - event_at:.1f} s before the last one")


def _jumped(memory: _LegMemory, level: float, received_at: float) -> Refusal | None:
    if not memory.price or received_at - memory.accepted_at > JUMP_WINDOW_S:
        return None
    if abs(level / memory.price - 1) <= JUMP:
        return None
    return Refusal(memory.symbol, Reason.JUMP, f"from {memory.price:g} to {level:g}")


def _confirmed(memory: _LegMemory, level: float) -> bool:
    """Count an answer that claims a far level; true at the third in a row that agrees."""
    agrees = memory.claims > 0 and abs(level / memory.claimed - 1) <= AGREEMENT
    memory.claims = memory.claims + 1 if agrees else 1
    memory.claimed = level
    return memory.claims >= JUMP_CONFIRMATIONS


def _level(quote: Quote) -> float:
    """The price that a quote stands for here: the middle of its book, or its last price."""
    if quote.bid is not None and quote.ask is not None:
        return (float(quote.bid) + float(quote.ask)) / 2
    return float(quote.last or 0)


def _is_news(memory: _LegMemory, item: ToldTrade) -> bool:
    """Whether a trade is after all that were told, or beside them; it is then remembered as told."""
    at = item.trade.event_at
    if memory.told_at is None or at > memory.told_at:
        memory.told_at, memory.told_ids = at, {item.trade_id}
        return True
    if at < memory.told_at or item.trade_id in memory.told_ids or len(memory.told_ids) >= TOLD_MAX:
        return False
    memory.told_ids.add(item.trade_id)
    return True
