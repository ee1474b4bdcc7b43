"""Published ways to make one price of many, in our words: functions of a `Sample`, N questions by K legs.

Knows formulas. Does not know who asks, when, or which legs they see: that is `population` and `entrants`.
Every source's own words are its documentation; the figures here are its published defaults.

flare_example   ftso-v2-example-value-provider: last trades, weights e^(-age / 20 s), median
timrowley       the same, ages over 30 s and what is beyond 3 MADs (at least 0.5 %) left out, interpolated
niftyleague     last prices, 1.5 interquartile ranges, weights of tier and age, median
jefriz29        mids younger than 15 s within 2 % of their median, or an older average: whichever is nearer to
                the example's value
pyth            three votes a venue (price, price -+ its confidence), the median vote
brti            CME CF real-time index: the mid price-volume curve of one joint book, near its top
brr             CME CF reference rate: volume-weighted medians of twelve partitions of time, averaged; over
                two minutes instead of an hour, or it would never be near
coinmetrics     weighted median, half the weight by volume and half by the inverse of the price's variance
chainlink       median of medians: volume-weighted averages of overlapping sets of venues, by nodes
dia             two minutes of prices a venue without those beyond the interquartile fence, averaged; median
connect         skip-mev/connect: the median of last prices that are not too old, at least three of them
median          the plain median of mids that are not older than 45 s
mean            the plain mean of mids
trend           the median of mids, carried on by the last half minute's slope
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools

PAST: Final = 24
PAST_STEP_S: Final = 5.0
"""How far back a sample reaches: PAST instants, PAST_STEP_S apart, the newest first and now."""

_TIERS: Final = (1.3, 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What is known at N instants of K legs, in dollars; NaN where nothing is.

    [N, K]: mid (or last where there is no book), last, half_spread (a ratio), age_s (of the last price),
    volume (dollars a day; NaN unknown), tier_one. [N, PAST, K]: past mids and traded dollars since the one
    before; only for methods in NEEDS_PAST, else empty.
    """

    mid: Floats
    last: Floats
    half_spread: Floats
    age_s: Floats
    volume: Floats
    tier_one: Bools
    past: Floats
    traded: Floats


Method = Callable[[Sample], Floats]


def flare_example(sample: Sample) -> Floats:
    return lower_median(sample.last, np.exp(-sample.age_s / 20.0))


def timrowley(sample: Sample) -> Floats:
    price = _young(sample.last, sample.age_s, 30.0)
    centre = middle(price)[:, None]
    off = np.abs(price - centre)
    kept = off <= np.maximum(3.0 * middle(off)[:, None], 0.005 * centre)
    price = np.where(kept, price, np.nan)
    volume = np.nan_to_num(np.where(kept, sample.volume, 0.0))
    share = volume / np.maximum(volume.sum(axis=1, keepdims=True), 1e-300)
    return _interpolated(price, 0.999 * np.exp(-sample.age_s / 20.0) + 0.001 * share)


def niftyleague(sample: Sample) -> Floats:
    price = _fenced(sample.last)
    tier = np.where(sample.tier_one, *_TIERS)
    return lower_median(price, tier * np.exp(-sample.age_s / 33.0))


def jefriz29(sample: Sample) -> Floats:
    price = _young(sample.mid, sample.age_s, 15.0)
    centre = middle(price)[:, None]
    counted = np.sum(~np.isnan(price), axis=1, keepdims=True)
    near = (np.abs(price - centre) <= 0.02 * centre) | (counted < 3)
    direct = middle(np.where(near, price, np.nan))
    old = mean_of(sample.past[:, 6], np.nan_to_num(sample.volume, nan=1.0))
    reference = flare_example(sample)
    nearer = np.abs(direct - reference) <= np.abs(old - reference)
    return np.where(nearer | np.isnan(old), direct, old)


def pyth(sample: Sample) -> Floats:
    width = np.maximum(sample.half_spread, 5e-5) * sample.mid
    return middle(np.concatenate((sample.mid - width, sample.mid, sample.mid + width), axis=1))


