"""What a look at all legs tells a detector: a few numbers a leg, each comparable between legs and feeds.

Knows distances between the legs of a feed, and what is usual for each leg. Does not know what an anomaly is,
nor what a price should be: what all legs of a feed do together shows in no leg, but in the feed's own
DISPERSION, LOW and HIGH.

    OFF         signed distance from the feed's centre, in secondary bands
    SURPRISE    OFF less what is usual of this leg, in its own usual deviation
    CHANGE      OFF less that of the look before, in the same unit
    SPREAD      log of the half spread over the usual one
    VOLUME      log of what was traded over what is usual
    AGE         log of the age over the usual one
    DISPERSION  the feed's median of |OFF|, with the same votes
    LOW, HIGH   how far below and above itself the feed's centre was within the last `late_s`, in bands

The centre is the median of the fresh legs, outliers too, with one vote a venue. It is not the estimate: the
venues that trade most may have most of the weight there, and a few of them together could move it and make
the others outliers; here they are outvoted, and it shows. What is usual is an
average that forgets by half in `usual_s` and takes no step beyond three deviations, so that an anomaly does
not soon become what is usual. All features of a leg without a fresh price are NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np

from core.aggregation.estimates import Estimates, Floats, LegReason
from core.aggregation.markets import SECONDS, VOLUME, Bools, Markets, Observations
from core.aggregation.median import sort_rows, weighted_quantiles


class Feature(IntEnum):
    OFF = 0
    SURPRISE = 1
    CHANGE = 2
    SPREAD = 3
    VOLUME = 4
    AGE = 5
    DISPERSION = 6
    LOW = 7
    HIGH = 8


SILENT_S: Final = 10.0
"""What was received longer ago is old news, and no behaviour of its leg."""
LOOK_S_MAX: Final = 10.0
"""The most time that one look can teach or fade, however long the silence before it."""
_HALF: Final = (0.5,)
_STEP: Final = 3.0
_SPREAD_MIN: Final = 1e-6
_CENTRES: Final = 64
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class Habits:
    """Times in seconds; deviations of a leg, the first and the least, in secondary bands.

    A leg that shows what its feed was worth within `late_s` is no more than late.
    """

    usual_s: float = 600.0
    late_s: float = 20.0
    deviation_min: float = 0.1
    deviation_first: float = 0.5


@dataclass(frozen=True, slots=True)
class Glance:
    """What a pass showed, [F, K]: log_price (dollars, NaN where not fresh), weight, half_spread, age_s, and
    rate (units of base traded a second in the window).

    Fresh is a leg that was used or an outlier and was received within SILENT_S.
    """

    log_price: Floats
    weight: Floats
    half_spread: Floats
    age_s: Floats
    rate: Floats

    @classmethod
    def of(cls, markets: Markets, estimates: Estimates, seen: Observations) -> Glance:
        """The glance of a pass and of the observations that it was made from."""
        legs = estimates.legs
        fresh = (legs.weight > 0) | (legs.reason == LegReason.OUTLIER.value)
        places = markets.shape[0] * markets.shape[1]
        columns = np.full((3, places), np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            columns[0, markets.slot] = np.where(fresh, np.log(legs.price), np.nan)
        columns[1, markets.slot] = legs.weight
        columns[2, markets.slot] = legs.age_s
        price, weight, age_s = columns.reshape(3, *markets.shape)
        price[estimates.at - seen.received_at > SILENT_S] = np.nan
        seconds = np.maximum(seen.sums[SECONDS], 1.0)
        return cls(price, np.nan_to_num(weight), seen.half_spread, age_s, seen.sums[VOLUME] / seconds)


class Features:
    """Features look by look. Keeps what is usual of each leg: a few arrays of the table's size."""

    def __init__(self, markets: Markets, habits: Habits | None = None) -> None:
        self._markets, self._band, self._habits = markets, markets.band, habits or Habits()
        self._may_vote = np.ones(markets.shape, np.bool_)
        self._may_vote[markets.mixed_rows] = ~markets.dex[markets.mixed_rows]
        self._usual, self._before = np.full((2, *markets.shape), np.nan)
        self._deviation = np.full(markets.shape, self._habits.deviation_first)
        self._spread, self._age, self._rate = np.full((3, *markets.shape), np.nan)
        self._centres = np.full((_CENTRES, markets.shape[0]), np.nan)
        self._centre_at = np.full(_CENTRES, -np.inf)
        self._count = 0
        self._at = -np.inf

    def look(self, glance: Glance, at: float) -> Floats:
        """The features [D, F, K] of a look at `at`. A step back of time teaches nothing."""
        passed_s = float(np.clip(at - self._at, 0.0, LOOK_S_MAX))
        self._at = max(at, self._at)
        centre, off, dispersion = self._apart(glance)
        low, high = self._lately(centre, at)
        usual = np.where(np.isnan(self._usual), off, self._usual)
        surprise = (off - usual) / self._deviation
        change = np.nan_to_num((off - self._before) / self._deviation)
        there = ~np.isnan(off)
        share = 1 - 0.5 ** (passed_s / self._habits.usual_s)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread, self._spread = _ratio(self._spread, glance.half_spread, _SPREAD_MIN, share, there)
            age, self._age = _ratio(self._age, glance.age_s, 1.0, share, there)
            rate, self._rate = _ratio(self._rate, glance.rate, 1e-9, share, there)
        step = np.clip(np.nan_to_num(surprise), -_STEP, _STEP) * self._deviation
        self._usual = np.where(there, usual + share * step, self._usual)
        spread_out = np.abs(step) * 1.25 - self._deviation
        self._deviation = np.maximum(self._deviation + share * there * spread_out, self._habits.deviation_min)
        self._before = np.where(there, off, self._before)
        shape = off.shape
        wide = (np.broadcast_to(each[:, None], shape) for each in (dispersion, low, high))
        told = np.stack((off, surprise, change, spread, rate, age, *wide))
        return np.asarray(np.where(there, told, np.nan))

    def _apart(self, glance: Glance) -> tuple[Floats, Floats, Floats]:
        """The centre [F] as a log, the distances [F, K] from it and their middle [F], in bands."""
        weight = self._votes(~np.isnan(glance.log_price))
        price = sort_rows(np.where(weight > 0, glance.log_price, np.inf))
        centre = weighted_quantiles(price.values, price.of(weight), _HALF)[0]
        off = (glance.log_price - centre[:, None]) / self._band[:, None]
        distance = sort_rows(np.where(weight > 0, np.abs(off), np.inf))
        middle = weighted_quantiles(distance.values, distance.of(weight), _HALF)[0]
        return centre, off, np.nan_to_num(middle)

    def _votes(self, there: Bools) -> Floats:
        """One vote a venue, shared by its legs, [F, K], summing to 1; aggregators only vote alone."""
        there = there & self._may_vote
        cell = self._markets.cell
        legs = np.bincount(cell.ravel(), there.ravel(), self._markets.shape[0] * self._markets.cells)
        weight = there / np.maximum(legs.take(cell), 1.0)
        return np.asarray(weight / np.maximum(weight.sum(axis=1, keepdims=True), _TINY))

    def _lately(self, centre: Floats, at: float) -> tuple[Floats, Floats]:
        """The least and the most [F] of the latest centres less the present one, in bands: <= 0 and >= 0.

        Of looks so frequent that _CENTRES do not span `late_s`, the newest ones count.
        """
        place = self._count % _CENTRES
        self._centres[place], self._centre_at[place] = centre, at
        self._count += 1
        recent = self._centres[self._centre_at >= at - self._habits.late_s]
        low = (np.fmin.reduce(recent, axis=0) - centre) / self._band
        high = (np.fmax.reduce(recent, axis=0) - centre) / self._band
        return np.nan_to_num(low), np.nan_to_num(high)


def _ratio(usual: Floats, now: Floats, least: float, share: float, there: Floats) -> tuple[Floats, Floats]:
    """The log of `now` over what is usual, and what is usual from now on (its log)."""
    level = np.log(np.maximum(np.nan_to_num(now), 0.0) + least)
    known = np.where(np.isnan(usual), level, usual)
    return level - known, np.where(there, known + share * np.clip(level - known, -_STEP, _STEP), usual)
