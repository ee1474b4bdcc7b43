"""Plain twin of the window: every tick is kept, and looked through when asked."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chrono.feeds import Feed
from core.aggregation.rules import RULES, Rules


@dataclass
class PlainTick:
    """A quote, or a trade (`last` is its price and `volume` its size). `leg` counts the legs of the feeds."""

    leg: int
    is_trade: bool
    received_at: float
    event_at: float | None = None
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    volume: float | None = None


@dataclass
class PlainLeg:
    """All that is remembered of a leg."""

    venue: str
    base: str
    quote: str
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    last_at: float = -math.inf
    volume_24h: float | None = None
    quote_told: float | None = None
    quote_received: float | None = None
    trade_told: float | None = None
    trade_received: float | None = None
    half_spread: float = 0.0
    prices: list[tuple[float, float | None]] = field(default_factory=list)  # since when, price
    trades: list[tuple[float, float, float]] = field(default_factory=list)  # told, price, size

    @property
    def price(self) -> float | None:
        return self.prices[-1][1] if self.prices else None

    @property
    def received_at(self) -> float | None:
        return max((t for t in (self.quote_received, self.trade_received) if t is not None), default=None)

    @property
    def told_at(self) -> float | None:
        """The venue's own time, or the receipt if its newest quote tells none."""
        if self.quote_received is not None and self.quote_told is None:
            return self.received_at
        return max((t for t in (self.quote_told, self.trade_told) if t is not None), default=None)

    def age_s(self, at: float) -> float:
        return max(at - self.told_at, 0.0)


@dataclass
class PlainVenue:
    heard_at: float | None = None
    received_at: float | None = None
    told_at: float | None = None


class PlainWindow:
    """Remembers everything, forgets nothing."""

    def __init__(self, feeds: Sequence[Feed], rules: Rules = RULES) -> None:
        self.feeds, self.rules, self.at = feeds, rules, -math.inf
        self.legs = [PlainLeg(leg.venue, leg.base, leg.quote) for feed in feeds for leg in feed.legs]
        self.venues = {leg.venue: PlainVenue() for leg in self.legs}

    def since(self) -> float:
        """VWAP and TWAP reach back to the beginning of the oldest of the buckets."""
        return (int(self.at // self.rules.bucket_s) - self.rules.buckets + 1) * self.rules.bucket_s

    def hear(self, venue: str, at: float) -> None:
        if venue in self.venues:
            known = self.venues[venue]
            known.heard_at = _later(known.heard_at, at)

    def apply(self, ticks: Iterable[PlainTick], at: float) -> None:
        self.at = max(self.at, at)
        ticks = [self._with_sane_times(tick) for tick in ticks]
        for tick in ticks:
            venue = self.venues[self.legs[tick.leg].venue]
            venue.heard_at = _later(venue.heard_at, tick.received_at)
            venue.received_at = _later(venue.received_at, tick.received_at)
            venue.told_at = _later(venue.told_at, tick.event_at)
        for index, leg in enumerate(self.legs):
            mine = [tick for tick in ticks if tick.leg == index]
            self._take_quotes(leg, [tick for tick in mine if not tick.is_trade])
            self._take_trades(leg, [tick for tick in mine if tick.is_trade and tick.event_at is not None])

    def _with_sane_times(self, tick: PlainTick) -> PlainTick:
        told = tick.event_at
        if told is not None and told > self.at + self.rules.future_s:
            told = None
        received = min(tick.received_at, self.at)
        return PlainTick(tick.leg, tick.is_trade, received, told, tick.bid, tick.ask, tick.last, tick.volume)

    def _take_quotes(self, leg: PlainLeg, quotes: list[PlainTick]) -> None:
        newer = [quote for quote in quotes if _is_newer(quote, leg)]
        newer.sort(key=lambda quote: (_told_or_received(quote), quote.received_at))
        for quote in newer:
            if quote.last is not None:
                leg.last, leg.last_at = quote.last, quote.received_at
            if quote.volume is not None:
                leg.volume_24h = quote.volume
            price, leg.half_spread = leg_price(quote.bid, quote.ask, quote.last, self.rules)
            self._stand(leg, price, quote.received_at)
            leg.bid, leg.ask = quote.bid, quote.ask
            leg.quote_told, leg.quote_received = quote.event_at, quote.received_at

    def _take_trades(self, leg: PlainLeg, trades: list[PlainTick]) -> None:
        newest_before = -math.inf if leg.trade_told is None else leg.trade_told
        counted = [trade for trade in trades if trade.event_at > newest_before]
        counted = [trade for trade in counted if trade.event_at >= self.since()]
        counted.sort(key=lambda trade: (trade.event_at, trade.received_at))
        for trade in counted:
            leg.trades.append((min(trade.event_at, self.at), trade.last, trade.volume))
        if not counted:
            return
        newest = counted[-1]
        leg.trade_told = newest.event_at
        leg.trade_received = _later(leg.trade_received, newest.received_at)
        if newest.event_at > leg.last_at:
            leg.last, leg.last_at = newest.last, newest.event_at
        book_stands = leg.bid is not None
        outside = book_stands and not leg.bid <= newest.last <= leg.ask
        if outside and newest.event_at > leg.quote_received:
            leg.bid = leg.ask = None
        price, leg.half_spread = leg_price(leg.bid, leg.ask, leg.last, self.rules)
        self._stand(leg, price, newest.received_at)

    def _stand(self, leg: PlainLeg, price: float | None, received: float) -> None:
        """The price stands from its receipt on, or from when the one before it did if that was later."""
        stood_since = leg.prices[-1][0] if leg.prices else -math.inf
        leg.prices.append((max(received, stood_since, self.since()), price))


def leg_price(
    bid: float | None, ask: float | None, last: float | None, rules: Rules
) -> tuple[float | None, float]:
    """The mid of a book that is not too wide; else `last`, moved into the book."""
    if bid is not None and ask is not None:
        mid = (bid + ask) / 2
        width = (ask - bid) / mid
        if width <= rules.book_width_max:
            return mid, width / 2
        return (None if last is None else min(max(last, bid), ask)), 0.0
    return last, 0.0


def _is_newer(quote: PlainTick, leg: PlainLeg) -> bool:
    if leg.quote_received is None:
        return True
    by_receipt = quote.received_at >= leg.quote_received
    if quote.event_at is None or leg.quote_told is None or quote.event_at == leg.quote_told:
        return by_receipt
    return quote.event_at > leg.quote_told


def _told_or_received(quote: PlainTick) -> float:
    return quote.received_at if quote.event_at is None else quote.event_at


def _later(known: float | None, new: float | None) -> float | None:
    return max((t for t in (known, new) if t is not None), default=None)
