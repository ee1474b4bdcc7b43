"""Leave one venue out: estimates measured against a venue that no estimator sees.

Pure: a tape and makers in, errors out. Nobody learns here, since nothing is finalized. Compared is with the
hidden legs that are quoted in US dollars, and only at moments when they have just shown a price: at each
minute's end on candles, at each commit on a fine tape.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chrono.errors import ChronoError
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools
from core.forge.match import entrants_schedule
from core.forge.ports import Estimator, EstimatorMaker
from core.forge.tape import Schedule, Tape, polls

DAY_MOMENTS_MIN: Final = 60
NEAR_BPS: Final = (5.0, 50.0)
CALM_BPS: Final = 4.5
"""A moment is calm if the hidden price moved less than this in the minute before it."""
_MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400.0
_FRESH_S: Final = 30.0


class NothingHidden(ChronoError):
    """The market has no dollar market of a venue or leg that was to be left out."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the market has no dollar leg of {name} to measure against")


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """M moments by F feeds: the hidden price (NaN for none), how far it moved in the minute before, in bps,
    and each entrant's error in bps [E, M, F], signed."""

    at: Floats
    feeds: tuple[str, ...]
    hidden: Floats
    moved_bps: Floats
    error_bps: Floats


def compare(tape: Tape, name: str, makers: Sequence[EstimatorMaker], seed: int) -> Compared:
    """Hide a venue such as `coinbase`, or a leg such as `coinbase:BTC/USD`, and compare at every moment.

    Raises NothingHidden.
    """
    hidden = np.array([name in (leg.venue, str(leg)) for leg in tape.legs[: tape.own]])
    truth = _truth(tape, hidden, name)
    at, schedule = _moments(tape, seed)
    rows = tape.row(at)
    error = _walk(tape, [make(tape.feeds) for make in makers], schedule, at, hidden)
    price = truth[rows]
    return Compared(
        at=at,
        feeds=tuple(feed.name for feed in tape.feeds),
        hidden=price,
        moved_bps=_moved(tape, truth)[rows],
        error_bps=(error / price - 1) * 1e4,
    )


def hidden_rows(
    entrants: Sequence[str], feeds: Sequence[str], parts: Sequence[Compared], plain: str = "median"
) -> list[dict[str, Any]]:
    """One row an estimator and feed with a hidden price: shares within 5 and 50 bps, calm and all.

    `worst_day_points` is the lowest difference from the plain median's share on any day, in percent points;
    a day with fewer than DAY_MOMENTS_MIN moments says nothing.
    """
    rows = []
    joined = _join(parts)
    base = entrants.index(plain) if plain in entrants else None
    for feed, name in enumerate(joined.feeds):
        if name not in feeds:
            continue
        for place, entrant in enumerate(entrants):
            error = np.abs(joined.error_bps[place, :, feed])
            known = np.asarray(~np.isnan(joined.error_bps[:, :, feed]).any(axis=0))
            if not known.any():
                continue
            calm = np.asarray(known & (joined.moved_bps[:, feed] < CALM_BPS))
            row: dict[str, Any] = {"estimator": entrant, "feed": name, "kind": "hidden"}
            row |= _shares("calm", error, calm) | _shares("all", error, known)
            if base is not None:
                row |= _worst_day(joined, error, base, feed, known)
            rows.append(row)
    return rows


def _shares(title: str, error: Floats, which: Bools) -> dict[str, Any]:
    told: dict[str, Any] = {f"{title}_moments": int(which.sum())}
    for near in NEAR_BPS:
        share = float(np.mean(error[which] <= near)) if which.any() else None
        told[f"{title}_within_{near:.0f}_bps"] = share if share is None else round(share, 6)
    return told


def _worst_day(joined: Compared, error: Floats, base: int, feed: int, known: Bools) -> dict[str, float]:
    plain = np.abs(joined.error_bps[base, :, feed])
    day = joined.at // _DAY_S
    near = NEAR_BPS[0]
    days = [known & (day == each) for each in np.unique(day[known])]
    gaps = [
        np.mean(error[rows] <= near) - np.mean(plain[rows] <= near)
        for rows in days
        if rows.sum() >= DAY_MOMENTS_MIN
    ]
    return {"worst_day_points": round(float(min(gaps)) * 100, 4)} if gaps else {}


def _join(parts: Sequence[Compared]) -> Compared:
    return Compared(
        at=np.concatenate([part.at for part in parts]),
        feeds=parts[0].feeds,
        hidden=np.concatenate([part.hidden for part in parts]),
        moved_bps=np.concatenate([part.moved_bps for part in parts]),
        error_bps=np.concatenate([part.error_bps for part in parts], axis=1),
    )


def _truth(tape: Tape, hidden: NDArray[np.bool_], name: str) -> Floats:
    """The hidden dollar price of each feed [T, F], only while it is fresh."""
    truth = np.full((len(tape.times), len(tape.feeds)), np.nan)
    mids = tape.mids()
    for leg in np.flatnonzero(hidden):
        feed = tape.feed[leg]
        if tape.legs[leg].quote == "USD" and tape.legs[leg].base == tape.feeds[feed].base:
            fresh = tape.times - tape.last_at[:, leg] <= _FRESH_S
            truth[:, feed] = np.where(fresh & tape.answers[:, leg], mids[:, leg], np.nan)
    if np.isnan(truth).all():
        raise NothingHidden(name)
    return truth


def _moved(tape: Tape, truth: Floats) -> Floats:
    """How far the hidden price [T, F] is from the one of a minute before, in bps."""
    rows = np.arange(len(truth))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(truth), 0, rows), axis=0)
    held = np.take_along_axis(truth, last, axis=0)
    return np.abs(held / held[tape.row(tape.times - _MINUTE_S)] - 1) * 1e4


def _moments(tape: Tape, seed: int) -> tuple[Floats, Schedule]:
    if tape.is_coarse:
        return tape.times, Schedule(tape.times, 0.0)
    return tape.commit_at, entrants_schedule(tape, seed)


def _walk(
    tape: Tape, estimators: Sequence[Estimator], schedule: Schedule, at: Floats, hidden: Bools
) -> Floats:
    """Values [E, M, F], each made of what was received by its moment."""
    out = np.full((len(estimators), len(at), len(tape.feeds)), np.nan)
    arriving = polls(tape, schedule, hidden)
    poll = next(arriving, None)
    for moment, when in enumerate(at.tolist()):
        while poll is not None and poll.at <= when:
            for estimator in estimators:
                estimator.observe(poll.ticks, poll.at)
            poll = next(arriving, None)
        for place, estimator in enumerate(estimators):
            out[place, moment] = estimator.estimate(when).value
    return out
