"""Two detectors of the shelf behind the same Protocol: half-space trees and an isolation forest.

They are development packages: nothing of the core imports this module. Both see all legs as draws from one
population, so that a leg without a history is known by the others; both get the features by their size, and
what a leg may show by being late is taken off its distance first, as it is for the state space.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.forge.anomaly.features import Feature

_SCALES: Final = np.array([2.0, 4.0, 4.0, 1.0, 2.0, 1.0, 1.0])
WINDOW_ROWS: Final = 4_096
LEARN_SHARE: Final = 8
REFIT_S: Final = 120.0


def sizes(features: Floats) -> Floats:
    """The features' sizes [D, F, K], each squashed into [0, 1)."""
    off = features[Feature.OFF]
    late = np.minimum(np.maximum(off, features[Feature.LOW]), features[Feature.HIGH])
    rest = (Feature.SURPRISE, Feature.CHANGE, Feature.SPREAD, Feature.VOLUME, Feature.AGE, Feature.DISPERSION)
    told = np.abs(np.stack((off - late, *(features[each] for each in rest))))
    return np.asarray(told / (told + _SCALES[:, None, None]))


class Trees:
    """river's half-space trees, learning from one leg in LEARN_SHARE of each look."""

    def __init__(self, markets: Markets) -> None:  # noqa: ARG002
        self._trees = HalfSpaceTrees(n_trees=10, height=6, window_size=500, seed=1)
        self._rng = np.random.default_rng(1)

    def score(self, features: Floats, at: float) -> Floats:  # noqa: ARG002
        told = sizes(features)
        scores = np.full(told.shape[1:], np.nan)
        there = np.argwhere(~np.isnan(told[0]))
        learns = self._rng.integers(0, LEARN_SHARE, len(there)) == 0
        for (feed, leg), taught in zip(there.tolist(), learns.tolist(), strict=True):
            row = dict(enumerate(told[:, feed, leg].tolist()))
            scores[feed, leg] = 1 / (1.001 - self._trees.score_one(row))
            if taught:
                self._trees.learn_one(row)
        return scores


class Forest:
    """scikit-learn's isolation forest, fit anew every REFIT_S on the latest rows."""

    def __init__(self, markets: Markets) -> None:  # noqa: ARG002
        self._rows: deque[list[float]] = deque(maxlen=WINDOW_ROWS)
        self._forest: IsolationForest | None = None
        self._rng = np.random.default_rng(1)
        self._fitted_at = -np.inf

    def score(self, features: Floats, at: float) -> Floats:
        told = sizes(features)
        there = ~np.isnan(told[0])
        rows = told[:, there].T
        scores = np.where(there, 0.0, np.nan)
        if self._forest is not None and len(rows):
            scores[there] = np.maximum(-self._forest.score_samples(rows) - 0.4, 0.0)
        self._rows.extend(rows[self._rng.integers(0, LEARN_SHARE, len(rows)) == 0].tolist())
        if at - self._fitted_at >= REFIT_S and len(self._rows) >= 256:
            self._forest = IsolationForest(n_estimators=50, random_state=1).fit(np.array(self._rows))
            self._fitted_at = at
        return scores
