"""The bucket never gives more than it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.gateway.bucket import DAY_S, State, Want, take
from core.gateway.tiers import Limits, Tier

NOW = 1_790_000_000.0
LIMITS = Limits(Tier.FREE, 5.0, 20, 1_000, 2, 10)

waits = st.one_of(st.just(0.0), st.floats(0, 30), st.floats(-5, 0))
requests = st.lists(st.tuples(waits, st.integers(1, 30)), max_size=60)
limits = st.builds(
    Limits,
    tier=st.just(Tier.FREE),
    per_s=st.floats(0.1, 500),
    burst=st.integers(1, 100),
    per_day=st.one_of(st.none(), st.integers(1, 300)),
    sockets=st.just(1),
    feeds=st.just(1),
)


@given(limits, requests)
def test_no_span_of_time_gives_more_than_burst_and_rate_and_no_day_more_than_its_quota(
    limits: Limits, requests: list[tuple[float, int]]
) -> None:
    state: State | None = None
    at, given_out = NOW, list[tuple[float, int]]()
    for wait, cost in requests:
        at += wait
        state, verdict = take(state, limits, cost, at)
        if verdict.allowed:
            given_out.append((state.at, min(cost, limits.burst)))
    for first, (start, _) in enumerate(given_out):
        total = 0
        for time, cost in given_out[first:]:
            total += cost
            assert total <= limits.burst + limits.per_s * (time - start) + 2e-3
    if limits.per_day is not None:
        days = {int(time // DAY_S) for time, _ in given_out}
        for day in days:
            used = sum(cost for time, cost in given_out if int(time // DAY_S) == day)
            assert used <= limits.per_day


@given(limits, requests)
def test_who_waits_as_long_as_was_told_is_served(limits: Limits, requests: list[tuple[float, int]]) -> None:
    state: State | None = None
    at = NOW
    for wait, cost in requests:
        at = max(at + wait, at)
        state, verdict = take(state, limits, cost, at)
        if verdict.want is Want.RATE:
            _, later = take(state, limits, cost, at + verdict.retry_after_s)
            assert later.want is not Want.RATE


def test_a_full_bucket_gives_its_burst_and_then_its_rate() -> None:
    state, verdict = take(None, LIMITS, 20, NOW)
    assert (verdict.allowed, verdict.tokens, verdict.full_s, verdict.left_today) == (True, 0, 4.0, 980)
    state, verdict = take(state, LIMITS, 1, NOW)
    assert (verdict.want, verdict.retry_after_s) == (Want.RATE, 0.2)
    assert take(state, LIMITS, 1, NOW + 0.2)[1].allowed


def test_a_spent_day_ends_at_midnight() -> None:
    midnight = (NOW // DAY_S + 1) * DAY_S
    state = State(20.0, midnight - 60, int(NOW // DAY_S), 1_000)
    state, verdict = take(state, LIMITS, 1, midnight - 60)
    assert (verdict.want, verdict.retry_after_s, verdict.left_today) == (Want.QUOTA, 60, 0)
    assert take(state, LIMITS, 1, midnight)[1].left_today == 999


def test_a_request_dearer_than_the_bucket_takes_all_of_it() -> None:
    assert take(None, LIMITS, 10_000, NOW)[1].tokens == 0
