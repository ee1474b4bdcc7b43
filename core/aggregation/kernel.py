"""The kernel of a pass: from what every leg showed last to one price a feed, a function of arrays.

Its plain twin in the tests specifies it. Nothing in here loops over feeds or legs.

    freshness -> conversion -> dollars, with what is known of the legs -> confirmation -> weights -> outliers
    -> weights again -> weighted median -> centre and band

- price: the weighted median of the used legs in dollars, weights as in `weights`, midpoint as in `median`,
  moved towards their mean as in `location`.
- band: the weighted quartiles of the used legs, reaching at least to the price -+ a floor: the larger of the
  legs' weighted mean half spread and `band_floor_bands` secondary bands.
- median: the plain median of all legs with a dollar price that are fresh, outliers too and without any
  correction: the anchor to compare with.
- vwap: notional over volume of the used legs' trades in the window, at the present rates; NaN without trades.
- twap: the weighted median of the used legs' own time-weighted means, at the present rates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.conversion import Graph, edge_variances, solve_rates
from core.aggregation.estimates import Floats, LegReason
from core.aggregation.freshness import Freshness, judge
from core.aggregation.legs import Corrections
from core.aggregation.location import pulled
from core.aggregation.markets import INTEGRAL, NOTIONAL, SECONDS, VOLUME, Bools, Markets, Observations
from core.aggregation.median import Sorted, plain_median, sort_rows, weighted_quantiles
from core.aggregation.outliers import Candidates, hampel
from core.aggregation.pools import cap_dex, unconfirmed
from core.aggregation.rules import Rules
from core.aggregation.weights import cap_venues, leg_weights

_QUARTILES: Final = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Pass:
    """What the kernel returns. [F]: price to age_s, NaN where no leg is used; [F, K]: usd to reason.

    `usd` is what a leg counted as, with corrections; `shown` is what its market says, without. `rates` are
    dollars per unit of `Markets.currencies`; `raw` is the price in its quote currency
    and `since` when it stands; `age_s` of a feed is that of its newest used leg.
    """

    price: Floats
    band_low: Floats
    band_high: Floats
    median: Floats
    vwap: Floats
    twap: Floats
    age_s: Floats
    venues_used: NDArray[np.int16]
    usd: Floats
    shown: Floats
    weight: Floats
    leg_age_s: Floats
    reason: NDArray[np.int8]
    rates: Floats
    raw: Floats
    since: Floats


def estimate_all(
    markets: Markets,
    graph: Graph,
    seen: Observations,
    at: float,
    rules: Rules,
    *,
    known: Corrections | None = None,
) -> Pass:
    """The whole vector at once. Pure: the same arrays give the same answer, and none is written to.

    Without `known`, nothing is known of the legs but what they show.
    """
    known = Corrections.none(markets) if known is None else known
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _estimate_all(markets, graph, seen, at, rules, known=known)


def _estimate_all(
    markets: Markets, graph: Graph, seen: Observations, at: float, rules: Rules, *, known: Corrections
) -> Pass:
    fresh = judge(markets, seen, at, rules)
    since = np.where(seen.price == known.price, known.since, at - fresh.age_s)
    rates = _rates(markets, graph, seen, fresh, known, stood_s=at - since, rules=rules)
    rate = rates.take(known.quote)
    shown = seen.price * rate
    usd = shown * np.exp(known.shift)
    reason = fresh.reason
    np.putmask(reason, np.isnan(rate) & (reason == LegReason.USED.value), LegReason.NO_CONVERSION.value)
    candidate = reason == LegReason.USED.value
    if len(markets.dex_rows):
        alone = unconfirmed(markets, candidate, usd, rules)
        reason[markets.dex_rows] = np.where(alone, LegReason.UNCONFIRMED.value, reason[markets.dex_rows])
        candidate[markets.dex_rows] &= ~alone

    stated = leg_weights(markets, candidate, fresh.weight * known.trust, seen.volume_24h * usd, rules)
    weight = cap_dex(markets, cap_venues(markets, stated, rules), rules)
    price = sort_rows(np.where(candidate, usd, np.inf))
    legs = Candidates(price, usd, weight, seen.half_spread, fresh.in_doubt)
    verdict = hampel(markets, legs, rules)
    np.putmask(reason, candidate & ~verdict.within, LegReason.OUTLIER.value)
    np.putmask(reason, verdict.doubted, LegReason.STALE.value)
    weight = cap_dex(markets, cap_venues(markets, stated * verdict.within, rules), rules)

    used = weight > 0
    mean = _time_weighted(seen, at, candidate, rate)
    quartiles = weighted_quantiles(
        np.concatenate((price.values, mean.values)),
        np.concatenate((price.of(weight), mean.of(weight))),
        _QUARTILES,
    )
    low, middle, high = quartiles[:, : len(used)]
    middle = pulled(markets, price, usd, weight, middle, rules=rules)
    half_spread = np.einsum("fk,fk->f", weight, seen.half_spread)
    half_width = np.maximum(half_spread, rules.band_floor_bands * markets.band)
    return Pass(
        price=middle,
        band_low=np.minimum(low, middle * (1 - half_width)),
        band_high=np.maximum(high, middle * (1 + half_width)),
        median=plain_median(np.sort(np.where(candidate, shown, np.inf)), candidate.sum(axis=1)),
        vwap=_vwap(seen, used, rate),
        twap=quartiles[1, len(used) :],
        age_s=_newest(fresh.age_s, used),
        venues_used=_venues_used(markets, used),
        usd=usd,
        shown=shown,
        weight=weight,
        leg_age_s=fresh.age_s,
        reason=reason,
        rates=rates,
        raw=seen.price.copy(),
        since=since,
    )


def _rates(
    markets: Markets,
    graph: Graph,
    seen: Observations,
    fresh: Freshness,
    known: Corrections,
    *,
    stood_s: Floats,
    rules: Rules,
) -> Floats:
    """Rates from the legs between currencies, by what is known of them; hidden quotes tell no rate."""
    edge = markets.edge_slot
    live = (fresh.reason.ravel()[edge] == LegReason.USED.value) & (
        known.quote.ravel()[edge] == markets.edge_quote
    )
    price = seen.price.ravel()[edge] * np.exp(known.shift.ravel()[edge])
    of_pair, of_edge = edge_variances(markets, known.walk, stood_s, rules)
    return solve_rates(graph, price, live, pair=of_pair, edge=of_edge)


def _vwap(seen: Observations, used: Bools, rate: Floats) -> Floats:
    """Dollars over base units traded in the window, [F]; NaN without trades."""
    volume = np.einsum("fk,fk->f", seen.sums[VOLUME], used)
    notional = np.einsum("fk,fk->f", seen.sums[NOTIONAL], np.where(used, rate, 0.0))
    return np.where(volume > 0, notional / volume, np.nan)


def _time_weighted(seen: Observations, at: float, candidate: Bools, rate: Floats) -> Sorted:
    """Each candidate's mean price over the window in dollars, its present price standing until now."""
    standing = np.maximum(at - np.maximum(seen.held_since, seen.since), 0.0)
    held = seen.sums[SECONDS] + standing
    mean = (seen.sums[INTEGRAL] + seen.price * standing) / held
    return sort_rows(np.where(candidate, np.where(held > 0, mean, seen.price) * rate, np.inf))


def _newest(age_s: Floats, used: Bools) -> Floats:
    newest = np.where(used, age_s, np.inf).min(axis=1)
    newest[np.isinf(newest)] = np.nan
    return np.asarray(newest)


def _venues_used(markets: Markets, used: Bools) -> NDArray[np.int16]:
    feeds = used.shape[0]
    cells = np.zeros(feeds * markets.cells, np.bool_)
    cells[markets.cell[used]] = True
    return np.asarray(cells.reshape(feeds, -1).sum(axis=1, dtype=np.int16))
