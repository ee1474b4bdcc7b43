"""A tape: what every venue showed, row by row of time, and the rounds that are committed on it.

Knows arrays and which row was the newest at an instant. Does not know who looks at it, or what for; where it
comes from is told by `synthetic` and `candle_tape`. Rows need not be evenly spaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chrono.batch import KIND_QUOTE
from chrono.feeds import Feed, Leg
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints
from core.columns import TICK_DTYPE, TickColumns

FIRST_ROUND_AT: Final = 1_658_430_000
"""Start of voting round 0 on Flare mainnet; simulated rounds keep its clock."""
EPOCH_S: Final = 90.0
COMMIT_S: Final = 75.0
"""When in its epoch a round is committed: where the reference client does it."""
LEARN_S: Final = 60.0
"""When in the epoch after its own a round is finished, and known to all."""

_COARSE_S: Final = 10.0
_DIGITS: Final = 14  # of a price that is shown: float64 holds 15
_DECIMALS_MAX: Final = 18
_VOLUME_DECIMALS: Final = 3
_VOLUME_MAX: Final = 9e14  # base units: what fits an int64 with three decimals


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """T rows by L legs. The first `own` legs are those of `feeds`, in feed order; only opponents see others.

    feed [L] is each leg's feed. bid, ask and last are in the leg's quote currency, NaN for none. told_at is
    the venue's own time, NaN where it tells none; last_at is that of the last trade. traded is in base units
    since the row before, volume_24h in base units. answers tells whether the venue answers at all: a poll
    without an answer leaves what one had. truth [T, F] is the efficient price of a made market, NaN where
    nobody knows it: for pictures only. commit_at, voting_round, regime [R] are the rounds on the tape.
    """

    feeds: tuple[Feed, ...]
    legs: tuple[Leg, ...]
    own: int
    feed: Ints
    times: Floats
    bid: Floats
    ask: Floats
    last: Floats
    told_at: Floats
    last_at: Floats
    traded: Floats
    volume_24h: Floats
    answers: Bools
    truth: Floats
    commit_at: Floats
    voting_round: NDArray[np.int64]
    regime: tuple[str, ...]

    def row(self, at: Floats | float) -> Ints:
        """The newest row at or before each instant; the first row where there is none before."""
        found = np.searchsorted(self.times, at, side="right") - 1
        return np.maximum(np.asarray(found, np.intp), 0)

    @property
    def is_coarse(self) -> bool:
        """Whether rows are so far apart that polls between them show nothing new."""
        return bool(np.diff(self.times).min() >= _COARSE_S) if len(self.times) > 1 else True

    def mids(self) -> Floats:
        """The middle of each leg's book, or the last price where there is no book, [T, L]."""
        middle = (self.bid + self.ask) / 2
        return np.where(np.isnan(middle), self.last, middle)


@dataclass(frozen=True, slots=True)
class Poll:
    """What one poll of all venues brought, received at `at`."""

    at: float
    ticks: TickColumns


@dataclass(frozen=True, slots=True)
class Schedule:
    """When entrants poll: [P] receipt times, rising, and how long an answer is under way."""

    at: Floats
    latency_s: float


def polls(tape: Tape, schedule: Schedule, hidden: Bools | None = None) -> Iterator[Poll]:
    """The answers to a schedule, of the tape's own legs; `hidden` [own] legs are never shown.

    A row after `at - latency_s` is never looked at.
    """
    own = tape.own
    shown = np.ones(own, np.bool_) if hidden is None else ~hidden
    decimals = _decimals(tape)
    scale = 10.0**decimals
    blank = np.zeros(own, TICK_DTYPE)
    blank["kind"], blank["price_decimals"], blank["volume_decimals"] = KIND_QUOTE, decimals, _VOLUME_DECIMALS
    for at, row in zip(
        schedule.at.tolist(), tape.row(schedule.at - schedule.latency_s).tolist(), strict=True
    ):
        rows = blank.copy()
        rows["received_ms"] = round(at * 1000)
        rows["event_ms"] = _whole(tape.told_at[row, :own] * 1000)
        rows["bid"] = _whole(tape.bid[row, :own] * scale)
        rows["ask"] = _whole(tape.ask[row, :own] * scale)
        rows["last"] = _whole(tape.last[row, :own] * scale)
        rows["volume"] = _whole(np.minimum(tape.volume_24h[row, :own], _VOLUME_MAX) * 10**_VOLUME_DECIMALS)
        priced = (rows["last"] > 0) | (rows["bid"] > 0)
        which = np.flatnonzero(shown & tape.answers[row, :own] & priced)
        yield Poll(at, TickColumns(which.astype(np.int32), rows[which]))


def _decimals(tape: Tape) -> NDArray[np.int64]:
    """Decimals by leg that keep _DIGITS digits of the first price that it shows."""
    mids = tape.mids()[:, : tape.own]
    first = mids[np.argmax(~np.isnan(mids), axis=0), np.arange(tape.own)]
    magnitude = np.floor(np.log10(np.where(first > 0, first, 1.0)))
    return np.asarray(np.clip(_DIGITS - magnitude, 0, _DECIMALS_MAX), np.int64)


def _whole(values: Floats) -> NDArray[Any]:
    return np.rint(np.nan_to_num(values, nan=0.0)).astype(np.int64)
