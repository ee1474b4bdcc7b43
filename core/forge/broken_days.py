"""Recorded candles with a made break of the stablecoins laid over them: four days that nobody recorded.

What the recording shows stays underneath: its noise, its thin markets, its repeated closes. On top of it
comes what `break_paths` made, as each market would have shown it:

- A close is the last trade of its minute, and a thin market's last trade is old: each leg's is drawn from how
  often it traded, so that a fast USDC/USD stands beside a BTC/USDC of half a minute ago.
- Venues follow with a lag of their own, see the same currency apart, and show wider steps between trades.
- More minutes have a trade than before, as they had; a venue that repeats its last close with a volume of 0
  where nobody trades goes on to do so.
- One market between stablecoins halts for hours, and venues fall silent for minutes.

Deterministic: the same recording and seed give the same candles. Before the break no candle is changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from chrono.errors import ChronoError
from chrono.feeds import Leg
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints
from core.forge.break_paths import MINUTE_STEPS, STEP_S, Paths, break_paths
from core.forge.candle_tape import spans
from core.forge.methods import middle
from core.forge.recordings import Recording

DAYS: Final = 4
_DAY: Final = 1_440
_BEGIN_HOURS: Final = (6.0, 20.0)
_BUSIER: Final = 4.0
_LAG_S_MAX: Final = 4.0
_OLD_S: Final = (2.0, 90.0)
_STEP_BPS: Final = 1.0
_STEP_BPS_A_SECOND: Final = 0.08
"""How far apart two trades of a market are, and by how much more for each second between its trades."""
_HALT_HOURS: Final = (1.0, 5.0)
_SILENCES_DAY: Final = 1.5
_SILENT_MINUTES: Final = (2, 20)


class TooShort(ChronoError):
    """A recording without four whole days to lay a break over."""

    def __init__(self) -> None:
        super().__init__(f"a break is laid over {DAYS} whole days (UTC), and no stretch has so many")


@dataclass(frozen=True, slots=True)
class _Traded:
    """When the legs traded, [M, L]: whether in a minute, and how many steps before its end for the last time.

    gap_s [L]: the mean seconds between a leg's trades.
    """

    there: Bools
    old_steps: Floats
    gap_s: Floats


def broken_days(recording: Recording, seed: int) -> Recording:
    """Four whole days of the longest stretch, chosen by the seed, with a break from some hour of the first.

    Raises TooShort.
    """
    rng = np.random.default_rng([seed, 0xB4EA])
    days = _four_days(recording, rng)
    legs = tuple(leg for feed in recording.feeds for leg in feed.legs)
    venues = tuple(sorted({leg.venue for leg in legs}))
    begin = round(rng.uniform(*_BEGIN_HOURS) * 60)
    paths = break_paths(venues, len(days.minute), begin, rng)
    traded = _traded(days, legs, begin, rng)
    shift = _shifts(legs, venues, paths, traded, rng)
    return _silenced(_laid(days, _underneath(days, legs), shift, traded, begin), legs, begin, rng)


def _four_days(recording: Recording, rng: np.random.Generator) -> Recording:
    begin, end = max(spans(recording), key=lambda span: span[1] - span[0], default=(0, 0))
    minute = recording.minute[begin:end]
    starts = begin + np.flatnonzero(minute % _DAY == 0)
    starts = starts[starts + DAYS * _DAY <= end]
    starts = starts[recording.minute[starts + DAYS * _DAY - 1] == recording.minute[starts] + DAYS * _DAY - 1]
    if not len(starts):
        raise TooShort
    first = int(rng.choice(starts))
    rows = slice(first, first + DAYS * _DAY)
    grids = (getattr(recording, name)[rows].copy() for name in ("high", "low", "close", "volume"))
    return Recording(recording.feeds, recording.minute[rows].copy(), *grids)


def _traded(days: Recording, legs: tuple[Leg, ...], begin: int, rng: np.random.Generator) -> _Traded:
    """The recorded trades, and in the break such more as fit to `_BUSIER` times as many; none at a venue of
    which nothing was recorded in that minute."""
    there = np.nan_to_num(days.volume) > 0
    silent = np.clip(1 - there.mean(axis=0), 1e-9, 1 - 1e-9)
    more = rng.random(there.shape) < 1 - silent ** (_BUSIER - 1)
    more &= (np.arange(len(there)) >= begin)[:, None] & (np.cumsum(there, axis=0) > 0)
    for venue in {leg.venue for leg in legs}:
        mine = [place for place, leg in enumerate(legs) if leg.venue == venue]
        more[:, mine] &= there[:, mine].any(axis=1, keepdims=True)
    gap_s = np.clip(-60 / (np.log(silent) * _BUSIER), *_OLD_S)
    drawn = rng.random(there.shape) * (1 - np.exp(-60 / gap_s))
    return _Traded(there | more, -gap_s * np.log1p(-drawn) / STEP_S, gap_s)


def _shifts(
    legs: tuple[Leg, ...], venues: tuple[str, ...], paths: Paths, traded: _Traded, rng: np.random.Generator
) -> Floats:
    """How far [3, M, L] each leg's log price is moved: at its close, at most and at least in the minute."""
    minutes = len(traded.there)
    lag = dict(zip(venues, rng.uniform(0, _LAG_S_MAX, len(venues)) / STEP_S, strict=True))
    ends = (np.arange(minutes) + 1.0) * MINUTE_STEPS
    steps = np.arange(len(paths.turmoil)) + 1.0
    turmoil = paths.turmoil[MINUTE_STEPS - 1 :: MINUTE_STEPS]
    out = np.empty((3, minutes, len(legs)))
    for place, leg in enumerate(legs):
        path = paths.of(leg.venue, leg.base) - paths.of(leg.venue, leg.quote)
        own = (_STEP_BPS + _STEP_BPS_A_SECOND * traded.gap_s[place]) * 1e-4 * turmoil
        bounce = own * rng.choice((-1.0, 1.0), minutes)
        out[0, :, place] = np.interp(ends - traded.old_steps[:, place] - lag[leg.venue], steps, path) + bounce
        by_minute = path.reshape(minutes, MINUTE_STEPS)
        out[1, :, place], out[2, :, place] = by_minute.max(axis=1), by_minute.min(axis=1)
    return out


