"""How wide the band must be to hold what it says: what errors have been, and a factor that is moved until
nine in ten are inside.

Knows the mean error of each feed in finished rounds, and whether medians fell into bands that were stated
before. Does not know why. The first sets the width, from the first rounds on and by regime: nine in ten of
normal errors are within `_NINE_IN_TEN` of their mean size. The factor mends what is not normal about them:
it rises a little with each miss and falls a ninth of that with each hit, which comes to rest where the misses
are one in ten (adaptive conformal inference; Gibbs and Candes 2021). One part of the factor is common to all
feeds, the rest is the feed's own.

As long as there are no rounds, the width is that which the legs show, and what should be inside is each
venue's own price under the band of all the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.aggregation.rules import Rules

COVERAGE: Final = 0.9
_NINE_IN_TEN: Final = 2.06
_OWN_SHARE_MAX: Final = 0.75


@dataclass(frozen=True, slots=True)
class BandMemory:
    """The log factor: `common`, and `own` [F]. `at`: the last lesson by legs; `round_at`: by a round."""

    common: float
    own: Floats
    at: float
    round_at: float

    @classmethod
    def blank(cls, markets: Markets) -> BandMemory:
        return cls(0.0, np.zeros(markets.shape[0]), -np.inf, -np.inf)


def factor(memory: BandMemory, rules: Rules) -> Floats:
    """How much wider than errors and legs say the band is, [F]."""
    bound = np.log(rules.stretch_max)
    return np.asarray(np.exp(np.clip(memory.common + memory.own, -bound, bound)))


def width(memory: BandMemory, half_width: Floats, error: Floats, rounds: Floats, rules: Rules) -> Floats:
    """The half width [F] to state: `half_width` is what the legs show, `error` the mean one in `rounds`."""
    told = rounds / (rounds + rules.stretch_prior_rounds)
    return factor(memory, rules) * (half_width + told * (_NINE_IN_TEN * error - half_width))


def learn_from_round(memory: BandMemory, outside: Floats, at: float, rules: Rules) -> BandMemory:
    """After a round: `outside` [F] is 1 where the median was outside the band, 0 inside, NaN unknown."""
    learned = _stepped(memory, outside, rules.stretch_step, rules.stretch_common_step, rules)
    return replace(learned, round_at=max(at, memory.round_at))


def learn_from_legs(
    memory: BandMemory, apart: Floats, weight: Floats, half_width: Floats, *, at: float, rules: Rules
) -> BandMemory:
    """After a pass: `apart` [F, K] are the used legs' distances from the estimate before any correction, and
    `half_width` [F] the band's, both as logs. Nothing is learned here while rounds are."""
    passed_s = min(at - memory.at, rules.lesson_s_max)
    if passed_s <= 0 or at - memory.round_at <= rules.stretch_round_s:
        return memory
    alone = np.abs(apart) / (1 - np.minimum(weight, _OWN_SHARE_MAX))
    counted = (weight > 0) & (weight < 1)
    missed = (counted & (alone > half_width[:, None])).sum(axis=1)
    many = counted.sum(axis=1)
    outside = np.where(many > 1, missed / np.maximum(many, 1), np.nan)
    pace = rules.stretch_step * passed_s / rules.lesson_s_max
    return replace(_stepped(memory, outside, pace, pace, rules), at=at)


def _stepped(memory: BandMemory, outside: Floats, own: float, common: float, rules: Rules) -> BandMemory:
    known = ~np.isnan(outside)
    if not known.any():
        return memory
    missed = np.where(known, outside - (1 - COVERAGE), 0.0)
    bound = np.log(rules.stretch_max)
    return replace(
        memory,
        common=float(np.clip(memory.common + common * missed[known].mean(), -bound, bound)),
        own=np.clip(memory.own + own * missed, -bound, bound),
    )
