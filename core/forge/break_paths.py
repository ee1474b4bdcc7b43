"""How a break of the stablecoins goes: what USDC, USDT and bitcoin do, and each venue's view of them.

Made, from a seed, after what March 2023 showed: USDC falls within hours to 0.87-0.92 and climbs back over two
days in steps, USDT is dear by up to 1.7 %, bitcoin moves twice as wide, and the same currency is not worth
the same at two venues, since nobody can move it. Knows paths on a grid of STEP_S. Does not know candles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats

STEP_S: Final = 6
MINUTE_STEPS: Final = 60 // STEP_S
_HOUR_STEPS: Final = 60 * MINUTE_STEPS
_BPS: Final = 1e-4

_USDC_HOURS: Final = (0, 3, 7, 12, 20, 32, 44, 54, 62, 100)
_USDC_DEPTH: Final = (0, 0.3, 1, 0.6, 0.7, 0.35, 0.42, 0.15, 0.05, 0.03)
_USDT_HOURS: Final = (0, 7, 14, 30, 50, 70, 100)
_USDT_HEIGHT: Final = (0, 1, 0.55, 0.7, 0.4, 0.5, 0.3)
"""The mean course after the break: parts of the deepest fall and of the largest premium."""

_MINUTE_BPS: Final = {"USDC": 25.0, "USDT": 4.0, "BTC": 16.0}
"""By how much a value moves in a minute on its own, in a break of strength 1."""
_WEDGE_BPS: Final = {"USD": 4.7, "USDC": 30.0, "USDT": 5.0}
_WEDGE_MINUTES: Final = {"USD": 90.0, "USDC": 12.0, "USDT": 45.0}
"""How far a venue's own value of a currency stands from the common one, and the half-life of that."""
_JUMPS_HOUR: Final = 1.3
_JUMP_BPS: Final = {"USDC": 150.0, "USDT": 20.0, "BTC": 130.0}


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """`turmoil` [S] is the break's strength, 0 before it. `value` is the logarithm [S] of what a currency has
    gained since the break began; `wedges` is what a venue adds to that."""

    turmoil: Floats
    value: dict[str, Floats]
    wedges: dict[tuple[str, str], Floats]

    def of(self, venue: str, currency: str) -> Floats:
        """What a currency has gained at a venue [S]; 0 throughout for one that no break is told of."""
        none = np.zeros(len(self.turmoil))
        return self.value.get(currency, none) + self.wedges.get((venue, currency), none)


def break_paths(venues: tuple[str, ...], minutes: int, begin: int, rng: np.random.Generator) -> Paths:
    """The paths of a break that begins with minute `begin` of `minutes`."""
    steps, first = minutes * MINUTE_STEPS, begin * MINUTE_STEPS
    hours = np.maximum(np.arange(steps) - first, 0) / _HOUR_STEPS
    turmoil = _turmoil(hours, first, rng)
    pace = rng.uniform(0.8, 1.3)
    usdc = np.log1p(-rng.uniform(0.08, 0.13) * _course(hours * pace, _USDC_HOURS, _USDC_DEPTH, rng))
    usdt = np.log1p(rng.uniform(0.006, 0.017) * _course(hours * pace, _USDT_HOURS, _USDT_HEIGHT, rng))
    value = {
        "USDC": usdc + _around(turmoil, _MINUTE_BPS["USDC"], 25.0, rng) + _jumps(turmoil, "USDC", rng),
        "USDT": usdt + _around(turmoil, _MINUTE_BPS["USDT"], 60.0, rng) + _jumps(turmoil, "USDT", rng),
        "BTC": _around(turmoil, _MINUTE_BPS["BTC"], 600.0, rng) + _jumps(turmoil, "BTC", rng),
    }
    wedges = {
        (venue, currency): _around(turmoil, far * _per_minute(half_life), half_life, rng)
        for venue in venues
        for currency, far in _WEDGE_BPS.items()
        for half_life in (_WEDGE_MINUTES[currency],)
    }
    return Paths(turmoil, value, wedges)


def _turmoil(hours: Floats, first: int, rng: np.random.Generator) -> Floats:
    """Strong in the first hours, half of it a day and a half later, in waves of an hour or two."""
    waves = np.exp(_mean_reverting(np.full(len(hours), 0.55 * _per_minute(60.0)), 60.0, rng))
    strength = np.clip((0.35 + 0.65 * 0.5 ** (hours / 24.0)) * waves, 0.15, 4.0)
    return np.where(np.arange(len(hours)) < first, 0.0, strength)


def _course(
    hours: Floats, knots: tuple[float, ...], parts: tuple[float, ...], rng: np.random.Generator
) -> Floats:
    """The mean course with its knots moved a little in height."""
    heights = np.array(parts) * rng.uniform(0.8, 1.2, len(parts))
    return np.asarray(np.interp(hours, knots, heights / heights.max()))


def _around(turmoil: Floats, minute_bps: float, half_life_minutes: float, rng: np.random.Generator) -> Floats:
    """A path that wanders around 0, more where there is more turmoil."""
    return _mean_reverting(turmoil * minute_bps * _BPS, half_life_minutes, rng)


def _jumps(turmoil: Floats, name: str, rng: np.random.Generator) -> Floats:
    """Sudden moves that fade with a half-life of ten minutes."""
    likely = turmoil * _JUMPS_HOUR / _HOUR_STEPS
    size = np.where(rng.random(len(turmoil)) < likely, rng.normal(0, _JUMP_BPS[name] * _BPS, len(turmoil)), 0)
    return _fading(size, 10.0)


def _mean_reverting(minute_scale: Floats, half_life_minutes: float, rng: np.random.Generator) -> Floats:
    step = minute_scale / np.sqrt(MINUTE_STEPS)
    return _fading(step * rng.standard_normal(len(step)), half_life_minutes)


def _fading(steps: Floats, half_life_minutes: float) -> Floats:
    """Sums in which each step loses half of itself in so many minutes."""
    kept = 0.5 ** (1 / (half_life_minutes * MINUTE_STEPS))
    out, now = np.empty(len(steps)), 0.0
    for place, step in enumerate(steps.tolist()):
        now = now * kept + step
        out[place] = now
    return out


def _per_minute(half_life_minutes: float) -> float:
    """The minute's step that keeps a fading path at a deviation of 1."""
    return float(np.sqrt(2 * np.log(2) / half_life_minutes))
