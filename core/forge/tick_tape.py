"""Chrono's own recorded quotes as a tape: what was received by each instant, and nothing that came later.

Rows are STEP_S apart and hold the newest quote of each leg that had been received by then. A venue answers
while anything of it was received in the last ANSWERS_S. Opponents replay on the same quotes: venues that
Chrono does not read are missing among them, and they see what Chrono had received, not the venue itself.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints
from core.forge.candle_tape import regime_of
from core.forge.recordings import QuoteHistory
from core.forge.tape import COMMIT_S, EPOCH_S, FIRST_ROUND_AT, Tape

STEP_S: Final = 1.0
ANSWERS_S: Final = 15.0
_BEFORE_S: Final = 150.0


def rounds_in(history: QuoteHistory) -> tuple[int, int]:
    """The voting rounds [first, last) that lie whole in a history, after its first minutes."""
    first = np.ceil((history.received_at[0] + _BEFORE_S - FIRST_ROUND_AT) / EPOCH_S)
    return int(first), int((history.received_at[-1] - FIRST_ROUND_AT) // EPOCH_S)


def history_tape(history: QuoteHistory, first_round: int, rounds: int) -> Tape:
    """The tape of consecutive rounds."""
    voting_round = np.arange(first_round, first_round + rounds, dtype=np.int64)
    commit_at = np.asarray(voting_round * EPOCH_S + FIRST_ROUND_AT + COMMIT_S, np.float64)
    times = np.arange(commit_at[0] - COMMIT_S - _BEFORE_S, commit_at[-1] + EPOCH_S - COMMIT_S, STEP_S)
    newest = _newest(history, times)
    legs = tuple(leg for feed in history.feeds for leg in feed.legs)
    received = _taken(history.received_at, newest)
    told = _taken(history.told_at, newest)
    last = _taken(history.last, newest)
    tape = Tape(
        feeds=history.feeds,
        legs=legs,
        own=len(legs),
        feed=np.repeat(np.arange(len(history.feeds)), [len(feed.legs) for feed in history.feeds]),
        times=times,
        bid=_taken(history.bid, newest),
        ask=_taken(history.ask, newest),
        last=last,
        told_at=told,
        last_at=np.where(np.isnan(told), received, told),
        traded=np.where(np.diff(last, axis=0, prepend=last[:1]) != 0, 1.0, 0.0),
        volume_24h=_taken(history.volume_24h, newest),
        answers=_answers(received, [leg.venue for leg in legs], times),
        truth=np.broadcast_to(np.nan, (len(times), len(history.feeds))),
        commit_at=commit_at,
        voting_round=voting_round,
        regime=("calm",) * rounds,
    )
    return _with_regimes(tape)


def _newest(history: QuoteHistory, times: Floats) -> Ints:
    """[T, L]: the place of the newest quote of each leg received by each time; -1 for none."""
    legs = sum(len(feed.legs) for feed in history.feeds)
    out = np.full((len(times), legs), -1, np.intp)
    for leg in range(legs):
        places = np.flatnonzero(history.leg == leg)
        found = np.searchsorted(history.received_at[places], times, side="right") - 1
        out[:, leg] = np.where(found >= 0, places[np.maximum(found, 0)], -1)
    return out


def _taken(values: Floats, places: Ints) -> Floats:
    return np.where(places >= 0, values[np.maximum(places, 0)], np.nan)


def _answers(received: Floats, venues: list[str], times: Floats) -> Bools:
    age = times[:, None] - np.nan_to_num(received, nan=-np.inf)
    out = np.zeros(age.shape, np.bool_)
    for venue in dict.fromkeys(venues):
        mine = [at for at, name in enumerate(venues) if name == venue]
        out[:, mine] = age[:, mine].min(axis=1, keepdims=True) <= ANSWERS_S
    return out


def _with_regimes(tape: Tape) -> Tape:
    """Name the rounds by how far the first feed moved in the minute before: told to nobody who estimates."""
    mine = np.flatnonzero(tape.feed == 0)
    mids = tape.mids()[:, mine]
    now, before = (mids[tape.row(tape.commit_at - back)] for back in (0.0, 60.0))
    with np.errstate(invalid="ignore"):
        moved = np.abs(now / before - 1) * 1e4
    known = np.where(np.isnan(moved), 0.0, moved)
    regimes = tuple(regime_of(float(np.median(row))) for row in known)
    fields = {name: getattr(tape, name) for name in tape.__slots__ if name != "regime"}
    return Tape(**fields, regime=regimes)
