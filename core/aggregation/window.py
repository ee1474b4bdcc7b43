"""The window: the newest observation of every leg, and a minute of trades and prices for VWAP and TWAP.

Knows how ticks become columns. Does not know what is too old (`freshness`), what anything is worth in
dollars (`conversion`) or who is right (`outliers`). Memory is bounded: it depends on the feed table alone.

The rules, all per leg:

- **Which quote is newer.** By the venue's own time where both tell one (then by receipt), else by receipt.
  An older one is ignored; of several in one batch the newest wins. A venue's time more than `future_s` ahead
  of ours counts as not told, and a receipt ahead of ours as now: a wrong clock cannot hold a leg.
- **The price** is the mid of the book while there is one. `last` outside the quote's own book is only an
  older trade and changes nothing. A trade told after the book was received and outside it shows that the book
  is gone: the price is `last` until the next quote. The middle of a book wider than `book_width_max` is no
  price either: then `last`, moved into the book if it is outside, or no price.
- **Trades** go into buckets by their own time. A trade that is not later than the newest one of an earlier
  batch is taken for a repetition: VWAP would rather miss a late trade than count one twice.
- **TWAP** is the exact integral of the price, constant between receipts, kept in buckets of time. Between
  two quotes of one batch every quote counts; of a batch's trades only the newest can move a price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.feeds import FEEDS, Feed
from core.aggregation.buckets import Buckets
from core.aggregation.estimates import Floats
from core.aggregation.markets import NOTIONAL, VOLUME, Bools, Ints, Markets, Observations
from core.aggregation.rules import RULES, Rules
from core.columns import TickColumns

_NEVER: Final = -np.inf


@dataclass(frozen=True, slots=True)
class _Ticks:
    """N ticks on their way into the window, by slot; `told` is NaN for none."""

    slot: Ints
    told: Floats
    received: Floats
    bid: Floats
    ask: Floats
    last: Floats
    volume: Floats

    def pick(self, which: Ints | Bools) -> _Ticks:
        return _Ticks(
            self.slot[which],
            self.told[which],
            self.received[which],
            self.bid[which],
            self.ask[which],
            self.last[which],
            self.volume[which],
        )


class Window:
    """The last observations by leg. Ticks' legs are numbered as in the feed table that it is made for."""

    def __init__(self, feeds: Sequence[Feed] = FEEDS, rules: Rules = RULES) -> None:
        self.markets = Markets.of(feeds)
        self.rules = rules
        feed_count, width = self.markets.shape
        places = feed_count * width
        self._venue = self.markets.venue.ravel()
        self._bid, self._ask, self._last = (np.full(places, np.nan) for _ in range(3))
        self._price, self._volume_24h, self._quote_told = (np.full(places, np.nan) for _ in range(3))
        self._half_spread = np.zeros(places)
        self._quote_received, self._trade_received = (np.full(places, _NEVER) for _ in range(2))
        self._received, self._told, self._held_since = (np.full(places, _NEVER) for _ in range(3))
        self._trade_told, self._last_at, self._last_since = (np.full(places, _NEVER) for _ in range(3))
        self._route = np.full(places, -1, np.int32)
        venues = max(len(self.markets.venues), 1)
        self._heard, self._venue_received = (np.full(venues, _NEVER) for _ in range(2))
        self._venue_told = np.full(venues, np.nan)
        self._buckets = Buckets(places, rules)
        self._traded = np.zeros((2, places))
        self._at = _NEVER

    def hear(self, venue: str, at: float) -> None:
        """The venue answered something at that time, be it "no change". An unknown venue is ignored."""
        if venue in self.markets.venues:
            index = self.markets.venues.index(venue)
            self._heard[index] = max(self._heard[index], at)

    def apply(self, ticks: TickColumns, at: float, route: int = 0) -> None:
        """Take the ticks of a batch, in any order. `at` is now; a step back of it is not followed.

        `route` is the number of the collector that brings them: kept with what it changes, and nothing else.
        """
        if not len(ticks):
            return
        self._roll(at)
        told = ticks.event_at
        told[told > self._at + self.rules.future_s] = np.nan
        received = np.minimum(ticks.received_at, self._at)
        slot = self.markets.slot[ticks.leg]
        self._note_venues(self._venue[slot], received, told)
        new = _Ticks(slot, told, received, ticks.bid, ticks.ask, ticks.last, ticks.volume)
        trade = ticks.is_trade
        with np.errstate(divide="ignore", invalid="ignore"):
            self._take_quotes(new.pick(~trade), route)
            self._take_trades(new.pick(trade & ~np.isnan(told)), route)

    def routes(self) -> NDArray[np.int32]:
        """By leg of the feed table, the route of the newest quote or trade that was taken; -1 for none."""
        return np.asarray(self._route[self.markets.slot])

    def observed(self, at: float) -> Observations:
        """What is known at `at`, as views of this window: read them before the next `apply`."""
        self._roll(at)
        shape = self.markets.shape
        return Observations(
            price=self._price.reshape(shape),
            half_spread=self._half_spread.reshape(shape),
            volume_24h=self._volume_24h.reshape(shape),
            received_at=self._received.reshape(shape),
            told_at=self._told.reshape(shape),
            held_since=self._held_since.reshape(shape),
            last=self._last.reshape(shape),
            last_since=self._last_since.reshape(shape),
            heard_at=self._heard,
            lag_s=self._venue_received - self._venue_told,
            sums=self._buckets.sums.reshape(4, *shape),
            since=self._buckets.since,
        )

    def take_traded(self) -> Floats:
        """Volume (base) and notional (quote currency) traded since the last call, [2, F, K]; starts anew."""
        taken = self._traded.reshape(2, *self.markets.shape)
        self._traded = np.zeros_like(self._traded)
        return taken

    def _roll(self, at: float) -> None:
        self._at = max(at, self._at)
        self._buckets.roll(self._at)

    def _note_venues(self, venue: Ints, received: Floats, told: Floats) -> None:
        np.maximum.at(self._heard, venue, received)
        np.maximum.at(self._venue_received, venue, received)
        np.fmax.at(self._venue_told, venue, told)

    def _take_quotes(self, new: _Ticks, route: int) -> None:
        new = new.pick(self._newer(new))
        if not len(new.slot):
            return
        age_key = np.where(np.isnan(new.told), new.received, new.told)
        new = new.pick(np.lexsort((new.received, age_key, new.slot)))
        # A repeated index keeps its last value, and the newest observation of a leg comes last.
        shows_last, shows_volume = ~np.isnan(new.last), ~np.isnan(new.volume)
        another = shows_last & (new.last != self._last[new.slot])
        self._last_since[new.slot[another]] = new.received[another]
        self._last[new.slot[shows_last]] = new.last[shows_last]
        self._last_at[new.slot[shows_last]] = new.received[shows_last]
        self._volume_24h[new.slot[shows_volume]] = new.volume[shows_volume]
        price, half_spread = leg_price(new.bid, new.ask, new.last, self.rules)
        self._hold(new, price)
        self._bid[new.slot], self._ask[new.slot] = new.bid, new.ask
        self._half_spread[new.slot] = half_spread
        self._quote_told[new.slot], self._quote_received[new.slot] = new.told, new.received
        self._route[new.slot] = route
        self._refresh(new.slot)

    def _newer(self, new: _Ticks) -> Bools:
        """Which quotes are not older than the one that their leg has."""
        has_told, has_received = self._quote_told[new.slot], self._quote_received[new.slot]
        by_receipt = new.received >= has_received
        by_told = (new.told > has_told) | ((new.told == has_told) & by_receipt)
        both_told = ~(np.isnan(new.told) | np.isnan(has_told))
        return np.asarray(np.where(both_told, by_told, by_receipt))

    def _take_trades(self, new: _Ticks, route: int) -> None:
        fresh = (new.told > self._trade_told[new.slot]) & (new.told >= self._buckets.since)
        new = new.pick(fresh)
        if not len(new.slot):
            return
        self._route[new.slot] = route
        new = new.pick(np.lexsort((new.received, new.told, new.slot)))
        self._buckets.add_trades(new.slot, new.told, new.last, new.volume)
        np.add.at(self._traded[VOLUME], new.slot, new.volume)
        np.add.at(self._traded[NOTIONAL], new.slot, new.volume * new.last)
        self._move_last(new.pick(np.append(new.slot[1:] != new.slot[:-1], True)))

    def _move_last(self, new: _Ticks) -> None:
        """The newest trade of each leg becomes its last, and its price where no book stands."""
        slot = new.slot
        self._trade_told[slot] = new.told
        self._trade_received[slot] = np.maximum(new.received, self._trade_received[slot])
        later = new.told > self._last_at[slot]
        self._last[slot[later]], self._last_at[slot[later]] = new.last[later], new.told[later]
        self._last_since[slot[later]] = new.told[later]
        outside = (new.last < self._bid[slot]) | (new.last > self._ask[slot])
        left = slot[outside & (new.told > self._quote_received[slot])]
        self._bid[left] = self._ask[left] = np.nan
        price, half_spread = leg_price(self._bid[slot], self._ask[slot], self._last[slot], self.rules)
        self._hold(new, price)
        self._half_spread[slot] = half_spread
        self._refresh(slot)

    def _refresh(self, slot: Ints) -> None:
        """When these legs were last received, and the time that their venue tells for them."""
        received = np.maximum(self._quote_received[slot], self._trade_received[slot])
        clockless = np.isnan(self._quote_told[slot]) & (self._quote_received[slot] > _NEVER)
        told = np.fmax(self._quote_told[slot], self._trade_told[slot])
        self._received[slot] = received
        self._told[slot] = np.where(clockless, received, told)

    def _hold(self, new: _Ticks, price: Floats) -> None:
        """Close the time under the prices that stood and let these stand; sorted by slot, newest last."""
        slot = new.slot
        first = np.append(True, slot[1:] != slot[:-1])
        stood_since = self._held_since[slot]
        until = _climbing(np.maximum(new.received, stood_since), first, self._buckets.since, self._at)
        begin = np.where(first, stood_since, np.roll(until, 1))
        stood = np.where(first, self._price[slot], np.roll(price, 1))
        self._buckets.add_prices(slot, begin, until, stood)
        self._price[slot], self._held_since[slot] = price, until


def leg_price(bid: Floats, ask: Floats, last: Floats, rules: Rules) -> tuple[Floats, Floats]:
    """The price and the half spread (a ratio of it) of legs, by the rules told above; NaN for no price."""
    mid = (bid + ask) / 2
    width = (ask - bid) / mid
    narrow = width <= rules.book_width_max
    price = np.where(narrow, mid, np.fmin(np.fmax(last, bid), ask))
    price[np.isnan(last) & ~narrow] = np.nan
    return price, np.where(narrow, width / 2, 0.0)


def _climbing(times: Floats, first: Bools, floor: float, ceiling: float) -> Floats:
    """Times that never fall within a leg: each is raised to the largest before it, and to `floor`.

    The legs are laid end to end on one axis, each on a stretch of its own, so that one running maximum does.
    """
    stretch = (np.cumsum(first) - 1) * (2 * (ceiling - floor))
    laid = np.clip(times - floor, 0.0, ceiling - floor) + stretch
    return np.asarray(np.maximum.accumulate(laid) - stretch + floor)
