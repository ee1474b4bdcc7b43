"""From scores to alarms: which legs are in an episode of strangeness now.

Knows scores, a threshold and times. An episode begins when a leg's score is at or over the threshold in all
looks of `sure_s`, at least two: one odd answer is none, nor is a venue that the others follow within seconds.
It ends when the score was under half of the threshold for `calm_s`, or the leg has shown nothing for as long.
"""

from __future__ import annotations

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools


class Verdicts:
    """Online; three arrays of the table's size."""

    def __init__(
        self, shape: tuple[int, int], threshold: float, *, sure_s: float = 4.0, calm_s: float = 15.0
    ) -> None:
        self._threshold, self._sure_s, self._calm_s = threshold, sure_s, calm_s
        self._over_since = np.full(shape, np.inf)
        self._strange_at = np.full(shape, -np.inf)
        self.open = np.zeros(shape, np.bool_)

    def judge(self, scores: Floats, at: float) -> Bools:
        """The legs [F, K] that are in an episode after this look."""
        scores = np.nan_to_num(scores)
        over = scores >= self._threshold
        self._over_since = np.where(over, np.minimum(self._over_since, at), np.inf)
        self._strange_at[scores >= self._threshold / 2] = at
        begins = over & (at - self._over_since >= self._sure_s)
        lasts = self.open & (at - self._strange_at < self._calm_s)
        self.open = begins | lasts
        return self.open
