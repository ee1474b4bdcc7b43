"""Those who are measured: the live aggregation, unchanged, and every published method, on equal terms.

Each is an `Estimator`: it is polled like the live collector polls and knows nothing else. A name is all that
a worker process needs to make one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

import numpy as np

from chrono.errors import ChronoError
from chrono.feeds import Feed
from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import FeedState, Floats
from core.aggregation.markets import Markets
from core.aggregation.rules import RULES, Rules
from core.aggregation.window import Window
from core.columns import TickColumns
from core.forge.methods import METHODS, NEEDS_PAST, PAST, PAST_STEP_S, Sample, middle
from core.forge.ports import Estimator, EstimatorMaker, Forecast, RoundOutcome
from core.forge.sampling import COINS, TIER_ONE

_FRESH_S: Final = 45.0


PASS_EVERY_S: Final = 1.0
"""The core makes a pass at least as often, and learns from each."""


class UnknownEntrant(ChronoError):
    """An estimator was asked for by a name that nobody has."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no estimator is called {name}; known are {', '.join(ENTRANTS)}")


class LiveAggregation:
    """The live path: `core.aggregation`'s Window and Aggregator, driven as the core drives them.

    Other `rules` than the live ones show what each is worth.
    """

    name = "chrono"

    def __init__(self, feeds: Sequence[Feed], rules: Rules = RULES) -> None:
        self._window = Window(feeds, rules)
        self._aggregator = Aggregator(self._window)
        self._passed_at = -np.inf

    def observe(self, ticks: TickColumns, at: float) -> None:
        self._window.apply(ticks, at)
        if at >= self._passed_at + PASS_EVERY_S:
            self._passed_at = at
            self._aggregator.estimate(at)

    def estimate(self, at: float) -> Forecast:
        now = self._aggregator.estimate(at)
        live = now.state == FeedState.LIVE.value
        return Forecast(*(np.where(live, each, np.nan) for each in (now.price, now.band_low, now.band_high)))

    def learn(self, outcome: RoundOutcome, at: float) -> None:  # noqa: ARG002
        self._aggregator.learn(outcome.median, outcome.commit_at)


class PublishedMethod:
    """A method of `methods`, fed by polls. It states no band. Keeps what a silent venue showed last.

    With `at_par` stablecoins count as dollars; else as the median of their markets in dollars, and in USDT
    at USDT's own median; of those not older than _FRESH_S while there are any.
    """

    def __init__(self, method: str, feeds: Sequence[Feed], *, at_par: bool = False) -> None:
        self.name = f"{method}-at-par" if at_par else method
        self._method, self._at_par = METHODS[method], at_par
        legs = [leg for feed in feeds for leg in feed.legs]
        self._slot, self._shape = (markets := Markets.of(feeds)).slot, markets.shape
        self._quote = np.array([COINS.index(leg.quote) + 1 if leg.quote in COINS else 0 for leg in legs])
        pairs = [(leg.base, leg.quote) for leg in legs]
        self._direct = [[at for at, pair in enumerate(pairs) if pair == (coin, "USD")] for coin in COINS]
        self._by_usdt = [[at for at, pair in enumerate(pairs) if pair == (coin, "USDT")] for coin in COINS]
        self._tier = self._spread_out(np.array([leg.venue in TIER_ONE for leg in legs], np.float64)) > 0
        self._mid, self._last, self._half, self._told, self._volume = np.full((5, len(legs)), np.nan)
        self._past = np.full((PAST if method in NEEDS_PAST else 0, len(legs)), np.nan)
        self._past_at = -np.inf

    def observe(self, ticks: TickColumns, at: float) -> None:
        leg, bid, ask, last, told = ticks.leg, ticks.bid, ticks.ask, ticks.last, ticks.event_at
        mid = (bid + ask) / 2
        self._mid[leg] = np.where(np.isnan(mid), last, mid)
        self._last[leg] = np.where(np.isnan(last), mid, last)
        self._half[leg] = np.nan_to_num((ask - bid) / 2 / mid)
        self._told[leg] = np.where(np.isnan(told), ticks.received_at, told)
        self._volume[leg] = ticks.volume
        if len(self._past) and at >= self._past_at + PAST_STEP_S:
            self._past = np.concatenate((self._mid[None], self._past[:-1]))
            self._past_at = at

    def estimate(self, at: float) -> Forecast:
        rate = self._rates(at)[self._quote]
        past = (
            np.stack([self._spread_out(row * rate) for row in self._past], axis=1)
            if len(self._past)
            else None
        )
        volume = self._volume * self._mid * rate
        shape = (self._shape[0], 0, self._shape[1])
        sample = Sample(
            mid=self._spread_out(self._mid * rate),
            last=self._spread_out(self._last * rate),
            half_spread=np.nan_to_num(self._spread_out(self._half)),
            age_s=np.maximum(self._spread_out(at - self._told), 0.0),
            volume=self._spread_out(volume),
            tier_one=self._tier,
            past=np.empty(shape) if past is None else past,
            traded=np.empty(shape) if past is None else np.nan_to_num(past * 0 + 1.0),
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            value = self._method(sample)
        unknown = np.full(len(value), np.nan)
        return Forecast(value, unknown, unknown)

    def learn(self, outcome: RoundOutcome, at: float) -> None:
        """Nothing: published methods do not learn."""

    def _rates(self, at: float) -> Floats:
        rates = np.ones(len(COINS) + 1)
        fresh = np.where(at - self._told <= _FRESH_S, self._mid, np.nan)
        if not self._at_par:
            for place, (direct, by_usdt) in enumerate(zip(self._direct, self._by_usdt, strict=True)):
                legs = np.array([*direct, *by_usdt], np.intp)
                to_dollars = np.array([1.0] * len(direct) + [rates[1]] * len(by_usdt))
                known = fresh[legs] if not np.isnan(fresh[legs]).all() else self._mid[legs]
                price = middle((known * to_dollars)[None])[0] if len(legs) else np.nan
                rates[place + 1] = 1.0 if np.isnan(price) else price
        return rates

    def _spread_out(self, by_leg: Floats) -> Floats:
        out = np.full(self._shape[0] * self._shape[1], np.nan)
        out[self._slot] = by_leg
        return out.reshape(self._shape)


def _method(name: str, at_par: bool, feeds: Sequence[Feed]) -> Estimator:
    return PublishedMethod(name, feeds, at_par=at_par)


ENTRANTS: Final[Mapping[str, EstimatorMaker]] = MappingProxyType(
    {
        "chrono": LiveAggregation,
        **{name: partial(_method, name, False) for name in METHODS},
        "median-at-par": partial(_method, "median", True),
    }
)
"""Every estimator by name."""


def make_entrant(name: str, feeds: Sequence[Feed]) -> Estimator:
    """A fresh estimator; raises UnknownEntrant."""
    if name not in ENTRANTS:
        raise UnknownEntrant(name)
    return ENTRANTS[name](feeds)
