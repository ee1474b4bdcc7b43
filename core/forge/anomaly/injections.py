"""Manipulation and accidents put into a tape, with the truth about which leg was wrong when.

Pure: a tape and a plan in, a changed tape out. Two kinds are no anomalies though they look like some: in a
flash crash every venue moves, each a little later than the one before. They are told apart by `guilty`.

- pump: one venue shows its legs of a feed away from the market, for a minute or two.
- collude: several venues do, on the same side, while the others hold more of the feed.
- creep: a venue walks away slowly, and stays there for a while.
- stuck: a venue shows the same again and again with new times.
- unit: one leg is in another unit: 10, 100 or 1,000 times, or a part.
- flash: the market of a feed falls and comes back within two minutes, on all venues.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import STABLECOINS, Bools, Ints
from core.forge.tape import Tape

MANIPULATIONS: Final = ("pump", "collude", "creep", "stuck", "unit")
REAL: Final = ("flash",)
HARM: Final = 5e-4
"""A leg is wrong from this distance from what it would have shown."""
_REST_S: Final = 60.0
_STANDS_S: Final = 20.0
_RAMP_S: Final = 6.0
_UNITS: Final = (0.01, 0.1, 10.0, 100.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Injection:
    """One event: what, which legs of which feed, from when to when, and how large (a ratio)."""

    kind: str
    feed: int
    legs: tuple[int, ...]
    begin: float
    end: float
    size: float

    @property
    def guilty(self) -> bool:
        return self.kind in MANIPULATIONS


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """A tape with its events; wrong [T, own] is where a leg is HARM or more from what it would have shown."""

    tape: Tape
    events: tuple[Injection, ...]
    wrong: Bools


def draw_injections(tape: Tape, seed: int, every_s: float, *, slower: float = 1.0) -> tuple[Injection, ...]:
    """Events `every_s`, kinds in turn, over the tape after its first tenth; never two at once of one feed.

    With `slower`, events last so many times as long: for tapes of minutes. None without three venues. A
    stablecoin has no flash crash, as the prices in it would not follow.
    """
    rng = np.random.default_rng([seed, 23])
    venues = [leg.venue for leg in tape.legs[: tape.own]]
    begins = np.arange(
        tape.times[0] + 0.1 * (tape.times[-1] - tape.times[0]), tape.times[-1] - 200.0 * slower, every_s
    )
    fit = [feed for feed in range(len(tape.feeds)) if len(_venues(tape, feed)) >= 3]
    kinds = (*MANIPULATIONS, *REAL)
    events: list[Injection] = []
    for place, begin in enumerate(begins.tolist()):
        kind = kinds[place % len(kinds)]
        busy = {event.feed for event in events if event.end + _REST_S * slower > begin}
        free = [feed for feed in fit if feed not in busy]
        if kind in REAL:
            free = [feed for feed in free if tape.feeds[feed].base not in STABLECOINS]
        if not free:
            continue
        feed = int(rng.choice(free))
        there = _venues(tape, feed)
        many = {"collude": max((len(there) - 1) // 2, 1), "flash": len(there)}.get(kind, 1)
        chosen = set(rng.choice(there, many, replace=False).tolist())
        legs = [leg for leg in range(tape.own) if tape.feed[leg] == feed and venues[leg] in chosen]
        if kind == "unit":
            legs = [int(rng.choice(legs))]
        lasts = slower * (150.0 if kind in ("creep", "stuck") else float(rng.uniform(60, 120)))
        events.append(Injection(kind, feed, tuple(legs), begin, begin + lasts, _size(kind, rng)))
    return tuple(events)


def _venues(tape: Tape, feed: int) -> list[str]:
    return sorted(
        {leg.venue for leg, of in zip(tape.legs[: tape.own], tape.feed, strict=False) if of == feed}
    )


def _size(kind: str, rng: np.random.Generator) -> float:
    if kind == "unit":
        return float(rng.choice(_UNITS)) - 1
    if kind == "flash":
        return -float(rng.uniform(0.02, 0.1))
    return float(rng.uniform(0.0015, 0.012) * rng.choice((-1.0, 1.0)))


def inject(tape: Tape, events: Sequence[Injection], seed: int) -> Injected:
    """The tape with the events in it, and where legs are wrong by them."""
    bid, ask, last, told_at, truth = (
        each.copy() for each in (tape.bid, tape.ask, tape.last, tape.told_at, tape.truth)
    )
    rng = np.random.default_rng([seed, 29])
    for event in events:
        legs = np.array(event.legs, np.intp)
        if event.kind == "stuck":
            rows = slice(*np.searchsorted(tape.times, (event.begin, event.end)))
            for column in (bid, ask, last):
                column[rows, legs] = column[rows.start, legs]
            stamped = ~np.isnan(told_at[rows, legs])
            told_at[rows, legs] = np.where(stamped, tape.times[rows, None], np.nan)
            continue
        late = rng.uniform(0.0, 1.5, len(legs)) if event.kind == "flash" else np.zeros(len(legs))
        factor = 1 + _path(event, tape.times[:, None] - late)
        for column in (bid, ask, last):
            column[:, legs] *= factor
        if event.kind == "flash":  # every leg that anybody has of this feed, and what it is worth
            others = np.flatnonzero((tape.feed == event.feed) & (np.arange(len(tape.legs)) >= tape.own))
            moved = 1 + _path(event, tape.times)
            for column in (bid, ask, last):
                column[:, others] *= moved[:, None]
            truth[:, event.feed] *= moved
    made = replace(tape, bid=bid, ask=ask, last=last, told_at=told_at, truth=truth)
    own = slice(None, tape.own)
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(made.mids()[:, own] / tape.mids()[:, own] - 1)
    wrong = np.zeros(apart.shape, np.bool_)
    for event in events:
        if event.guilty:
            legs = np.array(event.legs, np.intp)
            wrong[:, legs] |= apart[:, legs] >= HARM
    return Injected(made, tuple(events), wrong)


def _path(event: Injection, times: Floats) -> Floats:
    """How far the event moves things at each time, a ratio; 0 outside."""
    since, left = times - event.begin, event.end - times
    inside = (since >= 0) & (left > 0)
    ramp = {"unit": 1e-9, "creep": 0.7 * (event.end - event.begin), "flash": 15.0}.get(event.kind, _RAMP_S)
    back = 60.0 if event.kind == "flash" else 1e-9 if event.kind in ("unit", "creep") else _RAMP_S
    return np.where(inside, event.size * np.clip(np.minimum(since / ramp, left / back), 0.0, 1.0), 0.0)


def standing(tape: Tape) -> Bools:
    """Where a leg stands still for _STANDS_S while its feed goes away by HARM: stuck by itself, [T, own].

    A simulated market has such outages of its own. `truth` must be known.
    """
    mid = tape.mids()[:, : tape.own]
    worth = np.log(tape.truth[:, tape.feed[: tape.own]])
    changed = np.ones(mid.shape, np.bool_)
    changed[1:] = mid[1:] != mid[:-1]
    rows: Ints = np.arange(len(mid))[:, None]
    since = np.maximum.accumulate(np.where(changed, rows, 0), axis=0)
    columns = np.arange(mid.shape[1])
    gone = np.abs(worth - worth[since, columns])
    stood = tape.times[:, None] - tape.times[since]
    return np.asarray((gone >= HARM) & (stood >= _STANDS_S))
