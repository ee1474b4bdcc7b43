"""The recorded market: candles played again at a speed, as if they happened now.

Knows recorded minutes and the time they show at. Does not know a clock nor a format. A recorded minute takes
60 / speed seconds; `tracks` says what happens within it. A leg without a candle in a minute is quiet: it
keeps its price and its time. Where the recording has no candle at all for more than GAP_MINUTES_MAX, the
minutes between are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.feeds import FEEDS, LEGS, Leg
from core.simulator.candles import Candles
from core.simulator.source import Print, Snapshot, Truth
from core.simulator.tracks import (
    DECIMALS_MAX,
    FIGURES,
    PRINTS,
    Track,
    figures_of,
    oldest_of_day,
    showing_at,
    track_of,
)

STEP_MAX_S: Final = 0.25
STEP_MIN_S: Final = 1 / 64
SPEED_MAX: Final = 10_000.0
GAP_MINUTES_MAX: Final = 60
_ROUNDING: Final = 1e-6  # of a minute: what is this near to a waypoint is on it


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay is. `minute` is the recorded minute that shows now, in Unix seconds."""

    fraction: float
    minute: float
    minutes_done: int
    minutes_total: int
    ended: bool


class CandleMarket:
    """Candles as a market. `start` is the Unix time at which the first minute begins, put on the grid.

    Raises ValueError for a speed that is not in (0, SPEED_MAX].
    """

    def __init__(self, candles: Candles, start: float, speed: float) -> None:
        if not 0 < speed <= SPEED_MAX:
            raise ValueError(f"a speed is over 0 and at most {SPEED_MAX:g}, not {speed}")
        self._minute_s = 60.0 / speed
        self._step_s = _step_s(self._minute_s)
        self._start = math.ceil(start / self._step_s) * self._step_s
        minutes = np.unique(candles.minute)
        step = np.diff(minutes, prepend=minutes[0])
        self._minutes = minutes
        self._positions = np.cumsum(np.where(step > GAP_MINUTES_MAX, 1, step))
        position = self._positions[np.searchsorted(minutes, candles.minute)]
        bounds = np.flatnonzero(np.diff(candles.leg, prepend=-1, append=-1))
        tracks = [track_of(candles, position, slice(a, b)) for a, b in pairwise(bounds.tolist())]
        self._tracks = {track.leg: track for track in tracks}

    @property
    def step_s(self) -> float:
        return self._step_s

    @property
    def legs(self) -> tuple[Leg, ...]:
        """The legs of the recording; a venue lists no others, and refuses requests that name them."""
        return tuple(LEGS[index] for index in self._tracks)

    @property
    def starts_at(self) -> float:
        """When the first recorded minute begins, in Unix seconds of the replay."""
        return self._start

    @property
    def ends_at(self) -> float:
        """When the last recorded minute ends; from then on every leg keeps its last price."""
        return self._wall(int(self._positions[-1]) + 1)

    def at(self, at: float) -> Snapshot:
        """The legs that have begun, at an instant."""
        now = self._position(at)
        count = len(LEGS)
        floats = {name: np.full(count, np.nan) for name in FIGURES}
        listed: NDArray[np.bool_] = np.zeros(count, np.bool_)
        decimals, ids, trades = (np.zeros(count, np.int64) for _ in range(3))
        for leg, track in self._tracks.items():
            showing = showing_at(track, now)
            if showing is None:
                continue
            oldest = oldest_of_day(track, now)
            listed[leg], decimals[leg] = True, track.decimals
            ids[leg] = showing.candle * PRINTS + showing.passed
            trades[leg] = ids[leg] - min(oldest * PRINTS, ids[leg])
            figures = (*figures_of(track, showing, oldest), self._wall(showing.moved))
            for name, value in zip(FIGURES, figures, strict=True):
                floats[name][leg] = value
        return Snapshot(
            at=math.floor(at / self._step_s) * self._step_s,
            listed=listed,
            decimals=decimals,
            size_decimals=np.full(count, DECIMALS_MAX, np.int64),
            trade_id=ids,
            trades_24h=trades,
            **floats,
        )

    def prints(self, leg: int, at: float, limit: int) -> Sequence[Print]:
        """The last trades of a leg; none for a leg that the recording has not."""
        track = self._tracks.get(leg)
        showing = showing_at(track, self._position(at)) if track else None
        if track is None or showing is None:
            return []
        found: list[Print] = []
        candle, passed = showing.candle, showing.passed
        while candle >= 0 and len(found) < limit:
            ranks = [rank for rank in reversed(range(passed)) if track.sizes[candle, rank] > 0]
            found.extend(self._print(track, candle, rank) for rank in ranks)
            candle, passed = candle - 1, PRINTS
        return found[:limit][::-1]

    def truth(self, at: float) -> Truth:
        """The recorded minute and its prices; a feed's is that of its first US dollar leg."""
        snapshot = self.at(at)
        legs = {str(LEGS[i]): float(snapshot.last[i]) for i in self._tracks if snapshot.listed[i]}
        feeds = {}
        for feed in FEEDS:
            prices = [legs[str(leg)] for leg in feed.legs if leg.quote == "USD" and str(leg) in legs]
            if prices:
                feeds[feed.name] = prices[0]
        return Truth(snapshot.at, self.progress(at).minute, feeds, legs)

    def progress(self, at: float) -> ReplayProgress:
        """How far the replay is at an instant."""
        now = self._position(at)
        total = int(self._positions[-1]) + 1
        whole = min(int(now), total - 1)
        before = int(np.searchsorted(self._positions, whole, side="right")) - 1
        minute = int(self._minutes[before]) + whole - int(self._positions[before])
        return ReplayProgress(
            fraction=min(now / total, 1.0),
            minute=minute * 60.0,
            minutes_done=min(int(now), total),
            minutes_total=total,
            ended=now >= total,
        )

    def _position(self, at: float) -> float:
        """Recorded minutes since the first, at the step of an instant, on a quarter where it is near one."""
        stepped = math.floor(at / self._step_s) * self._step_s
        position = max(stepped - self._start, 0.0) / self._minute_s
        quarter = round(position * PRINTS) / PRINTS
        return quarter if abs(position - quarter) < _ROUNDING else position

    def _wall(self, position: float) -> float:
        return self._start + float(position) * self._minute_s

    def _print(self, track: Track, candle: int, rank: int) -> Print:
        """One of the four trades of a candle; those on the way down are sales."""
        way = track.way.ravel()
        at = candle * PRINTS + rank
        return Print(
            id=at + 1,
            at=round(self._wall(float(track.position[candle]) + rank / PRINTS), 6),
            price=float(way[at]),
            size=float(track.sizes[candle, rank]),
            taker_sells=bool(at > 0 and way[at] < way[at - 1]),
        )


def _step_s(minute_s: float) -> float:
    """A power of two that lets a minute be seen at its four waypoints, within bounds."""
    fitting = 2.0 ** math.floor(math.log2(minute_s / PRINTS))
    return min(max(fitting, STEP_MIN_S), STEP_MAX_S)


async def watch(
    market: CandleMarket,
    clock: Callable[[], float],
    on_progress: Callable[[ReplayProgress], None],
    stop: asyncio.Event,
    every_s: float = 0.5,
) -> None:
    """Tell the progress of a replay every so often, and once more when it has ended or `stop` is set."""
    while not stop.is_set():
        progress = market.progress(clock())
        on_progress(progress)
        if progress.ended:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(every_s):
                await stop.wait()
    on_progress(market.progress(clock()))
