"""The bus: estimates published once and fanned out, in this process or through Redis.

Knows carrying. Does not know what a message holds. Every subscriber has a bounded queue: when it is full the
oldest message is dropped and counted, so that a slow one loses and nobody waits. Messages that Redis cannot
take wait in a queue of the same bound, with the same rule. Redis keeps the last messages for those who come
or come back, so that one may be heard twice: whoever listens knows them apart.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, cast

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

QUEUE_MAX: Final = 256
"""Messages: at five passes a second, 51 seconds of them, 7 MB at most."""

CHANNEL: Final = "chrono:passes"
KEPT_S: Final = 60
"""Redis keeps the last QUEUE_MAX messages beside the channel, for so long after the last one."""

BACKOFF_S_MIN: Final = 0.1
BACKOFF_S_MAX: Final = 5.0
CONNECT_S_MAX: Final = 2.0
SILENCE_S_MAX: Final = 10.0
"""After so long without a message the connection is tried with a ping; no answer in that time ends it."""


class BusMetrics:
    """What the bus lost, and whether it is connected."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.published = Counter("chrono_bus_published", "Messages handed to the bus", registry=registry)
        self.dropped = Counter(
            "chrono_bus_dropped", "Messages dropped from a full queue", ["queue"], registry=registry
        )
        self.reconnects = Counter(
            "chrono_bus_reconnects",
            "Connections to Redis that were lost or refused",
            ["side"],
            registry=registry,
        )
        self.connected = Gauge(
            "chrono_bus_connected",
            "1 while subscribed, or when there is nothing to connect to",
            registry=registry,
        )


class _Queue:
    """A bounded queue that drops its oldest message; `async for` takes them in order."""

    def __init__(self, metrics: BusMetrics, name: str) -> None:
        self._messages: deque[bytes] = deque()
        self._dropped = metrics.dropped.labels(name)
        self._filled = asyncio.Event()

    def put(self, message: bytes) -> None:
        if len(self._messages) >= QUEUE_MAX:
            self._messages.popleft()
            self._dropped.inc()
        self._messages.append(message)
        self._filled.set()

    def put_back(self, message: bytes) -> None:
        """Return what was taken and could not be handed on; dropped if newer ones have filled the queue."""
        if len(self._messages) >= QUEUE_MAX:
            self._dropped.inc()
            return
        self._messages.appendleft(message)
        self._filled.set()

    async def get(self) -> bytes:
        while not self._messages:
            self._filled.clear()
            await self._filled.wait()
        return self._messages.popleft()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return await self.get()


