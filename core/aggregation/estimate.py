"""One pass: from what every leg showed last to one estimate a feed.

`estimate_all` is the kernel, a function of arrays; its plain twin in the tests specifies it. `Aggregator` is
the thin shell around it that a service calls. Nothing in here loops over feeds or legs.

    freshness -> conversion -> dollars -> confirmation -> weights -> outliers -> weights again
    -> weighted median and band -> the pace of a feed that rests on pools alone

- price: the weighted median of the used legs in dollars, weights as in `weights`, midpoint as in `median`.
- band: the weighted quartiles of the used legs, reaching at least to the price -+ a floor: the larger of the
  legs' weighted mean half spread and `band_floor_bands` secondary bands.
- median: the plain median of all legs with a dollar price that are fresh, outliers too: the anchor to compare
  with.
- vwap: notional over volume of the used legs' trades in the window, at the present rates; NaN without trades.
- twap: the weighted median of the used legs' own time-weighted means, at the present rates.

A feed is LIVE while a leg is used. Then it is STALE: price and band are the last LIVE ones and the rest is
NaN. It is NONE if it never was LIVE.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.conversion import Graph, solve_rates
from core.aggregation.estimates import Estimates, FeedState, Floats, LegColumns, LegReason
from core.aggregation.freshness import Freshness, judge
from core.aggregation.markets import INTEGRAL, NOTIONAL, SECONDS, VOLUME, Bools, Markets, Observations
from core.aggregation.median import Sorted, plain_median, sort_rows, weighted_quantiles
from core.aggregation.outliers import Candidates, hampel
from core.aggregation.pools import cap_dex, steadied, unconfirmed
from core.aggregation.rules import Rules
from core.aggregation.weights import cap_venues, leg_weights
from core.aggregation.window import Window

_QUARTILES: Final = (0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Pass:
    """What the kernel returns. [F]: price to age_s, NaN where no leg is used; [F, K]: usd to reason.

    `rates` are dollars per unit of `Markets.currencies`; `age_s` of a feed is that of its newest used leg.
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
    weight: Floats
    leg_age_s: Floats
    reason: NDArray[np.int8]
    rates: Floats


def estimate_all(markets: Markets, graph: Graph, seen: Observations, at: float, rules: Rules) -> Pass:
    """The whole vector at once. Pure: the same arrays give the same answer, and none is written to."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return _estimate_all(markets, graph, seen, at, rules)


def _estimate_all(markets: Markets, graph: Graph, seen: Observations, at: float, rules: Rules) -> Pass:
    fresh = judge(markets, seen, at, rules)
    rates = _rates(markets, graph, seen, fresh)
    rate = rates.take(markets.quote)
    usd = seen.price * rate
    reason = fresh.reason
    np.putmask(reason, np.isnan(rate) & (reason == LegReason.USED.value), LegReason.NO_CONVERSION.value)
    candidate = reason == LegReason.USED.value
    if len(markets.dex_rows):
        alone = unconfirmed(markets, candidate, usd, rules)
        reason[markets.dex_rows] = np.where(alone, LegReason.UNCONFIRMED.value, reason[markets.dex_rows])
        candidate[markets.dex_rows] &= ~alone

    stated = leg_weights(markets, candidate, fresh.weight, seen.volume_24h * usd, rules)
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
    half_spread = np.einsum("fk,fk->f", weight, seen.half_spread)
    half_width = np.maximum(half_spread, rules.band_floor_bands * markets.band)
    return Pass(
        price=middle,
        band_low=np.minimum(low, middle * (1 - half_width)),
        band_high=np.maximum(high, middle * (1 + half_width)),
        median=plain_median(price.values, candidate.sum(axis=1)),
        vwap=_vwap(seen, used, rate),
        twap=quartiles[1, len(used) :],
        age_s=_newest(fresh.age_s, used),
        venues_used=_venues_used(markets, used),
        usd=usd,
        weight=weight,
        leg_age_s=fresh.age_s,
        reason=reason,
        rates=rates,
    )


def _rates(markets: Markets, graph: Graph, seen: Observations, fresh: Freshness) -> Floats:
    edge = markets.edge_slot
    live = fresh.reason.ravel()[edge] == LegReason.USED.value
    return solve_rates(graph, seen.price.ravel()[edge], live)


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


class Aggregator:
    """Estimates of a window, pass by pass. Keeps the last LIVE values and the count of passes.

    Sequences begin after `after`: one that grows from run to run keeps them from being given twice.
    """

    def __init__(self, window: Window, after: int = 0) -> None:
        self._window = window
        self._graph = Graph.of(window.markets)
        feeds = window.markets.shape[0]
        self._price, self._low, self._high, self._live_at = (np.full(feeds, np.nan) for _ in range(4))
        self._sequence = after

    def estimate(self, at: float) -> Estimates:
        """The estimates at `at`. Volumes are those traded since the last call. At most once per instant."""
        window, markets = self._window, self._window.markets
        new = estimate_all(markets, self._graph, window.observed(at), at, window.rules)
        traded = window.take_traded()
        used = new.weight > 0
        live = ~np.isnan(new.price)
        price = steadied(
            markets, new.price, used, before=self._price, since_s=at - self._live_at, rules=window.rules
        )
        low, high = np.minimum(new.band_low, price), np.maximum(new.band_high, price)
        for kept, value in ((self._price, price), (self._low, low), (self._high, high)):
            np.copyto(kept, value, where=live)
        self._live_at[live] = at
        self._sequence += 1
        return Estimates(
            sequence=self._sequence,
            at=at,
            price=self._price.copy(),
            band_low=self._low.copy(),
            band_high=self._high.copy(),
            median=new.median,
            vwap=new.vwap,
            twap=new.twap,
            volume=np.where(used, traded[VOLUME], 0.0).sum(axis=1),
            notional=np.where(used, traded[NOTIONAL] * new.rates.take(markets.quote), 0.0).sum(axis=1),
            age_s=np.where(live, new.age_s, at - self._live_at),
            estimated_at=self._live_at.copy(),
            venues_used=new.venues_used,
            state=_states(live, ~np.isnan(self._price)),
            legs=self._legs(new),
            conversion=_known_rates(markets, new.rates),
        )

    def _legs(self, new: Pass) -> LegColumns:
        slot = self._window.markets.slot
        age_s = new.leg_age_s.ravel()[slot]
        age_s[np.isinf(age_s)] = np.nan
        return LegColumns(
            price=new.usd.ravel()[slot],
            weight=new.weight.ravel()[slot],
            age_s=age_s,
            reason=new.reason.ravel()[slot],
        )


def _states(live: Bools, known: Bools) -> NDArray[np.int8]:
    carried = np.where(known, FeedState.STALE.value, FeedState.NONE.value)
    return np.where(live, FeedState.LIVE.value, carried).astype(np.int8)


def _known_rates(markets: Markets, rates: Floats) -> dict[str, float]:
    rated = zip(markets.currencies, rates.tolist(), strict=True)
    return {currency: rate for currency, rate in rated if not math.isnan(rate)}
