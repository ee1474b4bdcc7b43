"""Recorded candles as a tape. What a candle does not tell is not made up.

The assumptions, all on the side of knowing too little:

- A minute's close is known when the minute has ended, never earlier: the row of a minute is at its end.
- Between two ends nothing moves. The path inside a minute (open, high, low, and when) is not used, but for
  naming regimes.
- There is no book: bid and ask are unknown, spreads count as 0. The close is a last trade of the minute's
  end; a minute without a trade leaves the last close with its old time.
- A venue answers while any of its legs has traded in the last ten minutes.
- The volume of a day is that of the 24 hours before.

Opponents commit within the same minutes, so their latencies hardly matter here: what differs is method and
venues.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints
from core.forge.recordings import Recording
from core.forge.tape import COMMIT_S, EPOCH_S, FIRST_ROUND_AT, Tape

CALM_BPS: Final = 10.0
CRASH_BPS: Final = 50.0
"""A minute is calm while prices move less than CALM_BPS from low to high, a crash from CRASH_BPS on."""
_GAP_MINUTES: Final = 60
_DAY_MINUTES: Final = 1440
_SILENT_MINUTES: Final = 10
_BEFORE_S: Final = 300.0


def spans(recording: Recording) -> list[tuple[int, int]]:
    """The stretches of minutes without a gap of an hour, as rows of the recording [begin, end)."""
    breaks = np.flatnonzero(np.diff(recording.minute) > _GAP_MINUTES) + 1
    edges = [0, *breaks.tolist(), len(recording.minute)]
    return [(begin, end) for begin, end in pairwise(edges) if end - begin > 1]


def ends_of(recording: Recording) -> Floats:
    """When each minute ends, in Unix seconds."""
    return np.asarray((recording.minute + 1) * 60.0, np.float64)


def rounds_of(recording: Recording, span: tuple[int, int]) -> tuple[int, int]:
    """The voting rounds [first, last) that lie whole in a span, after its first ten minutes."""
    begin = (recording.minute[span[0]] + 1) * 60.0 + 2 * _BEFORE_S
    end = (recording.minute[span[1] - 1] + 1) * 60.0
    return int(np.ceil((begin - FIRST_ROUND_AT) / EPOCH_S)), int((end - FIRST_ROUND_AT) // EPOCH_S)


def rounds_tape(recording: Recording, first_round: int, rounds: int) -> Tape:
    """The tape of consecutive rounds."""
    voting_round = np.arange(first_round, first_round + rounds, dtype=np.int64)
    commit_at = np.asarray(voting_round * EPOCH_S + FIRST_ROUND_AT + COMMIT_S, np.float64)
    ends = ends_of(recording)
    begin = int(np.searchsorted(ends, commit_at[0] - COMMIT_S - _BEFORE_S, side="right"))
    end = int(np.searchsorted(ends, commit_at[-1] + EPOCH_S, side="right"))
    return minutes_tape(recording, max(begin - 1, 0), end, commit_at, voting_round)


def minutes_tape(recording: Recording, begin: int, end: int, commit_at: Floats, voting_round: Ints) -> Tape:
    """The tape of the minutes [begin, end) of a recording; what stood before is carried into it."""
    close, last_row = _carried(recording.close, end)
    ends = ends_of(recording)
    venue = [leg.venue for feed in recording.feeds for leg in feed.legs]
    rows = slice(begin, end)
    shape = (end - begin, close.shape[1])
    unknown = np.broadcast_to(np.nan, shape)
    last_at = np.where(last_row[rows] >= 0, ends[np.maximum(last_row[rows], 0)], np.nan)
    return Tape(
        feeds=recording.feeds,
        legs=tuple(leg for feed in recording.feeds for leg in feed.legs),
        own=close.shape[1],
        feed=np.repeat(np.arange(len(recording.feeds)), [len(feed.legs) for feed in recording.feeds]),
        times=ends[rows],
        bid=unknown,
        ask=unknown,
        last=close[rows],
        told_at=last_at,
        last_at=last_at,
        traded=np.nan_to_num(recording.volume[rows]),
        volume_24h=_day_volume(recording)[rows],
        answers=_answers(last_row, venue)[rows],
        truth=np.broadcast_to(np.nan, (shape[0], len(recording.feeds))),
        commit_at=commit_at,
        voting_round=np.asarray(voting_round, np.int64),
        regime=_regimes(recording, ends, commit_at),
    )


def range_bps(recording: Recording) -> Floats:
    """By minute, the middle one of the legs' ranges from low to high."""
    moving = recording.high / recording.low - 1
    known = ~np.isnan(moving)
    ordered = np.sort(np.where(known, moving, np.inf), axis=1)
    middle = ordered[np.arange(len(moving)), np.maximum(known.sum(axis=1) - 1, 0) // 2]
    return np.where(np.isfinite(middle), middle, 0.0) * 1e4


def regime_of(moved_bps: float) -> str:
    """calm, busy or crash."""
    if moved_bps < CALM_BPS:
        return "calm"
    return "busy" if moved_bps < CRASH_BPS else "crash"


def _regimes(recording: Recording, ends: Floats, commit_at: Floats) -> tuple[str, ...]:
    """By the minute that holds each commit: told to nobody who estimates."""
    first = [leg.base == recording.feeds[0].base for feed in recording.feeds for leg in feed.legs]
    of_first = Recording(
        recording.feeds,
        recording.minute,
        recording.high[:, first],
        recording.low[:, first],
        recording.close[:, first],
        recording.volume[:, first],
    )
    moved = range_bps(of_first)
    row = np.minimum(np.searchsorted(ends, commit_at, side="left"), len(ends) - 1)
    return tuple(regime_of(each) for each in moved[row].tolist())


def _carried(close: Floats, end: int) -> tuple[Floats, Ints]:
    """The last close of each leg up to each minute, and the row that it comes from (-1 for none)."""
    rows = np.arange(end)[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(close[:end]), -1, rows), axis=0)
    held = close[np.maximum(last, 0), np.arange(close.shape[1])]
    return np.where(last >= 0, held, np.nan), np.asarray(last, np.intp)


def _day_volume(recording: Recording) -> Floats:
    """The volume of the 1,440 rows up to and with each."""
    summed = np.cumsum(np.nan_to_num(recording.volume), axis=0)
    before = np.concatenate((np.zeros((_DAY_MINUTES, summed.shape[1])), summed))[: len(summed)]
    return np.asarray(summed - before)


def _answers(last_row: Ints, venue: list[str]) -> Bools:
    rows = np.arange(len(last_row))
    out = np.zeros(last_row.shape, np.bool_)
    for name in dict.fromkeys(venue):
        mine = [column for column, each in enumerate(venue) if each == name]
        newest = last_row[:, mine].max(axis=1)
        out[:, mine] = ((newest >= 0) & (rows - newest <= _SILENT_MINUTES))[:, None]
    return out
