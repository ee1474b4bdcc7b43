"""What the others will say: small corrections, learned from what finished rounds decided.

Knows finished rounds' medians and what our own legs showed at the instants of their commits. Does not know
who the others are, nor any median of a round that is not finished.

For every feed the target is `log(median) - log(price)` at the commit, in units of the feed (`unit_of`). Two
groups of `signals` explain it:

- **others' weights**: how far each used leg, and its last trade, are from our price. A factor that is the
  same for all feeds stands for a cell (venue, quote), one of its book and one of its trades; what a feed does
  differently is learned apart, with its constant. What is further off than `follow_usual` times the feed's
  usual distance loses its say, to nothing at twice that: it is no habit that could have been learned. What
  legs have said for rounds (`standing`) speaks whole; all that is new in it for no more than
  `follow_news_bands` secondary bands, or as many times the feed's usual distance if that is more. A lie is
  news; what venues 20 bps apart say all day is not.
- **others' lateness**: how far our price was from now some seconds ago. Providers whose values are a few
  seconds old leave the median behind a moving market.

Both are ridge regressions with forgetting, solved once a round. A feed counts by `follow_noise_power` less,
the further its medians have been from what was foretold: else thin markets, whose medians are a hundred
times noisier, would decide what is learned for all. What each group would have done is scored on every round
before the round is learned from; a group speaks for a feed only while its score there is positive.
Corrections are clamped to `follow_units` and `follow_max`, and there are none

- for a feed whose last round or last target was odd: no median, a jump, further than `follow_odd_units`;
- for all while the newest round learned from is older than `follow_stale_s`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.estimates import Floats
from core.aggregation.legs import cells_of
from core.aggregation.markets import Bools, Ints, Markets
from core.aggregation.median import plain_median
from core.aggregation.rules import Rules
from core.aggregation.signals import LOOKBACKS_S, Signals, unit_of

NONE, WEIGHTS, LATENESS, BOTH = range(4)
CHOICES: Final = ("none", "weights", "lateness", "both")


@dataclass(frozen=True, slots=True)
class FollowMemory:
    """common_square [D, D], common_product [D] over cells (books, then trades) and lookbacks; own_square
    [F, S, S], own_product [F, S] over a feed's legs (books, then trades), lookbacks and its constant; their
    solutions common [D] and own [F, S]. In units: loss [CHOICES, F], the mean distance left with each choice;
    usual [2, F], the middle distance of books and of trades; standing [F, 2 K], what books and trades have
    said on average. rounds, odd [F]; learned_at: the newest commit.
    """

    common_square: Floats
    common_product: Floats
    own_square: Floats
    own_product: Floats
    common: Floats
    own: Floats
    loss: Floats
    usual: Floats
    standing: Floats
    rounds: Floats
    odd: Bools
    learned_at: float

    @classmethod
    def blank(cls, markets: Markets) -> FollowMemory:
        feeds, legs = markets.shape
        size = 2 * _cell_count(markets) + len(LOOKBACKS_S)
        own = 2 * legs + len(LOOKBACKS_S) + 1
        return cls(
            common_square=np.zeros((size, size)),
            common_product=np.zeros(size),
            own_square=np.zeros((feeds, own, own)),
            own_product=np.zeros((feeds, own)),
            common=np.zeros(size),
            own=np.zeros((feeds, own)),
            loss=np.zeros((len(CHOICES), feeds)),
            usual=np.zeros((2, feeds)),
            standing=np.zeros((feeds, 2 * legs)),
            rounds=np.zeros(feeds),
            odd=np.zeros(feeds, np.bool_),
            learned_at=-np.inf,
        )


def choices(markets: Markets, memory: FollowMemory, signals: Signals, rules: Rules) -> Floats:
    """The correction [CHOICES, F] that each choice would make, in units, clamped."""
    cells, legs = 2 * _cell_count(markets), 2 * markets.shape[1]
    unit = unit_of(markets, rules)
    factor = memory.common[:cells].take(_cells(markets)) + memory.own[:, :legs]
    usually = np.einsum("fk,fk->f", factor, memory.standing) + memory.own[:, -1]
    news = factor * (_heard(memory, signals, rules) - memory.standing)
    say = rules.follow_news_bands * np.maximum(markets.band / unit, memory.usual[0])
    weights = usually + np.minimum(np.maximum(news.sum(axis=1), -say), say)
    late = np.einsum("fm,fm->f", memory.common[cells:] + memory.own[:, legs:-1], signals.moved)
    bound = np.minimum(rules.follow_units, rules.follow_max / unit)
    wanted = np.stack((np.zeros_like(late), weights, late, weights + late))
    return np.asarray(np.clip(np.nan_to_num(wanted), -bound, bound))


def _heard(memory: FollowMemory, signals: Signals, rules: Rules) -> Floats:
    """What is made of books and trades, [F, 2 K]: nothing of what is far beyond the usual."""
    known = np.where(memory.rounds > 0, memory.usual, np.inf)[:, :, None]
    reach = np.maximum(known, rules.follow_usual_min_units) * rules.follow_usual
    apart, traded = (
        each * np.clip(2.0 - np.abs(each) / far, 0.0, 1.0)
        for each, far in zip((signals.apart, signals.traded), reach, strict=True)
    )
    return np.concatenate((apart, traded * signals.fresh), axis=1)


def _usual(memory: FollowMemory, then: Signals, share: Floats) -> Floats:
    """The usual distances [2, F] after a round: of the legs that say something, the middle one."""
    both = np.abs(np.stack((then.apart, then.traded)))
    said = both > 0
    rows = np.sort(np.where(said, both, np.inf), axis=2).reshape(-1, both.shape[2])
    middle = plain_median(rows, said.sum(axis=2).ravel()).reshape(both.shape[:2])
    return memory.usual + share * np.nan_to_num(middle - memory.usual)


def chosen(memory: FollowMemory, at: float, rules: Rules) -> NDArray[np.intp]:
    """Which choice speaks for each feed [F] now: the best so far by a margin, else NONE."""
    margin = np.array([0.0, *[rules.follow_margin] * 3])[:, None] * memory.loss[NONE]
    best = np.asarray((memory.loss + margin).argmin(axis=0))
    silent = memory.odd | (memory.rounds < rules.follow_rounds_min)
    stale = not 0 <= at - memory.learned_at <= rules.follow_stale_s
    return np.where(silent | stale, NONE, best)


def predicted(
    markets: Markets, memory: FollowMemory, signals: Signals, at: float, rules: Rules
) -> tuple[Floats, Floats]:
    """The correction [F] of the log price, and the mean error [F] that it has left in the latest rounds."""
    which = chosen(memory, at, rules), np.arange(len(markets.band))
    each = choices(markets, memory, signals, rules)
    error = np.maximum(memory.loss[which], rules.follow_noise_floor_units)
    unit = unit_of(markets, rules)
    return each[which] * unit, error * unit


def learn_round(
    markets: Markets, memory: FollowMemory, then: Signals, median: Floats, *, commit_at: float, rules: Rules
) -> FollowMemory:
    """The memory after a finished round; `then` is what its commit saw. An older one teaches nothing."""
    if commit_at <= memory.learned_at:
        return memory
    with np.errstate(divide="ignore", invalid="ignore"):
        target = (np.log(median) - then.log_price) / unit_of(markets, rules)
    sound = np.abs(target) <= rules.follow_odd_units  # not where it is NaN
    target = np.where(sound, target, 0.0)
    left = np.abs(target - choices(markets, memory, then, rules))
    share = np.maximum(_forgotten(rules.follow_score_rounds), 1 / (memory.rounds + 1)) * sound
    loss = memory.loss + share * (left - memory.loss)
    bounded = np.clip(target, -rules.follow_teach_units, rules.follow_teach_units)
    noise = np.maximum(loss.min(axis=0), rules.follow_noise_floor_units)
    weight = sound / noise**rules.follow_noise_power
    legs = _heard(memory, then, rules)
    shared = _common_rows(markets, legs, then.moved)
    learned = _solve_common(memory, shared, bounded, weight, rules=rules)
    rest = bounded - shared @ learned.common
    rows = np.concatenate((legs, then.moved, np.ones((len(target), 1))), axis=1)
    learned = _solve_own(learned, rows, rest, weight, rules=rules)
    usual = _usual(memory, then, share)
    lately = np.maximum(_forgotten(rules.follow_standing_rounds), 1 / (memory.rounds + 1)) * sound
    standing = memory.standing + lately[:, None] * (legs - memory.standing)
    return replace(
        learned,
        loss=loss,
        usual=usual,
        standing=standing,
        rounds=memory.rounds + sound,
        odd=~sound,
        learned_at=commit_at,
    )


def _solve_common(
    memory: FollowMemory, rows: Floats, target: Floats, weight: Floats, *, rules: Rules
) -> FollowMemory:
    keep = 1 - _forgotten(rules.follow_rounds)
    square = memory.common_square * keep + (rows * weight[:, None]).T @ rows
    product = memory.common_product * keep + rows.T @ (target * weight)
    ridge = np.eye(len(square)) * rules.follow_ridge
    return replace(
        memory,
        common_square=square,
        common_product=product,
        common=np.asarray(np.linalg.solve(square + ridge, product), np.float64),
    )


def _solve_own(
    memory: FollowMemory, rows: Floats, rest: Floats, weight: Floats, *, rules: Rules
) -> FollowMemory:
    """What a feed does beside what is common, from what the common factors leave."""
    weighted = rows * weight[:, None]
    keep = np.where(weight > 0, 1 - _forgotten(rules.follow_rounds), 1.0)
    square = memory.own_square * keep[:, None, None] + weighted[:, :, None] * rows[:, None, :]
    product = memory.own_product * keep[:, None] + weighted * rest[:, None]
    ridge = np.diag([*[rules.follow_own_ridge] * (rows.shape[1] - 1), rules.follow_constant_ridge])
    own = np.linalg.solve(square + ridge, product[:, :, None])[:, :, 0]
    return replace(memory, own_square=square, own_product=product, own=np.asarray(own, np.float64))


def _common_rows(markets: Markets, legs: Floats, moved: Floats) -> Floats:
    """The signals by cells and lookbacks, [F, D]."""
    feeds, cells = len(moved), 2 * _cell_count(markets)
    place = _cells(markets) + np.arange(feeds)[:, None] * cells
    by_cell = np.bincount(place.ravel(), legs.ravel(), feeds * cells).reshape(feeds, cells)
    return np.concatenate((by_cell, moved), axis=1)


def _cell_count(markets: Markets) -> int:
    return max(len(markets.venues), 1) * len(markets.currencies)


def _cells(markets: Markets) -> Ints:
    """The cell [F, 2 K] of each leg's book, and of its last trade."""
    cells = cells_of(markets)
    return np.concatenate((cells, cells + _cell_count(markets)), axis=1)


def _forgotten(rounds: float) -> float:
    """What one round replaces, for a memory of so many."""
    return 1 / rounds
