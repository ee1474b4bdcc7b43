"""How old is too old: which legs may speak, and how loud their age lets them.

Knows times. Does not know prices: whether a quiet leg still agrees with the others is asked in `outliers`.

A leg has two ages. The *receipt* says when a collector last saw the venue show it; the *told* time is the
venue's own (the receipt where it tells none). Quiet is not dead:

- A venue that says nothing at all for `dead_s` is dead, and so are its legs.
- A venue that answers, with or without this leg in the answer, keeps a quiet leg for `receipt_s`.
- Rows that keep coming while the newest told time on any row of their venue is `stuck_s` behind the receipt
  mean a stuck venue (an old answer served again and again): STALE, all its legs.
- One leg with an old told time at a venue whose clock moves on is a thin market: Coinbase tells the time of
  the newest trade, OKX and Binance that of the last change. It is kept, with less weight, must agree with
  the others after `doubt_s` (`outliers`), and is STALE after `told_s`.

The weight of freshness is 1/2 to the receipt's age in `receipt_half_life_s` plus the told age in
`told_half_life_s`, and at least `freshness_min`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.estimates import Floats, LegReason
from core.aggregation.markets import Bools, Markets, Observations
from core.aggregation.rules import Rules

_USED: Final = np.int8(LegReason.USED)
_STALE: Final = np.int8(LegReason.STALE)


@dataclass(frozen=True, slots=True)
class Freshness:
    """[F, K]: reason (USED for those that may speak so far), age_s (told), weight, and in_doubt."""

    reason: NDArray[np.int8]
    age_s: Floats
    weight: Floats
    in_doubt: Bools


def judge(markets: Markets, seen: Observations, at: float, rules: Rules) -> Freshness:
    """Judge every leg by its times alone."""
    venue_reason = np.where(seen.lag_s > rules.stuck_s, _STALE, _USED)
    venue_reason[at - seen.heard_at > rules.dead_s] = LegReason.DEAD_VENUE.value
    receipt_age = np.maximum(at - seen.received_at, 0.0)
    age_s = np.maximum(at - seen.told_at, 0.0)
    reason = venue_reason.take(markets.venue)
    answers = reason == LegReason.USED.value
    old = (receipt_age > rules.receipt_s) | (age_s > rules.told_s)
    np.putmask(reason, answers & np.isnan(seen.price), LegReason.NO_PRICE.value)
    np.putmask(reason, answers & old, LegReason.STALE.value)
    np.putmask(reason, np.isinf(receipt_age), LegReason.NO_DATA.value)
    halves = receipt_age * (-1 / rules.receipt_half_life_s) - age_s * (1 / rules.told_half_life_s)
    weight = np.maximum(np.exp2(halves), rules.freshness_min)
    return Freshness(reason, age_s, weight, age_s > rules.doubt_s)
