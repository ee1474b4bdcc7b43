"""How wide the band must be to hold what it says: a factor that is moved until nine in ten are inside.

Knows whether things fell into bands that were stated before. Does not know why: whatever the width rests
on, its factor rises a little with each miss and falls a ninth of that with each hit, which comes to rest
where the misses are one in ten (adaptive conformal inference; Gibbs and Candes 2021). One part of the
factor is common to all feeds and learns fast, the rest is the feed's own.

What should be inside is the median of a round, once rounds are learned from. As long as there are none, it
is each venue's own price under the band of all the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.aggregation.rules import Rules

COVERAGE: Final = 0.9
_OWN_SHARE_MAX: Final = 0.75


@dataclass(frozen=True, slots=True)
class BandMemory:
    """The log factor: `common`, and `own` [F]. `at`: the last lesson by legs; `round_at`: by a round.
    `rounds` [F] counts the latter."""

    common: float
    own: Floats
    at: float
    round_at: float
    rounds: Floats

    @classmethod
    def blank(cls, markets: Markets) -> BandMemory:
        feeds = markets.shape[0]
        return cls(0.0, np.zeros(feeds), -np.inf, -np.inf, np.zeros(feeds))


def factor(memory: BandMemory, rules: Rules) -> Floats:
    """By how much the stated half widths are stretched, [F]."""
    bound = np.log(rules.stretch_max)
    return np.asarray(np.exp(np.clip(memory.common + memory.own, -bound, bound)))


def learn_from_round(memory: BandMemory, outside: Floats, at: float, rules: Rules) -> BandMemory:
    """After a round: `outside` [F] is 1 where the median was outside the band, 0 inside, NaN unknown."""
    known = ~np.isnan(outside)
    pace = np.maximum(rules.stretch_step, 1 / np.sqrt(memory.rounds + 1) / 2)
    return replace(
        _stepped(memory, outside, pace, rules),
        round_at=max(at, memory.round_at),
        rounds=memory.rounds + known,
    )


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
    pace = np.full(len(many), rules.stretch_step * passed_s / rules.lesson_s_max)
    return replace(_stepped(memory, outside, pace, rules), at=at)


def _stepped(memory: BandMemory, outside: Floats, pace: Floats, rules: Rules) -> BandMemory:
    known = ~np.isnan(outside)
    if not known.any():
        return memory
    step = np.where(known, outside - (1 - COVERAGE), 0.0) * pace
    bound = np.log(rules.stretch_max)
    common = float(np.clip(memory.common + step[known].mean(), -bound, bound))
    return replace(memory, common=common, own=np.clip(memory.own + step, -bound, bound))
