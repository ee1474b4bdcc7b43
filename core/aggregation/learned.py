"""All that the estimator has learned, and when it learns: the memories of `legs`, `follow` and `calibration`.

Knows the order of things in a pass: corrections before it, prediction and band after it, lessons last. Does
not know how anything is learned. Nothing in here waits: a pass teaches in a bounded number of array
operations, and so does a round.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from core.aggregation.calibration import BandMemory, learn_from_legs, learn_from_round, width
from core.aggregation.estimates import Floats, LegReason
from core.aggregation.follow import FollowMemory, learn_round, predicted
from core.aggregation.kernel import Pass
from core.aggregation.legs import Corrections, LegMemory, Lesson, corrections, learn_legs
from core.aggregation.markets import Markets, Observations
from core.aggregation.rules import Rules
from core.aggregation.signals import Shown, SignalHistory


@dataclass(frozen=True, slots=True)
class Memory:
    """What outlives a pass, and a restart."""

    legs: LegMemory
    follow: FollowMemory
    band: BandMemory

    @classmethod
    def blank(cls, markets: Markets, rules: Rules) -> Memory:
        return cls(LegMemory.blank(markets, rules), FollowMemory.blank(markets), BandMemory.blank(markets))


class Learned:
    """The memories of one estimator, in the order in which a pass uses them."""

    def __init__(self, markets: Markets, rules: Rules) -> None:
        self._markets, self._rules = markets, rules
        self.memory = Memory.blank(markets, rules)
        self._history = SignalHistory(markets, rules)
        self._known_at, self._known = -np.inf, Corrections.none(markets)

    def corrections(self, at: float) -> Corrections:
        """What is known of the legs at a pass; a pass at the same instant again finds the same."""
        if at != self._known_at:
            self._known_at, self._known = at, corrections(self._markets, self.memory.legs, self._rules)
        return self._known

    def improved(self, new: Pass, seen: Observations, at: float) -> Pass:
        """The pass with what the others will say in its price, and with a band of the stated width.

        Teaches the memories what the pass showed. A feed that rests on pools alone is left as it is.
        """
        markets, rules, memory = self._markets, self._rules, self.memory
        with np.errstate(divide="ignore", invalid="ignore"):
            log_price = np.log(new.price)
            shown = self._shown(new, seen, log_price, at)
            lesson = self._lesson(new, log_price)
        signals = self._history.signals(log_price, shown, at)
        shift, error = predicted(markets, memory.follow, signals, at, rules)
        below, above = 1 - new.band_low / new.price, new.band_high / new.price - 1
        shown_width = (below + above) / 2
        exchange = ((new.weight > 0) & ~markets.dex).any(axis=1)
        stated = width(memory.band, shown_width, error, memory.follow.rounds, rules)
        stretch = np.where(exchange, stated / shown_width, 1.0)
        price = new.price * np.exp(np.where(exchange, shift, 0.0))
        below, above = below * stretch, above * stretch
        self.memory = replace(
            memory,
            legs=learn_legs(markets, memory.legs, lesson, at, rules),
            band=learn_from_legs(
                memory.band, shown.apart, new.weight, (below + above) / 2, at=at, rules=rules
            ),
        )
        self._history.state(price * (1 - below), price * (1 + above))
        return replace(
            new, price=price, band_low=price * np.maximum(1 - below, 0.0), band_high=price * (1 + above)
        )

    def learn(self, medians: Floats, at: float) -> None:
        """A finished round: its medians [F] in US dollars (NaN for none), committed at `at`.

        Without a pass shortly before `at` nothing is learned: an old round, or a process that began since.
        """
        then = self._history.near(at)
        if then is None:
            return
        low, high = self._history.stated(at)
        known = np.isfinite(medians) & (medians > 0) & np.isfinite(low)
        medians = np.where(known, medians, np.nan)
        outside = np.where(known, (medians < low) | (medians > high), np.nan)
        follow = learn_round(
            self._markets, self.memory.follow, then, medians, commit_at=at, rules=self._rules
        )
        if follow is not self.memory.follow:
            band = learn_from_round(self.memory.band, outside, at, self._rules)
            self.memory = replace(self.memory, follow=follow, band=band)

    def _shown(self, new: Pass, seen: Observations, log_price: Floats, at: float) -> Shown:
        """How far the used legs are from the price, and their last trades."""
        used = new.weight > 0
        apart = np.where(used, np.log(new.shown), np.nan) - log_price[:, None]
        traded = np.log(seen.last * new.rates.take(self._known.quote)) - log_price[:, None]
        return Shown(apart, np.where(used, traded, np.nan), np.maximum(at - seen.last_since, 0.0))

    def _lesson(self, new: Pass, log_price: Floats) -> Lesson:
        """What the legs of a pass teach: the fresh ones, whether used or left out as outliers."""
        used = new.weight > 0
        fresh = used | (new.reason == LegReason.OUTLIER.value)
        residual = np.where(fresh, np.log(new.usd) - log_price[:, None], np.nan)
        return Lesson(residual, new.weight, used, log_price, np.log(new.rates), new.raw, new.since)
