"""What every bus keeps: the suite runs on the bus in memory and on a real Redis server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from core.bus import QUEUE_MAX, InProcessBus, RedisBus
from core.ports import Bus


async def take(messages: AsyncIterator[bytes]) -> bytes:
    return await asyncio.wait_for(anext(messages), 10)


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture(params=["in process", "redis"])
async def bus(request: pytest.FixtureRequest, registry: CollectorRegistry) -> AsyncIterator[Bus]:
    if request.param == "in process":
        yield InProcessBus(registry)
        return
    server: Any = request.getfixturevalue("redis_server")
    over_redis = RedisBus(server.url, registry)
    running = asyncio.create_task(over_redis.run())
    yield over_redis
    running.cancel()
    await asyncio.wait({running})


async def test_what_is_published_reaches_every_subscriber_in_order(bus: Bus) -> None:
    async with bus.subscribe() as one, bus.subscribe() as other:
        for message in (b"first", b"second", b"\x00\xff\n"):
            await bus.publish(message)
        for messages in (one, other):
            assert [await take(messages) for _ in range(3)] == [b"first", b"second", b"\x00\xff\n"]


async def test_what_was_published_before_is_not_heard(bus: Bus) -> None:
    async with bus.subscribe() as early:
        await bus.publish(b"before")
        await take(early)
        async with bus.subscribe() as late:
            await bus.publish(b"after")
            assert await take(late) == b"after"


async def test_publishing_to_nobody_is_nothing(bus: Bus) -> None:
    await bus.publish(b"lost")


async def test_a_slow_subscriber_loses_the_oldest_and_delays_nobody(
    bus: Bus, registry: CollectorRegistry
) -> None:
    sent = [str(number).encode() for number in range(QUEUE_MAX + 10)]
    async with bus.subscribe() as slow, bus.subscribe() as fast:
        for message in sent:
            await bus.publish(message)
            assert await take(fast) == message
        assert [await take(slow) for _ in range(QUEUE_MAX)] == sent[10:]
    assert registry.get_sample_value("chrono_bus_dropped_total", {"queue": "subscriber"}) == 10


async def test_who_leaves_hears_no_more_and_leaves_nothing_behind(
    bus: Bus, registry: CollectorRegistry
) -> None:
    async with bus.subscribe():
        pass
    async with bus.subscribe() as staying:
        for _ in range(QUEUE_MAX + 1):
            await bus.publish(b"x")
            await take(staying)
    assert not registry.get_sample_value("chrono_bus_dropped_total", {"queue": "subscriber"})


async def test_two_processes_share_one_bus_through_redis(redis_server: Any) -> None:
    buses = [RedisBus(redis_server.url, CollectorRegistry()) for _ in range(2)]
    running = [asyncio.create_task(each.run()) for each in buses]
    async with buses[0].subscribe() as messages:
        await buses[1].publish(b"hello")
        assert await take(messages) == b"hello"
    for task in running:
        task.cancel()
    await asyncio.wait(running)


async def test_a_bus_survives_the_death_of_redis(redis_server: Any, registry: CollectorRegistry) -> None:
    bus = RedisBus(redis_server.url, registry)
    running = asyncio.create_task(bus.run())
    async with bus.subscribe() as messages:
        await bus.publish(b"before")
        assert await take(messages) == b"before"
        redis_server.kill()
        for _ in range(QUEUE_MAX + 5):
            await bus.publish(b"while away")
        redis_server.start()
        assert await heard_again(bus, messages)
    assert registry.get_sample_value("chrono_bus_dropped_total", {"queue": "redis"}) >= 5
    assert registry.get_sample_value("chrono_bus_reconnects_total", {"side": "subscribe"}) >= 1
    running.cancel()
    await asyncio.wait({running})


async def test_who_comes_late_hears_what_redis_has_kept(redis_server: Any) -> None:
    core, replica = (RedisBus(redis_server.url, CollectorRegistry(), "late") for _ in range(2))
    running = [asyncio.create_task(core.run())]
    async with core.subscribe() as heard:
        for number in range(QUEUE_MAX + 3):
            await core.publish(b"%d" % number)
            await take(heard)
    async with asyncio.TaskGroup() as group:
        running.append(group.create_task(replica.run()))
        async with replica.subscribe() as messages:
            kept = [await take(messages) for _ in range(QUEUE_MAX)]
            await core.publish(b"new")
            assert await take(messages) == b"new"
        running[1].cancel()
    assert kept == [b"%d" % number for number in range(3, QUEUE_MAX + 3)]
    running[0].cancel()
    await asyncio.wait(running)


async def heard_again(bus: Bus, messages: AsyncIterator[bytes]) -> bool:
    """Whether what is published now arrives, within 20 s."""
    for _ in range(100):
        await bus.publish(b"after")
        with suppress(TimeoutError):
            async with asyncio.timeout(0.2):
                while await anext(messages) != b"after":
                    pass
                return True
    return False


async def test_without_redis_publishing_waits_for_nobody(registry: CollectorRegistry) -> None:
    bus = RedisBus("redis://127.0.0.1:1/0", registry)
    running = asyncio.create_task(bus.run())
    for _ in range(QUEUE_MAX + 3):
        await bus.publish(b"x")
    assert not bus.connected
    assert registry.get_sample_value("chrono_bus_dropped_total", {"queue": "redis"}) == 3
    running.cancel()
    await asyncio.wait({running})