def _underneath(days: Recording, legs: tuple[Leg, ...]) -> Floats:
    """What each leg's close would have been in every minute: as far from the others of its base as last."""
    known = np.nan_to_num(days.volume) > 0
    close = np.log(np.where(known, days.close, np.nan))
    held, out = _held(close, known), np.empty_like(close)
    for base in {leg.base for leg in legs}:
        mine = [place for place, leg in enumerate(legs) if leg.base == base]
        common = middle(held[:, mine])[:, None]
        out[:, mine] = common + _held(close[:, mine] - common, known[:, mine])
    return np.exp(out)


def _laid(days: Recording, base: Floats, shift: Floats, traded: _Traded, begin: int) -> Recording:
    """The candles with their prices moved; what did not trade is as it was, or repeats the last close."""
    after = (np.arange(len(base)) >= begin)[:, None] & np.ones_like(traded.there)
    moved, shown = traded.there & after, ~np.isnan(days.close)
    decimals = _decimals(days.close)
    close = _rounded(np.where(moved, base * np.exp(shift[0]), np.where(after, np.nan, days.close)), decimals)
    repeated = shown & after & ~moved
    close = np.where(repeated, _held(close, ~np.isnan(close)), close)
    high = _rounded(np.where(shown, days.high, base) * np.exp(shift[1]), decimals)
    low = _rounded(np.where(shown, days.low, base) * np.exp(shift[2]), decimals)
    usual = middle(np.where(days.volume > 0, days.volume, np.nan).T)
    volume = np.where(np.nan_to_num(days.volume) > 0, days.volume, usual) * _BUSIER
    kept = np.where(repeated, 0.0, days.volume)
    return Recording(
        feeds=days.feeds,
        minute=days.minute,
        high=np.where(moved, np.fmax(high, close), np.where(repeated, close, days.high)),
        low=np.where(moved, np.fmin(low, close), np.where(repeated, close, days.low)),
        close=close,
        volume=np.where(moved, volume, kept),
    )


def _silenced(days: Recording, legs: tuple[Leg, ...], begin: int, rng: np.random.Generator) -> Recording:
    """The days with a halted market between stablecoins, and venues that are silent for minutes."""
    gone = np.zeros(days.close.shape, np.bool_)
    minutes = len(gone)
    tied = [place for place, leg in enumerate(legs) if leg.base == "USDC"]
    if tied:
        at = rng.integers(begin, minutes)
        gone[at : at + round(rng.uniform(*_HALT_HOURS) * 60), rng.choice(tied)] = True
    for venue in sorted({leg.venue for leg in legs}):
        mine = [place for place, leg in enumerate(legs) if leg.venue == venue]
        for at in rng.integers(begin, minutes, rng.poisson(_SILENCES_DAY * (minutes - begin) / _DAY)):
            gone[at : at + rng.integers(*_SILENT_MINUTES), mine] = True
    for grid in (days.high, days.low, days.close, days.volume):
        grid[gone] = np.nan
    return days


def _held(values: Floats, known: Bools) -> Floats:
    """The last known value of each column up to each row; NaN before the first."""
    rows = np.where(known, np.arange(len(values))[:, None], -1)
    last = np.maximum.accumulate(rows, axis=0)
    held = np.take_along_axis(values, np.maximum(last, 0), axis=0)
    return np.where(last >= 0, held, np.nan)


def _decimals(close: Floats) -> Ints:
    """The decimals that a leg's closes are told with, at most 8."""
    out = np.full(close.shape[1], 8, np.intp)
    for decimals in range(8, -1, -1):
        far = np.nan_to_num(np.abs(np.round(close, decimals) - close) / close)
        out[far.max(axis=0) < 1e-10] = decimals
    return out


def _rounded(values: Floats, decimals: Ints) -> Floats:
    scale = 10.0**decimals
    return np.asarray(np.round(values * scale) / scale)
