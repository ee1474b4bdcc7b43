"""The markets of the trial of detectors: simulated ones from a seed, and recorded minutes.

Knows which tapes there are, what is put into them and how they are looked at. Does not know any detector. All
63 feeds are looked at every LOOK_S, close to what the live watch does, or once a minute where the market is
recorded in minutes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from chrono.feeds import FEEDS
from core.aggregation.markets import Bools
from core.forge.anomaly.features import Habits
from core.forge.anomaly.injections import Injected, draw_injections, inject
from core.forge.anomaly.trial import Observed, observe, tape_of
from core.forge.candle_tape import CALM_BPS, CRASH_BPS, minutes_tape, range_bps, spans
from core.forge.recordings import Recording, read_recording
from core.forge.synthetic import REGIMES, simulate
from core.forge.tape import Schedule

SHARED: Final = Path(os.environ.get("CHRONO_SHARED", Path(__file__).parents[2] / "shared"))
CANDLES: Final = SHARED / "market" / "ohlcv_1m_btc_stables.parquet"
LOOK_S: Final = 1.5
_LATENCY_S: Final = 0.3
_EVENT_EVERY_S: Final = 15.0
_WARM_UP_S: Final = 180.0

_MINUTES: Final = Habits(late_s=180.0)
_MINUTES_SLOWER: Final = 8.0
_MINUTES_EVERY_S: Final = 1_800.0
_MINUTES_WARM_UP_S: Final = 7_200.0
_RECENT_MINUTES: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class Market:
    """A tape that was looked at. `parts` [N] names what each look belongs to, for counting false alarms."""

    name: str
    seen: Observed
    parts: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        return not self.seen.events

    def hours(self) -> dict[str, float]:
        """How long each part is, the warm-up left out."""
        passed = np.diff(self.seen.at, append=self.seen.at[-1])[self.seen.since :] / 3600
        parts = np.array(self.parts)[self.seen.since :]
        return {part: float(passed[parts == part].sum()) for part in sorted(set(self.parts))}


def simulated(seed: int, rounds: int) -> Iterator[Market]:
    """Each regime from a seed, as it is and with events in it."""
    for regime in REGIMES.values():
        tape = simulate(FEEDS, regime, seed=seed, segment=0, rounds=rounds)
        at = np.arange(tape.times[0] + 1.0, tape.times[-1], LOOK_S)
        schedule = Schedule(at, _LATENCY_S)
        for made in (tape_of(tape), inject(tape, draw_injections(tape, seed, _EVENT_EVERY_S), seed)):
            seen = observe(made, schedule, warm_up_s=_WARM_UP_S)
            yield Market(f"seed {seed}, {regime.name}", seen, (regime.name,) * len(at))


def recorded(later: bool, minutes: int) -> Iterator[Market]:
    """The first minutes of the first days of the recording, or the last ones of the later days: as they are
    and with events in them. What the estimate is without events counts as the truth."""
    recording = read_recording(CANDLES)
    first, last = spans(recording)[0], spans(recording)[-1]
    begin = max(last[1] - minutes, last[0] + 10) if later else first[0] + 10
    end = min(begin + minutes, last[1] if later else first[1])
    none = np.empty(0)
    tape = minutes_tape(recording, begin, end, none, none.astype(np.intp))
    schedule = Schedule(tape.times + 0.5, 0.4)
    parts = _roughness(recording, begin, end)
    bare = _minutes_of(tape_of(tape), schedule)
    known = replace(tape, truth=bare.price)
    yield Market("recorded", replace(bare, truth=bare.price), parts)
    events = draw_injections(known, 1, _MINUTES_EVERY_S, slower=_MINUTES_SLOWER)
    yield Market("recorded", _minutes_of(inject(known, events, 1), schedule), parts)


def _minutes_of(made: Injected, schedule: Schedule) -> Observed:
    return observe(made, schedule, warm_up_s=_MINUTES_WARM_UP_S, habits=_MINUTES)


def _roughness(recording: Recording, begin: int, end: int) -> tuple[str, ...]:
    """How far Bitcoin went from low to high in the widest of the last minutes, as a word."""
    bitcoin: Bools = np.array([leg.base == "BTC" for feed in recording.feeds for leg in feed.legs])
    of_bitcoin = replace(
        recording,
        high=recording.high[:, bitcoin],
        low=recording.low[:, bitcoin],
        close=recording.close[:, bitcoin],
        volume=recording.volume[:, bitcoin],
    )
    moved = range_bps(of_bitcoin)
    words = []
    for row in range(begin, end):
        widest = float(moved[max(row - _RECENT_MINUTES + 1, 0) : row + 1].max())
        words.append("calm" if widest < CALM_BPS else "volatile" if widest >= CRASH_BPS else "between")
    return tuple(words)
