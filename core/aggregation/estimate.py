"""One pass after the other: what a service calls for the estimates of all feeds.

`kernel` makes the pass, `leaps` says when one or two venues are not believed, `learned` improves it by what
earlier passes and finished rounds have taught, `pools` holds the pace of a feed that rests on pools alone.
`Aggregator` keeps the order, the last LIVE values and the count of passes.

A feed is LIVE while a leg is used. Then it is STALE: price and band are the last LIVE ones and the rest is
NaN. It is NONE if it never was LIVE.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.aggregation.conversion import Graph
from core.aggregation.estimates import Estimates, FeedState, Floats, LegColumns, LegReason
from core.aggregation.kernel import Pass, estimate_all
from core.aggregation.leaps import leaps
from core.aggregation.learned import Learned, Memory
from core.aggregation.markets import NOTIONAL, VOLUME, Bools, Markets
from core.aggregation.pools import steadied
from core.aggregation.window import Window


class Aggregator:
    """Estimates of a window, pass by pass. Keeps the last LIVE values and the count of passes.

    Sequences begin after `after`: one that grows from run to run keeps them from being given twice.
    """

    def __init__(self, window: Window, after: int = 0) -> None:
        self._window = window
        self._graph = Graph.of(window.markets)
        self._learned = Learned(window.markets, window.rules)
        feeds = window.markets.shape[0]
        self._price, self._low, self._high, self._live_at = (np.full(feeds, np.nan) for _ in range(4))
        self._sequence = after

    def estimate(self, at: float) -> Estimates:
        """The estimates at `at`. Volumes are those traded since the last call. At most once per instant."""
        window, markets = self._window, self._window.markets
        known = self._learned.corrections(at)
        seen = window.observed(at)
        new = estimate_all(markets, self._graph, seen, at, window.rules, known=known)
        leapt = leaps(markets, new, before=self._price, since_s=at - self._live_at, rules=window.rules)
        if leapt.any():
            seen = replace(seen, price=np.where(leapt, np.nan, seen.price))
            held = estimate_all(markets, self._graph, seen, at, window.rules, known=known)
            np.putmask(held.reason, leapt, LegReason.UNCONFIRMED.value)
            np.copyto(held.shown, new.shown, where=leapt)
            new = held
        new = self._learned.improved(new, seen, at)
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

    def learn(self, medians: Floats, at: float) -> None:
        """Learn from a finished round: the medians [F] in US dollars, NaN for none, of the commit at `at`."""
        self._learned.learn(medians, at)

    @property
    def memory(self) -> Memory:
        """What was learned so far: a value, which passes and rounds replace."""
        return self._learned.memory

    def remember(self, memory: Memory) -> None:
        """Go on from what was learned before, by an estimator of the same feed table and rules."""
        self._learned.memory = memory

    def _legs(self, new: Pass) -> LegColumns:
        slot = self._window.markets.slot
        age_s = new.leg_age_s.ravel()[slot]
        age_s[np.isinf(age_s)] = np.nan
        return LegColumns(
            price=new.shown.ravel()[slot],
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
