"""A core that is away is asked seldom, and one that is back is used at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.twin.breaker import FAILURES_MAX, PAUSE_S_MAX, PAUSE_S_MIN, Breaker


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_MAX):
        assert breaker.allows(at)
        breaker.failed(at)
    return breaker


def test_one_failure_is_no_outage() -> None:
    breaker = Breaker()
    breaker.failed(0.0)
    assert breaker.allows(0.0)
    breaker.succeeded()
    breaker.failed(1.0)
    assert not breaker.is_open


def test_after_failures_in_a_row_one_question_a_pause_is_let_through() -> None:
    breaker = opened()
    assert not breaker.allows(PAUSE_S_MIN - 0.1)
    assert breaker.allows(PAUSE_S_MIN)
    assert not breaker.allows(PAUSE_S_MIN)


def test_a_success_closes_it() -> None:
    breaker = opened()
    assert breaker.allows(PAUSE_S_MIN)
    breaker.succeeded()
    assert all(breaker.allows(PAUSE_S_MIN) for _ in range(9))


@given(st.lists(st.floats(0, 5), max_size=200))
def test_in_an_outage_the_core_is_asked_at_least_once_a_longest_pause(steps: list[float]) -> None:
    breaker, at, asked_at = opened(), 0.0, 0.0
    for step in steps:
        at += step
        if breaker.allows(at):
            breaker.failed(at)
            asked_at = at
        assert at - asked_at < PAUSE_S_MAX


def test_pauses_grow_up_to_a_bound() -> None:
    breaker, at, pauses = opened(), 0.0, []
    for _ in range(8):
        pause = next(tenth / 10 for tenth in range(1_000) if breaker.allows(at + tenth / 10))
        at += pause
        breaker.failed(at)
        pauses.append(pause)
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0, 30.0]