def brti(sample: Sample) -> Floats:
    mid = _cleaned(sample.mid)
    size = np.where(np.isnan(mid), 0.0, np.nan_to_num(sample.volume, nan=1.0) + 1e-9)
    depth = np.linspace(0.02, 1.0, 12) * 0.5
    bid = _curve(-mid * (1 - sample.half_spread), size, depth)
    ask = _curve(mid * (1 + sample.half_spread), size, depth)
    weight = np.exp(-depth / 0.15)
    return np.asarray(((ask - bid) / 2 * weight).sum(axis=1) / weight.sum())


def brr(sample: Sample) -> Floats:
    parts = []
    for begin in range(0, PAST, 2):
        price = np.concatenate((sample.past[:, begin], sample.past[:, begin + 1]), axis=1)
        size = np.concatenate((sample.traded[:, begin], sample.traded[:, begin + 1]), axis=1)
        parts.append(lower_median(np.where(size > 0, price, np.nan), size))
    stacked = np.stack(parts, axis=1)
    known = ~np.isnan(stacked)
    return _else(mean_of(stacked, known.astype(np.float64)), sample)


def coinmetrics(sample: Sample) -> Floats:
    moved = np.diff(sample.past, axis=1) / sample.past[:, 1:]
    variance = np.nan_to_num(np.mean(moved**2, axis=1), nan=np.inf) + 1e-12
    known = ~np.isnan(sample.mid)
    by_volume = np.nan_to_num(np.where(known, sample.volume, 0.0)) + 1e-9
    by_variance = np.where(known, 1 / variance, 0.0) + 1e-9
    weight = by_volume / by_volume.sum(axis=1, keepdims=True)
    weight += by_variance / by_variance.sum(axis=1, keepdims=True)
    return lower_median(sample.mid, weight)


def chainlink(sample: Sample) -> Floats:
    legs = np.arange(sample.mid.shape[1])
    volume = np.nan_to_num(sample.volume, nan=1.0) + 1e-9
    nodes = []
    for node in range(3):
        price = _cleaned(sample.past[:, 2 * node])
        sets = [mean_of(price, volume * (legs % 3 != (node + left) % 3)) for left in range(3)]
        nodes.append(middle(np.stack(sets, axis=1)))
    return _else(middle(np.stack(nodes, axis=1)), sample)


def dia(sample: Sample) -> Floats:
    questions, past, legs = sample.past.shape
    by_leg = sample.past.transpose(0, 2, 1).reshape(-1, past)
    kept = _fenced(by_leg)
    means = mean_of(kept, np.ones_like(kept)).reshape(questions, legs)
    return middle(means)


def connect(sample: Sample) -> Floats:
    price = _young(sample.last, sample.age_s, 120.0)
    enough = np.sum(~np.isnan(price), axis=1) >= 3
    return np.where(enough, middle(price), middle(sample.last))


def median(sample: Sample) -> Floats:
    return middle(_young(sample.mid, sample.age_s, 45.0))


def mean(sample: Sample) -> Floats:
    return mean_of(sample.mid, np.ones_like(sample.mid))


def trend(sample: Sample) -> Floats:
    now, before = middle(sample.mid), middle(sample.past[:, 6])
    carried = now * (1 + 0.25 * (now / before - 1))
    return np.where(np.isnan(carried), now, carried)


METHODS: Final[dict[str, Method]] = {
    "flare-example": flare_example,
    "timrowley": timrowley,
    "niftyleague": niftyleague,
    "jefriz29": jefriz29,
    "pyth": pyth,
    "brti": brti,
    "brr": brr,
    "coinmetrics": coinmetrics,
    "chainlink": chainlink,
    "dia": dia,
    "connect": connect,
    "median": median,
    "mean": mean,
    "trend": trend,
}
NEEDS_PAST: Final = frozenset({"jefriz29", "brr", "coinmetrics", "chainlink", "dia", "trend"})