class InProcessBus:
    """Carries messages within one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics = BusMetrics(registry)
        self._metrics.connected.set(1)
        self._subscribers = _Subscribers(self._metrics)

    async def publish(self, message: bytes) -> None:
        self._metrics.published.inc()
        self._subscribers.put(message)

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._subscribers.enter()


class RedisBus:
    """Carries messages between processes through Redis pub/sub. `run` does the work and belongs to a task.

    While Redis is away nothing fails: messages to send are kept up to QUEUE_MAX and then dropped, oldest
    first. Who was not connected hears first what Redis has kept meanwhile, and then what is published.
    """

    def __init__(self, url: str, registry: CollectorRegistry, channel: str = CHANNEL) -> None:
        self._metrics = BusMetrics(registry)
        self._metrics.connected.set(0)
        self._subscribers = _Subscribers(self._metrics)
        self._outgoing = _Queue(self._metrics, "redis")
        self._subscribed = asyncio.Event()
        self._channel, self._kept = channel, f"{channel}:kept"
        self._redis: Redis = Redis.from_url(
            url,
            socket_connect_timeout=CONNECT_S_MAX,
            socket_timeout=SILENCE_S_MAX,
            retry=Retry(NoBackoff(), 0),
        )

    @property
    def connected(self) -> bool:
        """Whether messages of this bus arrive now."""
        return self._subscribed.is_set()

    async def publish(self, message: bytes) -> None:
        self._metrics.published.inc()
        self._outgoing.put(message)

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Waits at most CONNECT_S_MAX for Redis, so that what is published from now on arrives."""
        async with self._subscribers.enter() as messages:
            try:
                async with asyncio.timeout(CONNECT_S_MAX):
                    await self._subscribed.wait()
            except TimeoutError:
                log.warning("bus_subscribed_while_away")
            yield messages

    async def run(self) -> None:
        """Send and listen until cancelled; reconnect with a bounded back-off."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._send(), name="bus-send")
                group.create_task(self._listen(), name="bus-listen")
        finally:
            await self._redis.aclose()

    async def _send(self) -> None:
        backoff = _Backoff()
        while True:
            message = await self._outgoing.get()
            try:
                await self._put(message)
                backoff.reset()
            except (RedisError, OSError) as error:
                self._outgoing.put_back(message)
                self._lost("publish", error)
                await backoff.wait()

    async def _put(self, message: bytes) -> None:
        """Keep and publish in one step, so that who reads the list after subscribing misses nothing."""
        async with self._redis.pipeline(transaction=True) as step:
            step.rpush(self._kept, message)
            step.ltrim(self._kept, -QUEUE_MAX, -1)
            step.expire(self._kept, KEPT_S)
            step.publish(self._channel, message)
            await step.execute()

    async def _listen(self) -> None:
        """Listen as soon as somebody here does, so that nobody misses what was kept."""
        backoff = _Backoff()
        await self._subscribers.entered.wait()
        while True:
            try:
                await self._listen_once(backoff)
            except (RedisError, OSError, TimeoutError) as error:
                self._lost("subscribe", error)
            finally:
                self._subscribed.clear()
                self._metrics.connected.set(0)
            await backoff.wait()

    async def _listen_once(self, backoff: _Backoff) -> None:
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(self._channel)
            pinged = False
            while True:
                message = await pubsub.get_message(timeout=SILENCE_S_MAX)
                if message is None:
                    if pinged:
                        raise TimeoutError("no answer to a ping")
                    await pubsub.ping()
                    pinged = True
                    continue
                pinged = False
                if message["type"] == "subscribe":
                    await self._catch_up()
                    backoff.reset()
                    self._subscribed.set()
                    self._metrics.connected.set(1)
                elif message["type"] == "message":
                    self._subscribers.put(message["data"])

    async def _catch_up(self) -> None:
        """Hand on what was kept, the oldest first."""
        for message in await self._redis.lrange(self._kept, 0, -1):
            self._subscribers.put(cast(bytes, message))

    def _lost(self, side: str, error: Exception) -> None:
        self._metrics.reconnects.labels(side).inc()
        log.warning("bus_connection_lost", side=side, error=type(error).__name__)


class _Subscribers:
    """The queues of those who listen in this process."""

    def __init__(self, metrics: BusMetrics) -> None:
        self._metrics = metrics
        self._queues: set[_Queue] = set()
        self.entered = asyncio.Event()

    def put(self, message: bytes) -> None:
        for queue in self._queues:
            queue.put(message)

    @asynccontextmanager
    async def enter(self) -> AsyncIterator[AsyncIterator[bytes]]:
        queue = _Queue(self._metrics, "subscriber")
        self._queues.add(queue)
        self.entered.set()
        try:
            yield queue
        finally:
            self._queues.discard(queue)


class _Backoff:
    """Doubles from BACKOFF_S_MIN to BACKOFF_S_MAX, each wait shortened by up to half at random."""

    def __init__(self) -> None:
        self._next_s = BACKOFF_S_MIN

    def reset(self) -> None:
        self._next_s = BACKOFF_S_MIN

    async def wait(self) -> None:
        wait_s = self._next_s * random.uniform(0.5, 1.0)  # noqa: S311  jitter, not a secret
        self._next_s = min(BACKOFF_S_MAX, self._next_s * 2)
        await asyncio.sleep(wait_s)
