"""One segment played: every entrant walks forward through the polls, alone against the same opponents.

Pure: a tape, the opponents' values and makers in, arrays out. Each entrant joins the population by itself,
with the typical weight, so that entrants do not pull each other's median; all see the same polls. Before a
round's commit an entrant has been told only what was received by then, and of finished rounds only those that
were finished by then.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints
from core.forge.population import Provider, address_of, typical_weight
from core.forge.ports import Estimator, EstimatorMaker, Forecast, RoundOutcome
from core.forge.scoring import (
    NO_VOTE,
    Medians,
    Scores,
    Voters,
    Votes,
    median_of,
    medians_of,
    score_all,
    votes_of,
)
from core.forge.tape import COMMIT_S, EPOCH_S, LEARN_S, Schedule, Tape, polls

POLL_S: Final = 1.5
POLL_LATENCY_S: Final = 0.3
_SPARSE_S: Final = 5.0
_DENSE_S: Final = 18.0
_COARSE_S: Final = 15.0
"""Entrants are polled every POLL_S in the last _DENSE_S before a commit and every _SPARSE_S elsewhere; on a
coarse tape every _COARSE_S."""


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An entrant's segment. [R, F]: the arrays of `Scores`, and how its stated band did: inside, width_ppm.

    crowd_reward [G, F, P]: what the opponents of the same run earned, summed over the rounds of each regime
    of the segment, in the order of `regimes_of`.
    """

    primary: Bools
    secondary: Bools
    half_percent: Bools
    reward: Floats
    distance_ppm: Floats
    inside: Floats
    width_ppm: Floats
    crowd_reward: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Crowd:
    """The opponents among themselves, [R, F, P] scores and their decisions."""

    scores: Scores
    decided: Medians


def regimes_of(regimes: Sequence[str]) -> tuple[str, ...]:
    """The regimes that occur, in a fixed order."""
    return tuple(sorted(set(regimes)))


def entrants_schedule(tape: Tape, seed: int) -> Schedule:
    """When entrants are polled on a tape: the last poll before a commit is up to POLL_S old."""
    rng = np.random.default_rng([seed, 13, int(tape.voting_round[0])])
    if tape.is_coarse:
        at = tape.commit_at[:, None] - COMMIT_S + np.arange(0.0, EPOCH_S, _COARSE_S)
        return Schedule(at.ravel() + POLL_LATENCY_S + float(rng.random()) * POLL_S, POLL_LATENCY_S)
    dense = np.arange(COMMIT_S - _DENSE_S, COMMIT_S - POLL_S + 1e-9, POLL_S)
    sparse = np.concatenate(
        (np.arange(_SPARSE_S, COMMIT_S - _DENSE_S, _SPARSE_S), np.arange(COMMIT_S + 2.0, EPOCH_S, _SPARSE_S))
    )
    offsets = np.sort(np.concatenate((sparse, dense)))
    phase = rng.random((len(tape.commit_at), 1)) * POLL_S
    at = tape.commit_at[:, None] - COMMIT_S + offsets + phase
    return Schedule(at.ravel(), POLL_LATENCY_S)


def play(
    tape: Tape,
    providers: Sequence[Provider],
    values: Floats,
    makers: Sequence[EstimatorMaker],
    *,
    schedule: Schedule,
    warm_up: int,
) -> list[Played]:
    """Play a segment. `values` [R, F, P] are the opponents'; the first `warm_up` rounds are not counted."""
    votes = votes_of(values, tape.feeds)
    voters = Voters(tuple(each.address for each in providers), tuple(each.weight for each in providers))
    weight = typical_weight(tuple(providers))
    runs = [_Run(tape, make(tape.feeds), votes, voters, weight) for make in makers]
    _walk(tape, runs, schedule)
    return [run.played(warm_up) for run in runs]


def play_crowd(tape: Tape, providers: Sequence[Provider], values: Floats, warm_up: int) -> Crowd:
    """The opponents' segment without any entrant."""
    votes = votes_of(values, tape.feeds)[warm_up:]
    voters = Voters(tuple(each.address for each in providers), tuple(each.weight for each in providers))
    decided = medians_of(votes, voters.weights)
    return Crowd(score_all(tape.voting_round[warm_up:].tolist(), tape.feeds, votes, decided, voters), decided)


