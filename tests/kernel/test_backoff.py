from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.backoff import JITTER, WAIT_S, Gate, WeightWindow
from chrono.http import RETRY_AFTER_S_MAX
from chrono.venue_state import VenueState
from chrono.venues.adapter import Refused

AT = 1_750_000_000.0
FAILING = Refused(VenueState.FAILING)


def gate(jitter: float = 0.0) -> Gate:
    return Gate(AT, lambda: jitter)


def refused_probe(subject: Gate, refused: Refused, at: float) -> float:
    """Let the wait pass, probe, be refused again; returns the new wait."""
    assert subject.retry_at is not None
    assert subject.wants_probe(subject.retry_at)
    subject.begin_probe(at)
    subject.refused(refused, at)
    return subject.retry_at - at


def test_a_new_venue_may_be_asked() -> None:
    assert gate().state is VenueState.STARTING
    assert gate().is_open


@pytest.mark.parametrize("state", list(WAIT_S))
def test_a_refused_venue_is_not_asked_until_its_wait_is_over(state: VenueState) -> None:
    subject = gate()
    subject.refused(Refused(state, 418), AT)
    first_s, _ = WAIT_S[state]
    assert (subject.state, subject.code, subject.retry_at) == (state, 418, AT + first_s)
    assert not subject.is_open
    assert not subject.wants_probe(AT + first_s - 0.001)
    assert subject.wants_probe(AT + first_s)


def test_one_probe_is_half_open_and_success_closes_the_matter() -> None:
    subject = gate()
    subject.refused(FAILING, AT)
    subject.begin_probe(AT + 1)
    assert (subject.state, subject.retry_at) == (VenueState.PROBING, None)
    assert not subject.is_open
    assert not subject.wants_probe(AT + 100)
    subject.answered(AT + 1.2)
    assert (subject.state, subject.since, subject.code) == (VenueState.HEALTHY, AT + 1.2, 0)


def test_each_failed_probe_doubles_the_wait_up_to_its_bound() -> None:
    subject = gate()
    subject.refused(FAILING, AT)
    waits = [refused_probe(subject, FAILING, AT + 100 * turn) for turn in range(1, 9)]
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(("calm_s", "wait_s"), [(5, 20), (59, 20), (60, 10)])
def test_a_venue_that_limits_us_again_at_once_is_left_alone_longer(calm_s: float, wait_s: float) -> None:
    subject, limited = gate(), Refused(VenueState.RATE_LIMITED, 429)
    subject.refused(limited, AT)
    subject.begin_probe(AT + 10)
    subject.answered(AT + 10)
    subject.answered(AT + 10 + calm_s)
    subject.refused(limited, AT + 100)
    assert subject.retry_at == AT + 100 + wait_s


def test_a_venue_that_merely_failed_is_forgiven_at_once() -> None:
    subject = gate()
    subject.refused(FAILING, AT)
    subject.begin_probe(AT + 1)
    subject.answered(AT + 1)
    subject.refused(FAILING, AT + 2)
    assert subject.retry_at == AT + 3


def test_retry_after_is_honoured_and_grows_when_the_probe_fails() -> None:
    subject = gate()
    refused = Refused(VenueState.BANNED, 418, retry_after_s=900.0)
    subject.refused(refused, AT)
    assert subject.retry_at == AT + 900
    assert refused_probe(subject, refused, AT + 1_000) == 1_800


def test_retry_after_shorter_than_our_own_wait_is_taken_at_its_word() -> None:
    subject = gate()
    subject.refused(Refused(VenueState.RATE_LIMITED, 429, retry_after_s=3.0), AT)
    assert subject.retry_at == AT + 3


@given(
    state=st.sampled_from(list(WAIT_S)),
    retry_after_s=st.none() | st.floats(0, RETRY_AFTER_S_MAX),
    jitter=st.floats(0, 1, exclude_max=True),
    probes=st.integers(0, 60),
)
def test_no_wait_undercuts_retry_after_or_exceeds_three_days(
    state: VenueState, retry_after_s: float | None, jitter: float, probes: int
) -> None:
    subject = gate(jitter)
    refused = Refused(state, retry_after_s=retry_after_s)
    subject.refused(refused, AT)
    wait_s = (subject.retry_at or 0) - AT
    for _ in range(probes):
        longer_s = refused_probe(subject, refused, AT)
        assert longer_s >= wait_s - 1e-6
        wait_s = longer_s
    assert (retry_after_s or WAIT_S[state][0]) - 1e-6 <= wait_s <= RETRY_AFTER_S_MAX


def test_jitter_only_lengthens_a_wait() -> None:
    subject = gate(jitter=0.5)
    subject.refused(Refused(VenueState.RATE_LIMITED), AT)
    assert subject.retry_at == pytest.approx(AT + 10 * (1 + JITTER / 2))


def test_answers_to_requests_sent_before_the_refusal_change_nothing() -> None:
    subject = gate()
    subject.refused(Refused(VenueState.RATE_LIMITED, 429), AT)
    subject.answered(AT + 0.1)
    subject.refused(FAILING, AT + 0.2)
    assert (subject.state, subject.retry_at) == (VenueState.RATE_LIMITED, AT + 10)
    assert refused_probe(subject, FAILING, AT + 10) == 2


def test_a_ban_that_arrives_during_a_shorter_wait_takes_over() -> None:
    subject = gate()
    subject.refused(Refused(VenueState.RATE_LIMITED, 429), AT)
    subject.refused(Refused(VenueState.BANNED, 418), AT + 1)
    assert (subject.state, subject.retry_at, subject.since) == (VenueState.BANNED, AT + 121, AT + 1)


def test_a_window_is_full_when_its_weight_is_spent() -> None:
    window = WeightWindow(10, 2.0)
    window.spend(6, AT)
    window.spend(4, AT + 0.5)
    assert window.free_at(1, AT + 1) == AT + 2
    assert window.free_at(7, AT + 1) == AT + 2.5
    assert window.free_at(6, AT + 2) == AT + 2


@given(st.lists(st.tuples(st.floats(0, 0.7), st.integers(1, 4)), max_size=80))
def test_no_window_ever_holds_more_than_its_weight(asks: list[tuple[float, int]]) -> None:
    window, at, spent = WeightWindow(8, 2.0), AT, []
    for pause_s, weight in asks:
        at = window.free_at(weight, at + pause_s)
        assert window.free_at(weight, at) == at
        window.spend(weight, at)
        spent.append((at, weight))
    for end, _ in spent:
        assert sum(weight for start, weight in spent if start <= end < start + 2.0) <= 8
