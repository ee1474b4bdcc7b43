"""Plain twins of the weighted quantile and of the caps on venues and aggregators."""

from __future__ import annotations

import math
from collections.abc import Callable

from chrono.feeds import DEX_VENUES
from core.aggregation.rules import Rules


def weighted_quantile(values: list[float], weights: list[float], q: float) -> float:
    """The mean of the first value at which the weight reaches q, and of the first at which it exceeds q."""
    pairs = sorted(zip(values, weights, strict=True))
    whole = sum(weights)

    def first(is_there: Callable[[float], bool]) -> float:
        reached = 0.0
        for value, weight in pairs:
            reached += weight
            if weight > 0 and is_there(reached / whole):
                return value
        return max(value for value, weight in pairs if weight > 0)

    return (first(lambda share: share >= q - 1e-9) + first(lambda share: share >= q + 1e-9)) / 2


def cap_venues(venues: list[str], weights: list[float], share: float) -> list[float]:
    """Cut what is over its share and look again: cutting one may put the next one over."""
    totals: dict[str, float] = {}
    for venue, weight in zip(venues, weights, strict=True):
        totals[venue] = totals.get(venue, 0.0) + weight
    alive = [venue for venue, total in totals.items() if total > 0]
    if not alive:
        return [0.0] * len(weights)
    share = max(share, 1 / len(alive))
    over: list[str] = []
    final = dict(totals)
    while True:
        rest = sum(totals[venue] for venue in alive if venue not in over)
        if len(over) == len(alive) or math.isclose(share * len(over), 1):
            break
        whole = rest / (1 - share * len(over))
        final.update(dict.fromkeys(over, share * whole))
        next_over = [v for v in alive if v not in over and totals[v] > share * whole * (1 + 1e-12)]
        if not next_over:
            break
        over.append(max(next_over, key=lambda venue: totals[venue]))
    whole = sum(final[venue] for venue in alive)
    return [
        weight * final[venue] / totals[venue] / whole if weight else 0.0
        for venue, weight in zip(venues, weights, strict=True)
    ]


def cap_dex(rules: Rules, venues: list[str], weights: list[float]) -> list[float]:
    """Cut the aggregators' weights to their share, and give what they lose to the exchanges."""
    dex = sum(weight for venue, weight in zip(venues, weights, strict=True) if venue in DEX_VENUES)
    rest = sum(weight for venue, weight in zip(venues, weights, strict=True) if venue not in DEX_VENUES)
    if dex <= rules.dex_share_max or not rest:
        return weights
    share = rules.dex_share_max
    return [
        weight * (share / dex if venue in DEX_VENUES else (1 - share) / rest)
        for venue, weight in zip(venues, weights, strict=True)
    ]
