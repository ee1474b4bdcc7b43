"""Weighted quantiles of many rows at once, from one sort.

Knows order and weight. Does not know what the numbers are.

The convention: the q-quantile of a row is the mean of its lower and upper one. The lower one is the first
value, in rising order, at which the weight up to and with it reaches q of the whole; the upper one is the
first at which it exceeds that. They differ only where the weight splits exactly there (as with two equal
weights), and then the quantile is the midpoint. "Exactly" is within 1e-9 of the whole weight, so that the
order in which weights were summed cannot decide. A value without weight is never chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Ints

_SPLIT: Final = 1e-9
_ZERO: Final = np.zeros(1)


@dataclass(frozen=True, slots=True)
class Sorted:
    """Rows in rising order. `places` are the flat places in the unsorted matrix, [R, K]."""

    values: Floats
    places: Ints

    def of(self, matrix: Floats) -> Floats:
        """Another matrix of the same shape, brought into this order."""
        return matrix.ravel().take(self.places)

    def scatter(self, ordered: Floats) -> Floats:
        """The inverse of `of`."""
        out = np.empty_like(ordered)
        out.ravel()[self.places] = ordered
        return out


def sort_rows(matrix: Floats) -> Sorted:
    """Each row in rising order; ties keep no order, as no quantile depends on it. NaN and inf come last."""
    places = np.argsort(matrix, axis=1)
    places += np.arange(0, matrix.size, matrix.shape[1])[:, None]
    return Sorted(matrix.ravel().take(places), places)


def weighted_quantiles(values: Floats, weight: Floats, quantiles: tuple[float, ...] | Floats) -> Floats:
    """Quantiles [Q, R] of sorted rows [R, K] whose weights sum to 1; NaN for a row of weights 0.

    `quantiles` are the same for all rows, or [Q, R].

    All rows are searched at once: laid end to end, their running weight never falls.
    """
    width = values.shape[1]
    reached = np.cumsum(weight.reshape(-1))
    ends = reached[width - 1 :: width]
    begins = np.concatenate((_ZERO, ends[:-1]))
    whole = ends - begins
    asked = np.asarray(quantiles, np.float64).reshape(len(quantiles), -1)
    targets = np.concatenate((asked - _SPLIT, asked + _SPLIT))
    found = np.searchsorted(reached, targets * whole + begins)
    first = np.arange(0, values.size, width)
    both = values.reshape(-1).take(np.minimum(np.maximum(found, first), first + (width - 1)))
    middle = (both[: len(quantiles)] + both[len(quantiles) :]) / 2
    middle[:, whole <= _SPLIT] = np.nan
    return np.asarray(middle)


def plain_median(values: Floats, count: Ints) -> Floats:
    """The median [R] of the first `count` values of sorted rows; NaN where count is 0."""
    rows = np.arange(0, values.size, values.shape[1])
    lower, upper = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, values.shape[1] - 1)
    flat = values.ravel()
    median = (flat.take(rows + lower) + flat.take(rows + upper)) / 2
    median[count == 0] = np.nan
    return np.asarray(median)
