"""Nobody sees the future, entrants nor opponents, and a round is told of when it is finished."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chrono.feeds import Feed
from core.columns import TickColumns
from core.forge.entrants import ENTRANTS
from core.forge.match import entrants_schedule, play
from core.forge.population import draw_population
from core.forge.ports import Forecast, RoundOutcome
from core.forge.sampling import committed
from core.forge.tape import COMMIT_S, EPOCH_S, Tape
from tests.forge.scenes import changed_after, small_tape

ROUNDS = 6
PROVIDERS = draw_population(5, 12)


class Listener:
    """An estimator that writes down all that it is told, and estimates the last price of each feed."""

    name = "listener"
    told: list[tuple[str, float, float]]

    def __init__(self, feeds: tuple[Feed, ...]) -> None:
        self.told, self.values = [], []
        self._first = np.cumsum([0, *(len(feed.legs) for feed in feeds)])[:-1]
        self._last = np.full(sum(len(feed.legs) for feed in feeds), np.nan)

    def observe(self, ticks: TickColumns, at: float) -> None:
        self._last[ticks.leg] = ticks.last
        self.told.append(("poll", at, float(np.nanmax(ticks.event_at)) if len(ticks) else at))

    def estimate(self, at: float) -> Forecast:
        value = self._last[self._first].copy()
        self.values.append(value)
        self.told.append(("commit", at, at))
        return Forecast(value, value, value)

    def learn(self, outcome: RoundOutcome, at: float) -> None:
        self.told.append(("learn", at, outcome.commit_at))


def distances(tape: Tape, name: str) -> np.ndarray:
    with np.errstate(all="ignore"):
        values = committed(tape, PROVIDERS, 1)
        schedule = entrants_schedule(tape, 1)
        return play(tape, PROVIDERS, values, [ENTRANTS[name]], schedule=schedule, warm_up=0)[0].distance_ppm


@pytest.mark.parametrize("name", sorted(ENTRANTS))
@settings(max_examples=4)
@given(which=st.integers(0, ROUNDS - 2), factor=st.floats(0.2, 5.0))
def test_changing_the_future_changes_no_past_estimate(name: str, which: int, factor: float) -> None:
    tape = small_tape(rounds=ROUNDS)
    other = changed_after(tape, float(tape.commit_at[which]), factor)
    past = slice(0, which + 1)
    np.testing.assert_array_equal(distances(tape, name)[past], distances(other, name)[past])


def test_a_changed_past_is_seen() -> None:
    tape = small_tape(rounds=ROUNDS)
    other = changed_after(tape, float(tape.commit_at[0]), 1.001)
    assert (distances(tape, "median")[1:] != distances(other, "median")[1:]).any()


@given(which=st.integers(0, ROUNDS - 1), factor=st.floats(0.2, 5.0))
@settings(max_examples=10)
def test_opponents_commit_what_they_could_know(which: int, factor: float) -> None:
    tape = small_tape(rounds=ROUNDS)
    other = changed_after(tape, float(tape.commit_at[which]), factor)
    with np.errstate(all="ignore"):
        before, after = committed(tape, PROVIDERS, 1), committed(other, PROVIDERS, 1)
    np.testing.assert_array_equal(before[: which + 1], after[: which + 1])


def listened(tape: Tape) -> Listener:
    heard: list[Listener] = []

    def make(feeds: tuple[Feed, ...]) -> Listener:
        heard.append(Listener(feeds))
        return heard[-1]

    with np.errstate(all="ignore"):
        values = committed(tape, PROVIDERS, 1)
        play(tape, PROVIDERS, values, [make], schedule=entrants_schedule(tape, 1), warm_up=0)
    return heard[0]


def test_everything_is_told_in_the_order_of_time_and_never_early() -> None:
    told = listened(small_tape(rounds=ROUNDS)).told
    times = [at for _, at, _ in told]
    assert times == sorted(times)
    assert all(of <= at for _, at, of in told)


def test_a_round_is_learned_after_its_own_epoch_and_before_the_next_commit() -> None:
    tape = small_tape(rounds=ROUNDS)
    learned = {of: at for what, at, of in listened(tape).told if what == "learn"}
    assert sorted(learned) == tape.commit_at[:-1].tolist()
    for commit_at, at in learned.items():
        assert commit_at - COMMIT_S + EPOCH_S <= at < commit_at + EPOCH_S
