"""What a pass shows of the others before their round is finished, kept until it is.

Knows our price, what our legs showed beside it, and the passes before. Does not know any median, nor what a
signal is worth: that is learned in `follow`. Signals are in units of the feed (`unit_of`), cut to bounds of
`rules`, and 0 where there is nothing to say:

- **apart**: how far each used leg is from our price, before any correction of ours.
- **traded**: how far the last trade of each used leg is from our price, and its freshness as a share of the
  feed's. Books move first and trades follow; most of the published providers, Flare's example among them,
  read last trades, and weigh them by an age of e^(-age / 20 s).
- **moved**: how far our price was from now, `LOOKBACKS_S` ago.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.aggregation.rules import Rules

LOOKBACKS_S: Final = (1.0, 3.0, 10.0, 30.0)
_OLD: Final = 1e-3
"""What a last trade of any age still counts: where nobody trades, all are old alike."""


@dataclass(frozen=True, slots=True)
class Signals:
    """log_price [F] (NaN for none), apart, traded and fresh [F, K], moved [F, M]."""

    log_price: Floats
    apart: Floats
    traded: Floats
    fresh: Floats
    moved: Floats


@dataclass(frozen=True, slots=True)
class Shown:
    """What legs show, [F, K], as logs of dollars: apart and traded from the price; NaN for none. traded_age_s
    is how long the last trade has stood."""

    apart: Floats
    traded: Floats
    traded_age_s: Floats


def unit_of(markets: Markets, rules: Rules) -> Floats:
    """In what each feed's signals and corrections are told, [F]: secondary bands, or `follow_unit_min`.

    Stablecoins' bands of 1 bp are no measure of how far apart venues stand.
    """
    return np.maximum(markets.band, rules.follow_unit_min)


class SignalHistory:
    """The signals of the latest passes, for the rounds that finish after them. Bounded by `follow_history`.

    Passes closer than `follow_spacing_s` to the one before are not kept, except that the newest is always
    there. Prices of lookbacks are read from here too.
    """

    def __init__(self, markets: Markets, rules: Rules) -> None:
        feeds, legs = markets.shape
        self._rules, self._count = rules, 0
        self._unit = unit_of(markets, rules)[:, None]
        size = rules.follow_history
        self._at = np.full(size, -np.inf)
        self._log_price = np.full((size, feeds), np.nan)
        self._apart, self._traded, self._fresh = np.zeros((3, size, feeds, legs))
        self._moved = np.zeros((size, feeds, len(LOOKBACKS_S)))
        self._low, self._high = np.full((2, size, feeds), np.nan)

    def signals(self, log_price: Floats, shown: Shown, at: float) -> Signals:
        """The signals of a pass, its moves read from the passes before it; and remember them."""
        rules = self._rules
        moved = np.stack([self._price_at(at - back) for back in LOOKBACKS_S], axis=1) - log_price[:, None]
        told = Signals(
            log_price,
            self._bounded(shown.apart, rules.follow_apart_units),
            self._bounded(shown.traded, rules.follow_trade_units),
            _freshness(shown, rules.follow_trade_s),
            self._bounded(moved, rules.follow_move_units),
        )
        self._remember(told, at)
        return told

    def near(self, at: float) -> Signals | None:
        """The newest signals at or before `at`; None if they are more than `follow_near_s` older."""
        place = self._newest_before(at)
        if place is None or at - self._at[place] > self._rules.follow_near_s:
            return None
        kept = (self._log_price, self._apart, self._traded, self._fresh, self._moved)
        return Signals(*(each[place] for each in kept))

    def state(self, low: Floats, high: Floats) -> None:
        """The band that was stated with the newest signals."""
        place = (self._count - 1) % len(self._at)
        self._low[place], self._high[place] = low, high

    def stated(self, at: float) -> tuple[Floats, Floats]:
        """The band that stood at `at`, for an instant for which `near` has signals."""
        place = self._newest_before(at)
        return (self._low[0], self._high[0]) if place is None else (self._low[place], self._high[place])

    def _bounded(self, apart: Floats, units: float) -> Floats:
        return np.asarray(np.clip(np.nan_to_num(apart / self._unit), -units, units))

    def _price_at(self, at: float) -> Floats:
        place = self._newest_before(at)
        return np.full(self._log_price.shape[1], np.nan) if place is None else self._log_price[place]

    def _newest_before(self, at: float) -> int | None:
        known = np.where(self._at <= at, self._at, -np.inf)
        place = int(known.argmax())
        return None if known[place] == -np.inf else place

    def _remember(self, told: Signals, at: float) -> None:
        before = (self._count - 1) % len(self._at)
        older = (self._count - 2) % len(self._at)
        if self._count > 1 and self._at[before] - self._at[older] < self._rules.follow_spacing_s:
            self._count -= 1  # the one before was no step from the one before it
        place = self._count % len(self._at)
        self._at[place], self._log_price[place], self._moved[place] = at, told.log_price, told.moved
        self._apart[place], self._traded[place], self._fresh[place] = told.apart, told.traded, told.fresh
        self._count += 1


def _freshness(shown: Shown, life_s: float) -> Floats:
    """Each last trade's share of its feed's, [F, K], by age; 0 where there is none."""
    weight = np.where(np.isnan(shown.traded), 0.0, np.exp(-shown.traded_age_s / life_s) + _OLD)
    return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), _OLD))
