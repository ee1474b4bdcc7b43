"""What every limiter keeps: the suite runs in memory and on a real Redis server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from core.gateway.bucket import State, Verdict, Want, take
from core.gateway.limiter import Limiter, LocalLimiter
from core.gateway.tiers import LIMITS, Limits, Tier
from core.shared_limits import SharedLimiter

NOW = 1_790_000_000.25
FREE = LIMITS[Tier.FREE]
SMALL = Limits(Tier.FREE, 2.5, 7, 40, 1, 1)
NAMES = count()


@dataclass
class Clock:
    now: float = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["in process", "redis"])
async def limiter(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[Limiter]:
    if request.param == "in process":
        yield LocalLimiter(clock)
        return
    server: Any = request.getfixturevalue("redis_server")
    shared = SharedLimiter(server.url, CollectorRegistry(), clock, at=clock, wait_s=10)
    yield shared
    await shared.close()


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from([0.0, 0.1, 1.0, 3.7, 50_000.0]), st.integers(1, 9)), max_size=25))
async def test_every_limiter_decides_as_the_plain_step_does(
    limiter: Limiter, clock: Clock, requests: list[tuple[float, int]]
) -> None:
    who, state = str(next(NAMES)), None
    for wait, cost in requests:
        clock.now += wait
        state, expected = take(state, SMALL, cost, clock.now)
        assert rounded(await limiter.take(who, SMALL, cost)) == rounded(expected)


async def test_a_burst_at_one_instant_never_passes_the_limit(limiter: Limiter) -> None:
    verdicts = await asyncio.gather(*(limiter.take("crowd", FREE, 1) for _ in range(60)))
    assert sum(verdict.allowed for verdict in verdicts) == FREE.burst
    assert {verdict.want for verdict in verdicts} == {None, Want.RATE}


async def test_callers_do_not_share_a_bucket(limiter: Limiter) -> None:
    await limiter.take("one", FREE, FREE.burst)
    assert (await limiter.take("other", FREE, 1)).allowed


async def test_a_day_has_its_quota(limiter: Limiter, clock: Clock) -> None:
    given_out = 0
    for _ in range(60):
        clock.now += 10
        given_out += (await limiter.take("steady", SMALL, 1)).allowed
    assert given_out == SMALL.per_day


async def test_two_replicas_share_one_bucket_on_the_clock_of_redis(redis_server: Any) -> None:
    replicas = [SharedLimiter(redis_server.url, CollectorRegistry(), Clock(), wait_s=10) for _ in range(2)]
    slow = Limits(Tier.FREE, 0.001, 20, 1_000, 1, 1)
    asked = [each.take("both", slow, 1) for _ in range(30) for each in replicas]
    verdicts = await asyncio.gather(*asked)
    assert sum(verdict.allowed for verdict in verdicts) == slow.burst
    for each in replicas:
        await each.close()


async def test_without_redis_each_replica_limits_on_its_own(redis_server: Any, clock: Clock) -> None:
    registry = CollectorRegistry()
    shared = SharedLimiter(redis_server.url, registry, clock, at=clock, wait_s=1)
    assert (await shared.take("somebody", FREE, FREE.burst)).allowed
    redis_server.kill()
    assert (await shared.take("somebody", FREE, FREE.burst)).allowed
    assert not (await shared.take("somebody", FREE, 1)).allowed
    assert registry.get_sample_value("chrono_gateway_limiter_failures_total") == 1
    redis_server.start()
    clock.now += 1.5
    assert (await shared.take("somebody", FREE, FREE.burst)).allowed
    await shared.close()


def test_the_longest_idle_caller_is_forgotten_first(clock: Clock) -> None:
    limiter = LocalLimiter(clock, callers_max=2)
    for who in ("a", "b", "a", "c"):
        limiter.take_now(who, FREE, FREE.burst)
    assert len(limiter) == 2
    assert not limiter.take_now("a", FREE, 1).allowed
    assert limiter.take_now("b", FREE, 1).allowed


def rounded(verdict: Verdict) -> tuple[object, ...]:
    return (
        verdict.want,
        verdict.tokens,
        round(verdict.full_s, 6),
        round(verdict.retry_after_s, 6),
        verdict.left_today,
        round(verdict.day_ends_s, 6),
    )


def test_the_step_starts_full() -> None:
    assert take(None, FREE, 1, NOW)[0] == State(FREE.burst - 1, NOW, int(NOW // 86_400), 1)
