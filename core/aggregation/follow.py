"""What the others will say: small corrections, learned from what finished rounds decided.

Knows finished rounds' medians and what our own legs showed at the instants of their commits. Does not know
who the others are, nor any median of a round that is not finished.

For every feed the target is `log(median) - log(price)` at the commit, in secondary bands. Two groups of
signals explain it, all 0 when there is nothing to say:

- **others' weights**: each used leg's own distance from our price, before any correction of ours. A factor
  that is the same for all feeds stands for a cell (venue, quote); what a feed does differently is learned
  apart, under a stronger pull to 0, with its constant.
- **others' lateness**: how far our price was from now `LOOKBACKS_S` ago. Providers whose values are a few
  seconds old leave the median behind a moving market.

Both are ridge regressions with forgetting, solved once a round. What each group would have done is scored on
every round before the round is learned from; a group speaks for a feed only while its score there is
positive. Corrections are clamped to `follow_bands` secondary bands and `follow_max`, and there are none

- for a feed whose last round or last target was odd: no median, a jump, further than `follow_odd_bands`;
- for all while the newest round learned from is older than `follow_stale_s`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.estimates import Floats
from core.aggregation.legs import cells_of
from core.aggregation.markets import Bools, Markets
from core.aggregation.rules import Rules

LOOKBACKS_S: Final = (1.0, 3.0, 10.0, 30.0)
NONE, WEIGHTS, LATENESS, BOTH = range(4)
CHOICES: Final = ("none", "weights", "lateness", "both")


@dataclass(frozen=True, slots=True)
class Signals:
    """What a pass shows of the others: log_price [F] (NaN for none), apart [F, K] and moved [F, M], in
    secondary bands; `moved` is our price of each lookback before, less that of now."""

    log_price: Floats
    apart: Floats
    moved: Floats


@dataclass(frozen=True, slots=True)
class FollowMemory:
    """common_square [D, D], common_product [D] over cells and lookbacks; own_square [F, K + 1, K + 1],
    own_product [F, K + 1] over a feed's legs and its constant; their solutions common [D] and own [F, K + 1].
    loss [CHOICES, F]: mean distance left with each choice. rounds, odd [F]; learned_at: the newest commit.
    """

    common_square: Floats
    common_product: Floats
    own_square: Floats
    own_product: Floats
    common: Floats
    own: Floats
    loss: Floats
    rounds: Floats
    odd: Bools
    learned_at: float

    @classmethod
    def blank(cls, markets: Markets) -> FollowMemory:
        feeds, legs = markets.shape
        size = _common_size(markets)
        return cls(
            common_square=np.zeros((size, size)),
            common_product=np.zeros(size),
            own_square=np.zeros((feeds, legs + 1, legs + 1)),
            own_product=np.zeros((feeds, legs + 1)),
            common=np.zeros(size),
            own=np.zeros((feeds, legs + 1)),
            loss=np.zeros((len(CHOICES), feeds)),
            rounds=np.zeros(feeds),
            odd=np.zeros(feeds, np.bool_),
            learned_at=-np.inf,
        )


def choices(markets: Markets, memory: FollowMemory, signals: Signals, rules: Rules) -> Floats:
    """The correction [CHOICES, F] that each choice would make, in secondary bands, clamped."""
    cells = _common_size(markets) - len(LOOKBACKS_S)
    by_leg = memory.common[:cells].take(cells_of(markets)) + memory.own[:, :-1]
    weights = np.einsum("fk,fk->f", by_leg, signals.apart) + memory.own[:, -1]
    late = signals.moved @ memory.common[cells:]
    bound = np.minimum(rules.follow_bands, rules.follow_max / markets.band)
    wanted = np.stack((np.zeros_like(late), weights, late, weights + late))
    return np.asarray(np.clip(np.nan_to_num(wanted), -bound, bound))


def chosen(memory: FollowMemory, at: float, rules: Rules) -> NDArray[np.intp]:
    """Which choice speaks for each feed [F] now: the best so far by a margin, else NONE."""
    margin = np.array([0.0, *[rules.follow_margin] * 3])[:, None] * memory.loss[NONE]
    best = np.asarray((memory.loss + margin).argmin(axis=0))
    silent = memory.odd | (memory.rounds < rules.follow_rounds_min)
    stale = not 0 <= at - memory.learned_at <= rules.follow_stale_s
    return np.where(silent | stale, NONE, best)


def predicted(markets: Markets, memory: FollowMemory, signals: Signals, at: float, rules: Rules) -> Floats:
    """The correction [F] of the log price."""
    each = choices(markets, memory, signals, rules)
    which = chosen(memory, at, rules)
    return np.asarray(each[which, np.arange(len(which))] * markets.band)


def learn_round(
    markets: Markets, memory: FollowMemory, then: Signals, median: Floats, *, commit_at: float, rules: Rules
) -> FollowMemory:
    """The memory after a finished round; `then` is what its commit saw. An older one teaches nothing."""
    if commit_at <= memory.learned_at:
        return memory
    with np.errstate(divide="ignore", invalid="ignore"):
        target = (np.log(median) - then.log_price) / markets.band
    sound = np.abs(target) <= rules.follow_odd_bands  # not where it is NaN
    target = np.where(sound, target, 0.0)
    left = np.abs(target - choices(markets, memory, then, rules))
    share = np.maximum(_forgotten(rules.follow_score_rounds), 1 / (memory.rounds + 1)) * sound
    loss = memory.loss + share * (left - memory.loss)
    bounded = np.clip(target, -rules.follow_teach_bands, rules.follow_teach_bands)
    learned = _solve_common(markets, memory, then, bounded, sound, rules=rules)
    learned = _solve_own(markets, learned, then, bounded, sound, rules=rules)
    return replace(learned, loss=loss, rounds=memory.rounds + sound, odd=~sound, learned_at=commit_at)


def _solve_common(
    markets: Markets, memory: FollowMemory, then: Signals, target: Floats, sound: Bools, *, rules: Rules
) -> FollowMemory:
    rows = np.zeros((len(target), len(memory.common)))
    cells = len(memory.common) - len(LOOKBACKS_S)
    each = np.arange(len(target))[:, None]
    np.add.at(rows, (each, cells_of(markets)), then.apart)
    rows[:, cells:] = then.moved
    rows *= sound[:, None]
    keep = 1 - _forgotten(rules.follow_rounds)
    square = memory.common_square * keep + rows.T @ rows
    product = memory.common_product * keep + rows.T @ (target * sound)
    ridge = np.eye(len(square)) * rules.follow_ridge
    return replace(
        memory,
        common_square=square,
        common_product=product,
        common=np.asarray(np.linalg.solve(square + ridge, product), np.float64),
    )


def _solve_own(
    markets: Markets, memory: FollowMemory, then: Signals, target: Floats, sound: Bools, *, rules: Rules
) -> FollowMemory:
    """What a feed does beside what is common, from what the common factors leave."""
    cells = len(memory.common) - len(LOOKBACKS_S)
    explained = np.einsum("fk,fk->f", memory.common[:cells].take(cells_of(markets)), then.apart)
    rest = target - explained - then.moved @ memory.common[cells:]
    rows = np.concatenate((then.apart, np.ones((len(target), 1))), axis=1) * sound[:, None]
    keep = np.where(sound, 1 - _forgotten(rules.follow_rounds), 1.0)
    square = memory.own_square * keep[:, None, None] + rows[:, :, None] * rows[:, None, :]
    product = memory.own_product * keep[:, None] + rows * rest[:, None]
    ridge = np.eye(rows.shape[1]) * rules.follow_own_ridge
    own = np.linalg.solve(square + ridge, product[:, :, None])[:, :, 0]
    return replace(memory, own_square=square, own_product=product, own=own)


def _common_size(markets: Markets) -> int:
    return max(len(markets.venues), 1) * len(markets.currencies) + len(LOOKBACKS_S)


def _forgotten(rounds: float) -> float:
    """What one round replaces, for a memory of so many."""
    return 1 / rounds


class SignalHistory:
    """The signals of the latest passes, for the rounds that finish after them. Bounded by `follow_history`.

    Passes closer than `follow_spacing_s` to the one before are not kept, except that the newest is always
    there. Prices of lookbacks are read from here too.
    """

    def __init__(self, markets: Markets, rules: Rules) -> None:
        feeds, legs = markets.shape
        self._rules, self._count = rules, 0
        size = rules.follow_history
        self._at = np.full(size, -np.inf)
        self._log_price = np.full((size, feeds), np.nan)
        self._apart = np.zeros((size, feeds, legs))
        self._moved = np.zeros((size, feeds, len(LOOKBACKS_S)))
        self._low, self._high = np.full((2, size, feeds), np.nan)

    def signals(self, markets: Markets, log_price: Floats, apart: Floats, at: float) -> Signals:
        """The signals of a pass, its moves read from the passes before it; and remember them."""
        moved = np.stack([self._price_at(at - back) for back in LOOKBACKS_S], axis=1) - log_price[:, None]
        bands = markets.band[:, None]
        bound = self._rules.follow_signal_bands
        told = Signals(
            log_price,
            np.clip(np.nan_to_num(apart / bands), -bound, bound),
            np.clip(np.nan_to_num(moved / bands), -bound, bound),
        )
        self._remember(told, at)
        return told

    def near(self, at: float) -> Signals | None:
        """The newest signals at or before `at`; None if they are more than `follow_apart_s` older."""
        place = self._newest_before(at)
        if place is None or at - self._at[place] > self._rules.follow_apart_s:
            return None
        return Signals(self._log_price[place], self._apart[place], self._moved[place])

    def state(self, low: Floats, high: Floats) -> None:
        """The band that was stated with the newest signals."""
        place = (self._count - 1) % len(self._at)
        self._low[place], self._high[place] = low, high

    def stated(self, at: float) -> tuple[Floats, Floats]:
        """The band that stood at `at`, for an instant for which `near` has signals."""
        place = self._newest_before(at)
        return (self._low[0], self._high[0]) if place is None else (self._low[place], self._high[place])

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
        self._at[place], self._log_price[place] = at, told.log_price
        self._apart[place], self._moved[place] = told.apart, told.moved
        self._count += 1
