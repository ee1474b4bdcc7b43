"""The detectors of the trial, each as a function from a market's looks to scores: four, two off the shelf.

Half-space trees (river) and an isolation forest (scikit-learn) are development packages: nothing of the core
imports this module. Both see all legs as draws from one population, so that a leg without a history is known
by the others; both get the features by their size, and what a leg may show by being late is taken off its
distance first, as it is for the state space. All four are online: a score rests on no later look. The forest
is fit anew every REFIT_LOOKS, so that all looks between can be scored at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from river.anomaly import HalfSpaceTrees
from sklearn.ensemble import IsolationForest

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.forge.anomaly.detectors import Detector, Hampel, StateSpace
from core.forge.anomaly.features import Feature
from core.forge.anomaly.trial import Observed, scores_of

Scorer = Callable[[Observed], Floats]

_SCALES: Final = np.array([2.0, 4.0, 4.0, 1.0, 2.0, 1.0, 1.0])
WINDOW_ROWS: Final = 4_096
LEARN_SHARE: Final = 8
"""One row in so many teaches."""
REFIT_LOOKS: Final = 80


def sizes(features: Floats) -> Floats:
    """The features' sizes [N, 7, F, K] of features [N, D, F, K], each squashed into [0, 1)."""
    off = features[:, Feature.OFF]
    late = np.minimum(np.maximum(off, features[:, Feature.LOW]), features[:, Feature.HIGH])
    rest = (Feature.SURPRISE, Feature.CHANGE, Feature.SPREAD, Feature.VOLUME, Feature.AGE, Feature.DISPERSION)
    told = np.abs(np.stack((off - late, *(features[:, each] for each in rest)), axis=1))
    return np.asarray(told / (told + _SCALES[:, None, None]))


def online(make: Callable[[Markets], Detector]) -> Scorer:
    """A detector of the core, look by look."""
    return lambda seen: scores_of(make(seen.markets), seen)


def half_space_trees(seen: Observed) -> Floats:
    """river's half-space trees: each row is scored, then taught if its turn comes."""
    trees = HalfSpaceTrees(n_trees=10, height=6, window_size=500, seed=1)
    rng = np.random.default_rng(1)
    told = sizes(seen.features)
    scores = np.full((len(told), *told.shape[2:]), np.nan)
    look, feed, leg = np.nonzero(~np.isnan(told[:, 0]))
    taught = rng.integers(0, LEARN_SHARE, len(look)) == 0
    found = np.empty(len(look))
    for place, (values, learns) in enumerate(
        zip(told[look, :, feed, leg].tolist(), taught.tolist(), strict=True)
    ):
        row = dict(enumerate(values))
        found[place] = trees.score_one(row)
        if learns:
            trees.learn_one(row)
    scores[look, feed, leg] = 1 / (1.001 - found)
    return scores


def isolation_forest(seen: Observed) -> Floats:
    """scikit-learn's isolation forest, fit on the latest WINDOW_ROWS of the rows that taught."""
    rng = np.random.default_rng(1)
    told = sizes(seen.features)
    scores = np.full((len(told), *told.shape[2:]), np.nan)
    rows = np.empty((0, told.shape[1]))
    for begin in range(0, len(told), REFIT_LOOKS):
        block = told[begin : begin + REFIT_LOOKS]
        look, feed, leg = np.nonzero(~np.isnan(block[:, 0]))
        values = block[look, :, feed, leg]
        found = np.zeros(len(values))
        if len(rows) and len(values):
            forest = IsolationForest(n_estimators=50, random_state=1).fit(rows)
            found = np.maximum(-forest.score_samples(values) - 0.4, 0.0)
        scores[begin + look, feed, leg] = found
        rows = np.concatenate((rows, values[rng.integers(0, LEARN_SHARE, len(values)) == 0]))[-WINDOW_ROWS:]
    return scores


DETECTORS: Final[Mapping[str, Scorer]] = {
    "hampel": online(Hampel),
    "half-space trees": half_space_trees,
    "isolation forest": isolation_forest,
    "state space": online(StateSpace),
}