def middle(values: Floats) -> Floats:
    """The plain median of each row's known values; NaN for a row without any."""
    ordered = np.sort(values, axis=1)  # NaN last
    count = np.sum(~np.isnan(values), axis=1)
    rows = np.arange(len(values))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    return np.where(count > 0, (ordered[rows, low] + ordered[rows, high]) / 2, np.nan)


def lower_median(values: Floats, weight: Floats) -> Floats:
    """The first value of each row, in rising order, at which half of the weight is reached."""
    ordered, reached = _ordered(values, weight)
    whole = reached[:, -1]
    found = np.argmax(reached >= whole[:, None] / 2, axis=1)
    return np.where(whole > 0, ordered[np.arange(len(values)), found], np.nan)


def mean_of(values: Floats, weight: Floats) -> Floats:
    """The weighted mean of each row's known values; NaN for a row without weight."""
    used = np.where(np.isnan(values), 0.0, weight)
    whole = used.sum(axis=1)
    total = (np.nan_to_num(values) * used).sum(axis=1)
    return np.where(whole > 0, total / np.where(whole > 0, whole, 1.0), np.nan)


def _ordered(values: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Rows in rising order and the weight reached with each value; unknown values last, without weight."""
    order = np.argsort(values, axis=1)
    ordered = np.take_along_axis(values, order, axis=1)
    used = np.where(np.isnan(ordered), 0.0, np.nan_to_num(np.take_along_axis(weight, order, axis=1)))
    return ordered, np.cumsum(used, axis=1)


def _interpolated(values: Floats, weight: Floats) -> Floats:
    """The weighted median, moved towards the next value by how far into its own weight the half lies."""
    ordered, reached = _ordered(values, weight)
    rows, whole = np.arange(len(values)), reached[:, -1]
    found = np.argmax(reached >= whole[:, None] / 2, axis=1)
    here = ordered[rows, found]
    following = ordered[rows, np.minimum(found + 1, values.shape[1] - 1)]
    before = np.where(found > 0, reached[rows, found - 1], 0.0)
    own = reached[rows, found] - before
    share = (whole / 2 - before) / np.where(own > 0, own, 1.0)
    moved = here + (following - here) * share
    return np.where(whole > 0, np.where(np.isnan(following), here, moved), np.nan)


def _young(price: Floats, age_s: Floats, limit_s: float) -> Floats:
    """The prices that are young enough; all of a row where none is."""
    young = np.where(age_s <= limit_s, price, np.nan)
    nothing = np.all(np.isnan(young), axis=1, keepdims=True)
    return np.where(nothing, price, young)


def _cleaned(price: Floats) -> Floats:
    """Prices within 5 % of their median, as CME CF leaves out erroneous books and vendors bad prints."""
    centre = middle(price)[:, None]
    return np.where(np.abs(price - centre) <= 0.05 * centre, price, np.nan)


def _fenced(values: Floats) -> Floats:
    """Values within 1.5 interquartile ranges of the quartiles, where a row has more than four."""
    count = np.sum(~np.isnan(values), axis=1)
    ordered = np.sort(values, axis=1)
    rows = np.arange(len(values))
    first = ordered[rows, count // 4]
    third = ordered[rows, np.minimum(count * 3 // 4, np.maximum(count - 1, 0))]
    reach = 1.5 * (third - first)
    inside = (values >= (first - reach)[:, None]) & (values <= (third + reach)[:, None])
    return np.where(inside | (count <= 4)[:, None], values, np.nan)


def _curve(price: Floats, size: Floats, depth: NDArray[np.float64]) -> Floats:
    """The marginal price of a joint book's side at depths, as shares of all its size, [N, depths]."""
    ordered, reached = _ordered(price, size)
    wanted = depth * np.maximum(reached[:, -1:], 1e-300)
    found = np.argmax(reached[:, None, :] >= wanted[:, :, None] * (1 - 1e-12), axis=2)
    return np.take_along_axis(ordered, found, axis=1)


def _else(value: Floats, sample: Sample) -> Floats:
    """The value, or the plain median where there is none."""
    return np.where(np.isnan(value), middle(sample.mid), value)
