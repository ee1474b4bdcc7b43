"""From scores to alarms: which legs are in an episode of strangeness now.

Knows scores, a threshold and times. An episode begins when a leg's score is at or over the threshold in
`looks` looks in a row, so that one odd answer is none, and ends when it was under half of it for `calm_s`, or
when the leg has shown nothing for as long.
"""

from __future__ import annotations

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools


class Verdicts:
    """Online; three arrays of the table's size."""

    def __init__(
        self, shape: tuple[int, int], threshold: float, *, looks: int = 2, calm_s: float = 15.0
    ) -> None:
        self._threshold, self._looks, self._calm_s = threshold, looks, calm_s
        self._row = np.zeros(shape, np.int64)
        self._strange_at = np.full(shape, -np.inf)
        self.open = np.zeros(shape, np.bool_)

    def judge(self, scores: Floats, at: float) -> Bools:
        """The legs [F, K] that are in an episode after this look."""
        scores = np.nan_to_num(scores)
        over = scores >= self._threshold
        self._row = np.where(over, self._row + 1, 0)
        self._strange_at[scores >= self._threshold / 2] = at
        begins = self._row >= self._looks
        lasts = self.open & (at - self._strange_at < self._calm_s)
        self.open = begins | lasts
        return self.open
