"""Limits that all replicas share: the bucket's step as one atomic script in Redis, on Redis' own clock.

Neither open nor closed when Redis fails: for as long as it does not answer, this process limits on its own,
so that a caller gets at most its limits once from each replica. An answer is waited for at most WAIT_S; after
a failure Redis is left alone for PAUSE_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.gateway.bucket import State, Verdict, Want, verdict_of
from core.gateway.limiter import LocalLimiter
from core.gateway.tiers import Limits

log = structlog.get_logger(__name__)

WAIT_S: Final = 0.1
PAUSE_S: Final = 1.0
KEEP_S: Final = 2 * 86_400
CONNECTIONS_MAX: Final = 64

TAKE: Final = """
local per_s, burst, per_day, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local at = tonumber(ARGV[5])
if not at then
    local now = redis.call('TIME')
    at = tonumber(now[1]) + tonumber(now[2]) / 1e6
end
cost = math.min(cost, burst)
local kept = redis.call('HMGET', KEYS[1], 'tokens', 'at', 'day', 'used')
local tokens, since = tonumber(kept[1]) or burst, tonumber(kept[2]) or at
local day, used = tonumber(kept[3]), tonumber(kept[4]) or 0
at = math.max(at, since)
tokens = math.min(burst, tokens + (at - since) * per_s)
local today = math.floor(at / 86400)
if day ~= today then used = 0 end
local want = ''
if per_day >= 0 and used + cost > per_day then
    want = 'quota'
elseif tokens + 1e-3 < cost then
    want = 'rate'
else
    tokens = tokens - cost
    used = used + cost
end
local function text(number) return string.format('%.17g', number) end
redis.call('HSET', KEYS[1], 'tokens', text(tokens), 'at', text(at), 'day', today, 'used', used)
redis.call('EXPIRE', KEYS[1], ARGV[6])
return {want, text(tokens), text(at), today, used}
"""


class SharedLimiter:
    """A Limiter over Redis. `clock` is for what is limited here meanwhile; `at` replaces Redis' clock."""

    def __init__(
        self,
        url: str,
        registry: CollectorRegistry,
        clock: Callable[[], float],
        *,
        at: Callable[[], float] | None = None,
        wait_s: float = WAIT_S,
    ) -> None:
        self._redis: Redis = Redis.from_url(
            url,
            socket_connect_timeout=wait_s,
            socket_timeout=wait_s,
            max_connections=CONNECTIONS_MAX,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = self._redis.register_script(TAKE)
        self._local = LocalLimiter(clock)
        self._clock, self._at, self._wait_s = clock, at, wait_s
        self._again_at = 0.0
        self._failures = Counter(
            "chrono_gateway_limiter_failures", "Times that Redis did not limit in time", registry=registry
        )

    async def take(self, who: str, limits: Limits, cost: int) -> Verdict:
        """See Limiter."""
        if self._clock() >= self._again_at:
            try:
                async with asyncio.timeout(self._wait_s):
                    return _verdict(await self._ask(who, limits, cost), limits, cost)
            except (RedisError, OSError, TimeoutError) as error:
                self._again_at = self._clock() + PAUSE_S
                self._failures.inc()
                log.warning("limits_not_shared", error=type(error).__name__, pause_s=PAUSE_S)
        return self._local.take_now(who, limits, cost)

    async def close(self) -> None:
        """End the connections."""
        await self._redis.aclose()

    async def _ask(self, who: str, limits: Limits, cost: int) -> Any:
        per_day = -1 if limits.per_day is None else limits.per_day
        at = "" if self._at is None else repr(self._at())
        words = (limits.per_s, limits.burst, per_day, cost, at, KEEP_S)
        return await self._take(keys=[f"chrono:limits:{who}"], args=words)


def _verdict(answer: Any, limits: Limits, cost: int) -> Verdict:
    want, tokens, at, day, used = answer
    state = State(float(tokens), float(at), int(day), int(used))
    return verdict_of(state, limits, cost, Want(want.decode()) if want else None)
