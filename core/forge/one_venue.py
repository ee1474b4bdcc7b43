"""One venue against all others: how far it alone moves each estimate of the live aggregation.

Pure. A tape is played once as it is, with everything learned on, finished rounds too; from `begin` on it is
played again with what one venue shows changed, from the same memories. What is told is the largest distance
between the two at any pass, in secondary bands of the feed. Medians of rounds are those of the untouched
tape: the others do not follow the lie, so that all that moves is ours.

- pump: all at once away by `size`, a ratio; 99 stands for another unit.
- ramp: away within `ramp_s`, then it stays. With `of_limit` the size is a share of the distance that no leg
  is an outlier within.
- freeze: the same prices again and again, with new times.

`where` chooses the venue's legs: all, only those between currencies (`edges`), or only the others
(`markets`).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Estimates, FeedState, Floats, LegReason
from core.aggregation.legs import corrections
from core.aggregation.markets import Bools, Ints, Markets
from core.aggregation.rules import RULES, Rules
from core.aggregation.window import Window
from core.columns import TickColumns
from core.forge.match import entrants_schedule
from core.forge.population import draw_population
from core.forge.sampling import committed
from core.forge.scoring import NO_VOTE, medians_of, votes_of
from core.forge.tape import COMMIT_S, EPOCH_S, LEARN_S, Poll, Tape, polls

_PRICES: Final = ("bid", "ask", "last")


@dataclass(frozen=True, slots=True)
class Manipulation:
    """What one venue shows instead."""

    venue: str
    kind: str
    size: float = 0.0
    ramp_s: float = 0.0
    of_limit: bool = False
    where: str = "all"

    def __str__(self) -> str:
        size = f"{self.size:+g} of the limit" if self.of_limit else f"{self.size:+g}"
        ramp = f" in {self.ramp_s:g} s" if self.kind == "ramp" else ""
        return f"{self.venue} {self.where}: {self.kind} {size}{ramp}"


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """By feed, [F], of all passes that were LIVE in both runs, in secondary bands.

    bands: the largest move. beyond: the largest move over how far the other venues' legs stood apart in the
    untouched run then, or over one band if that is more; NaN without two other venues.
    """

    bands: Floats
    beyond: Floats


@dataclass(frozen=True, slots=True)
class _Step:
    """A poll, or the medians [F] of a round that is finished now and was committed at `commit_at`."""

    at: float
    poll: Poll | None = None
    medians: Floats | None = None
    commit_at: float = 0.0


class OneVenue:
    """A tape, played as it is up to the commit of round `warm_up`, from where manipulations begin."""

    def __init__(
        self, tape: Tape, *, seed: int, warm_up: int, providers: int = 100, rules: Rules = RULES
    ) -> None:
        self._tape, self._rules = tape, rules
        self.begin = float(tape.commit_at[warm_up])
        steps = sorted(_steps(tape, seed, providers), key=lambda step: step.at)
        window = Window(tape.feeds, rules)
        self.markets: Markets = window.markets
        self._start = (window, Aggregator(window))
        for step in [step for step in steps if step.at < self.begin]:
            _take(step, *self._start)
        self._steps = [step for step in steps if step.at >= self.begin]
        self._honest = self._played(None)
        self._apart: dict[str, Floats] = {}

    def move(self, manipulation: Manipulation) -> Moved:
        """How far the estimates go."""
        honest, legs = self._honest
        bands = np.nan_to_num(np.abs(self._played(manipulation)[0] - honest) / self.markets.band)
        if manipulation.venue not in self._apart:
            self._apart[manipulation.venue] = self._others_apart(legs, manipulation.venue)
        apart = self._apart[manipulation.venue]
        return Moved(bands.max(axis=0), np.fmax.reduce(bands / np.maximum(apart, 1.0), axis=0))

    def _others_apart(self, legs: Floats, venue: str) -> Floats:
        """How far the legs [N, L] of the other venues stand apart, [N, F]; NaN without two of them."""
        feed, venues = self._tape.feed[: self._tape.own], [leg.venue for leg in self._tape.legs]
        out = np.full((len(legs), len(self.markets.band)), np.nan)
        for row in range(len(self.markets.band)):
            mine = [leg for leg in np.flatnonzero(feed == row).tolist() if venues[leg] != venue]
            if len({venues[leg] for leg in mine}) > 1:
                known = legs[:, mine]
                out[:, row] = np.fmax.reduce(known, axis=1) - np.fmin.reduce(known, axis=1)
        return np.asarray(out / self.markets.band)

    def legs_of(self, manipulation: Manipulation) -> Ints:
        """The legs that it changes."""
        edges = np.zeros(self._tape.own, np.bool_)
        edges[np.searchsorted(self.markets.slot, self.markets.edge_slot)] = True
        chosen = {"all": edges | True, "edges": edges, "markets": ~edges}[manipulation.where]
        of_venue = np.array([leg.venue == manipulation.venue for leg in self._tape.legs[: self._tape.own]])
        return np.flatnonzero(of_venue & chosen)

    def _played(self, manipulation: Manipulation | None) -> tuple[Floats, Floats]:
        """The logs of the estimates [N, F] of all passes, NaN where not LIVE, and of the fresh legs [N, L],
        as corrected."""
        window, aggregator = copy.deepcopy(self._start)
        forge = None if manipulation is None else self._forge(manipulation)
        told, shifts = [], []
        for step in self._steps:
            shift = corrections(self.markets, aggregator.memory.legs, self._rules).shift
            new = _take(step if forge is None else forge.changed(step), window, aggregator)
            if new is not None:
                told.append((np.where(new.state == FeedState.LIVE.value, new.price, np.nan), _fresh(new)))
                shifts.append(shift.ravel()[self.markets.slot])
        prices, legs = (np.log(np.stack(each)) for each in zip(*told, strict=True))
        return prices, legs + np.stack(shifts)

    def _forge(self, manipulation: Manipulation) -> _Forge:
        rules = self._rules
        limit = np.maximum(rules.floor_bands * self.markets.band, rules.floor_min)[self._tape.feed]
        legs = np.zeros(self._tape.own, np.bool_)
        legs[self.legs_of(manipulation)] = True
        scale = limit[: self._tape.own] if manipulation.of_limit else np.ones(self._tape.own)
        return _Forge(manipulation, legs, scale * manipulation.size, self.begin)


class _Forge:
    """Changes polls, in the order of time."""

    def __init__(self, manipulation: Manipulation, legs: Bools, size: Floats, begin: float) -> None:
        self._kind, self._ramp_s = manipulation.kind, manipulation.ramp_s
        self._legs, self._size, self._begin = legs, size, begin
        self._shown = np.zeros((len(_PRICES), len(legs)), np.int64)

    def changed(self, step: _Step) -> _Step:
        return step if step.poll is None else replace(step, poll=Poll(step.at, self._forged(step.poll)))

    def _forged(self, poll: Poll) -> TickColumns:
        rows, leg = poll.ticks.rows.copy(), poll.ticks.leg
        here = self._legs[leg]
        if self._kind == "freeze":
            for name, shown in zip(_PRICES, self._shown, strict=True):
                new = here & (shown[leg] == 0)
                shown[leg[new]] = rows[name][new]
                rows[name] = np.where(here, shown[leg], rows[name])
            told = here & (rows["event_ms"] > 0)
            rows["event_ms"] = np.where(told, rows["received_ms"], rows["event_ms"])
        else:
            reached = min((poll.at - self._begin) / self._ramp_s, 1.0) if self._ramp_s else 1.0
            factor = 1 + self._size[leg] * reached
            for name in _PRICES:
                rows[name] = np.where(here, np.rint(rows[name] * factor).astype(np.int64), rows[name])
        return TickColumns(leg, rows)


def _take(step: _Step, window: Window, aggregator: Aggregator) -> Estimates | None:
    """The pass after a poll; None for a lesson."""
    if step.poll is None:
        if step.medians is not None:
            aggregator.learn(step.medians, step.commit_at)
        return None
    window.apply(step.poll.ticks, step.at)
    return aggregator.estimate(step.at)


def _fresh(new: Estimates) -> Floats:
    """The dollar prices [L] of legs that were used, or left out for their price alone; else NaN."""
    kinds = (LegReason.USED.value, LegReason.OUTLIER.value)
    return np.where(np.isin(new.legs.reason, kinds), new.legs.price, np.nan)


def _steps(tape: Tape, seed: int, providers: int) -> Iterator[_Step]:
    for poll in polls(tape, entrants_schedule(tape, seed)):
        yield _Step(poll.at, poll)
    drawn = draw_population(seed, providers)
    with np.errstate(invalid="ignore", divide="ignore"):
        votes = votes_of(committed(tape, drawn, seed), tape.feeds)
    decided = medians_of(votes, [each.weight for each in drawn]).median
    scale = 10.0 ** np.array([feed.decimals for feed in tape.feeds])
    medians = np.where(decided == NO_VOTE, np.nan, decided / scale)
    for commit_at, median in zip(tape.commit_at.tolist(), medians, strict=True):
        yield _Step(commit_at - COMMIT_S + EPOCH_S + LEARN_S, medians=median, commit_at=commit_at)


def venues_of(markets: Markets) -> Ints:
    """How many venues each feed has a leg at, [F]."""
    return np.array([len({leg.venue for leg in feed.legs}) for feed in markets.feeds], np.intp)


def manipulations(venues: Sequence[str]) -> Iterator[Manipulation]:
    """All that is tried, on each venue in turn."""
    for venue in venues:
        for sign in (1.0, -1.0):
            for size in (0.001, 0.005, 0.01, 0.05):
                yield Manipulation(venue, "pump", sign * size)
            for size in (0.3, 0.6, 0.95):
                yield Manipulation(venue, "ramp", sign * size, 60.0, of_limit=True)
            yield Manipulation(venue, "ramp", sign * 0.95, 300.0, of_limit=True)
            yield Manipulation(venue, "ramp", sign * 0.01, 600.0)
            yield Manipulation(venue, "ramp", sign * 0.95, 60.0, of_limit=True, where="markets")
            for size in (0.0009, 0.005, 0.1):
                yield Manipulation(venue, "pump", sign * size, where="edges")
        yield Manipulation(venue, "pump", 99.0)
        yield Manipulation(venue, "pump", -0.99)
        yield Manipulation(venue, "freeze")
