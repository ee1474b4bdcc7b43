"""Detectors: features of a look in, one score a leg out. The higher, the stranger; 0 for nothing strange.

Knows features. Does not know what follows from a score, nor what threshold makes it an alarm (`verdicts`).

- `Hampel` is what every pass of the aggregation does anyway: a leg's distance from the others against their
  median distance, with a floor. It has no memory.
- `StateSpace` follows each leg by a local-level filter: its usual distance wanders slowly, and what remains,
  the innovation, is compared with its own noise and with how far apart the feed's legs are now. As
  far as its feed went in the last seconds a leg may be behind, and as far ahead: that is no innovation. A sum
  of what exceeds the usual (CUSUM, both sides) catches what creeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.forge.anomaly.features import LOOK_S_MAX, Feature


class Detector(Protocol):
    """Scores legs online: a score may rest on this look and on earlier ones, never on later ones."""

    def score(self, features: Floats, at: float) -> Floats:
        """Scores [F, K] of the features [D, F, K] of a look; NaN where a leg has none. `at` never falls."""
        ...


class Hampel:
    """Distance over the larger of three deviations of the feed's legs and a floor; 1 is a pass's limit."""

    def __init__(self, markets: Markets, mads: float = 3.0 * 1.4826, floor_bands: float = 3.0) -> None:
        least = np.maximum(floor_bands, 0.001 / markets.band)
        self._mads, self._floor = mads, least[:, None]

    def score(self, features: Floats, at: float) -> Floats:  # noqa: ARG002
        limit = np.maximum(self._mads * features[Feature.DISPERSION], self._floor)
        return np.asarray(np.abs(features[Feature.OFF]) / limit)


@dataclass(frozen=True, slots=True)
class Noise:
    """Distances are in secondary bands, times in seconds.

    `apart` is the share of the feed's dispersion that is nobody's fault.
    The sums take what is beyond `slack` deviations, and `drift_s` of one deviation more counts as much as an
    innovation of one; they are bounded by `sum_max` of the score.
    """

    first: float = 0.3
    least: float = 0.15
    level_s: float = 900.0
    noise_s: float = 1_800.0
    apart: float = 1.0
    slack: float = 2.5
    drift_s: float = 8.0
    sum_max: float = 10.0
    step: float = 3.0
    turn: float = 1.5


class StateSpace:
    """Innovations of a local-level filter a leg, and their two-sided CUSUM. Keeps five arrays."""

    def __init__(self, markets: Markets, noise: Noise | None = None) -> None:
        self._noise = noise or Noise()
        self._level, self._up, self._down = np.zeros((3, *markets.shape))
        self._variance = np.full(markets.shape, self._noise.first**2)
        self._seen_s = np.zeros(markets.shape)
        self._at = -np.inf

    def score(self, features: Floats, at: float) -> Floats:
        noise, passed_s = self._noise, float(np.clip(at - self._at, 0.0, LOOK_S_MAX))
        self._at = max(at, self._at)
        off = features[Feature.OFF]
        there = ~np.isnan(off)
        distance = off - self._level
        went = features[Feature.HIGH] - features[Feature.LOW]
        innovation = np.where(there, distance - np.minimum(np.maximum(distance, -went), went), 0.0)
        excused = np.where(there, noise.apart * features[Feature.DISPERSION], 0.0) ** 2
        scale = np.sqrt(self._variance + noise.least**2 + excused)
        ratio = innovation / scale
        sums = self._summed(ratio, passed_s)
        self._learn(innovation, ratio, scale, there, passed_s)
        return np.where(there, np.maximum(np.abs(ratio), sums), np.nan)

    def _summed(self, ratio: Floats, passed_s: float) -> Floats:
        """The larger of the two sums, in units of the score."""
        noise = self._noise
        step, slack = np.clip(ratio, -2 * noise.slack, 2 * noise.slack), noise.slack
        most = noise.sum_max * noise.drift_s
        self._up = np.clip(self._up + (step - slack) * passed_s, 0.0, most)
        self._down = np.clip(self._down + (-step - slack) * passed_s, 0.0, most)
        return np.maximum(self._up, self._down) / noise.drift_s

    def _learn(
        self, innovation: Floats, ratio: Floats, scale: Floats, there: Floats, passed_s: float
    ) -> None:
        """A strange look teaches little: the level's step shrinks again beyond `turn` deviations, that of the
        noise is bounded. A new leg's level is found fast."""
        noise = self._noise
        self._seen_s += passed_s * there
        pace_s = np.clip(self._seen_s, LOOK_S_MAX, noise.level_s)
        share = 1 - 0.5 ** (passed_s / pace_s)
        bounded = ratio / (1 + (ratio / noise.turn) ** 2) * scale
        self._level += np.where(there, share * bounded, 0.0)
        share_noise = 1 - 0.5 ** (passed_s / np.clip(self._seen_s, 6 * LOOK_S_MAX, noise.noise_s))
        own = np.minimum(innovation**2, noise.step**2 * (self._variance + noise.least**2))
        self._variance += np.where(there, share_noise * (own - self._variance), 0.0)
