"""A token bucket and a day's quota as one pure step. The Redis script is this step again, for all replicas.

In any span of `t` seconds at most `burst + per_s * t` tokens are given, and in a UTC day at most `per_day`.
That is the slack: `burst`, and a thousandth of a token that is lent and owed. A refused request takes
nothing. Time that runs backwards earns nothing and gives nothing back.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.gateway.tiers import Limits

DAY_S: Final = 86_400
LENT: Final = 1e-3
"""What a bucket lends, so that waiting as long as was told is enough: times as floats are that coarse."""


class Want(StrEnum):
    """What a refused caller lacks."""

    RATE = "rate"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered of one caller."""

    tokens: float
    at: float
    day: int
    used: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass, and what is left after it. `full_s` is until the bucket is full again."""

    want: Want | None
    tokens: int
    full_s: float
    retry_after_s: float
    left_today: int | None
    day_ends_s: float

    @property
    def allowed(self) -> bool:
        return self.want is None


def take(state: State | None, limits: Limits, cost: int, at: float) -> tuple[State, Verdict]:
    """Take `cost` tokens (never more than the bucket holds) if they are there."""
    cost = min(cost, limits.burst)
    state = _refilled(state or State(limits.burst, at, int(at // DAY_S), 0), limits, at)
    want: Want | None = None
    if limits.per_day is not None and state.used + cost > limits.per_day:
        want = Want.QUOTA
    elif state.tokens + LENT < cost:
        want = Want.RATE
    if want is None:
        state = State(state.tokens - cost, state.at, state.day, state.used + cost)
    return state, verdict_of(state, limits, cost, want)


def verdict_of(state: State, limits: Limits, cost: int, want: Want | None) -> Verdict:
    """What a state means to its caller."""
    day_ends_s = (state.day + 1) * DAY_S - state.at
    retry_after_s = 0.0
    if want is Want.RATE:
        retry_after_s = (min(cost, limits.burst) - state.tokens) / limits.per_s
    elif want is Want.QUOTA:
        retry_after_s = day_ends_s
    left = None if limits.per_day is None else max(0, limits.per_day - state.used)
    full_s = max(0.0, limits.burst - state.tokens) / limits.per_s
    return Verdict(want, max(0, int(state.tokens + LENT)), full_s, retry_after_s, left, day_ends_s)


def _refilled(state: State, limits: Limits, at: float) -> State:
    at = max(at, state.at)
    tokens = min(float(limits.burst), state.tokens + (at - state.at) * limits.per_s)
    day = int(at // DAY_S)
    return State(tokens, at, day, state.used if day == state.day else 0)