def _walk(tape: Tape, runs: Sequence[_Run], schedule: Schedule) -> None:
    """Tell everything in the order of time: polls, finished rounds, and that a value is wanted."""
    arriving = polls(tape, schedule)
    poll = next(arriving, None)
    for at, commits, which in _events(tape):
        while poll is not None and poll.at <= at:
            for run in runs:
                run.estimator.observe(poll.ticks, poll.at)
            poll = next(arriving, None)
        for run in runs:
            run.commit(which, at) if commits else run.learn(which, at)


def _events(tape: Tape) -> Iterator[tuple[float, bool, int]]:
    """When which round is committed (True) or finished (False), in the order of time."""
    for which, commit_at in enumerate(tape.commit_at.tolist()):
        if which and tape.voting_round[which] == tape.voting_round[which - 1] + 1:
            yield commit_at - COMMIT_S + LEARN_S, False, which - 1
        yield commit_at, True, which


class _Run:
    """One entrant among the opponents."""

    def __init__(self, tape: Tape, estimator: Estimator, votes: Votes, voters: Voters, weight: int) -> None:
        self.estimator = estimator
        self._tape, self._voters = tape, voters.joined_by(address_of(estimator.name), weight)
        self._votes = np.concatenate((votes, np.full((*votes.shape[:2], 1), NO_VOTE)), axis=2)
        shape = votes.shape[:2]
        self._decided = Medians(*np.full((3, *shape), NO_VOTE))
        self._low, self._high = np.full((2, *shape), np.nan)
        self._scale = 10.0 ** np.array([feed.decimals for feed in tape.feeds])

    def commit(self, which: int, at: float) -> None:
        forecast: Forecast = self.estimator.estimate(at)
        self._votes[which, :, -1] = votes_of(forecast.value, self._tape.feeds)
        self._low[which], self._high[which] = forecast.low, forecast.high
        for feed in range(len(self._tape.feeds)):
            found = median_of(self._votes[which, feed], self._voters.weights)
            if found.median is not None and found.quartile1 is not None and found.quartile3 is not None:
                self._decided.median[which, feed] = found.median
                self._decided.quartile1[which, feed] = found.quartile1
                self._decided.quartile3[which, feed] = found.quartile3

    def learn(self, which: int, at: float) -> None:
        decided = self._decided
        prices = (self._price(each[which]) for each in (decided.median, decided.quartile1, decided.quartile3))
        tape = self._tape
        outcome = RoundOutcome(int(tape.voting_round[which]), float(tape.commit_at[which]), *prices)
        self.estimator.learn(outcome, at)

    def played(self, warm_up: int) -> Played:
        decided = Medians(*(each[warm_up:] for each in self._each()))
        rounds = self._tape.voting_round[warm_up:].tolist()
        scores = score_all(rounds, self._tape.feeds, self._votes[warm_up:], decided, self._voters)
        median = self._price(decided.median)
        low, high = self._low[warm_up:], self._high[warm_up:]
        stated = ~np.isnan(low + high + median)
        counted = np.array(self._tape.regime[warm_up:])
        by_regime = [counted == regime for regime in regimes_of(counted.tolist())]
        return Played(
            primary=scores.primary[:, :, -1],
            secondary=scores.secondary[:, :, -1],
            half_percent=scores.half_percent[:, :, -1],
            reward=scores.reward[:, :, -1],
            distance_ppm=scores.distance_ppm[:, :, -1],
            inside=np.where(stated, (low <= median) & (median <= high), np.nan),
            width_ppm=(high - low) / median * 1e6,
            crowd_reward=np.stack([scores.reward[rows, :, :-1].sum(axis=0) for rows in by_regime]),
        )

    def _each(self) -> tuple[Votes, Votes, Votes]:
        return self._decided.median, self._decided.quartile1, self._decided.quartile3

    def _price(self, votes: Votes | Ints) -> Floats:
        return np.where(votes == NO_VOTE, np.nan, votes / self._scale)
