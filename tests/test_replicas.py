"""Several processes of the public API behind one port: one answer whoever gives it, and no gap untold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from chrono.client import AsyncClient, Gap, Update
from tests.redis_server import RedisServer
from tests.served_core import PATIENCE_S, ServedCore, served_core
from tests.served_replicas import Replicas, served_replicas

CLIENTS = 24


@dataclass
class Listener:
    """A client of the stream that keeps all that it was told."""

    heard: list[Update | Gap] = field(default_factory=list)

    async def listen(self, url: str) -> None:
        async with AsyncClient(url) as chrono, aclosing(chrono.stream("BTC/USD", "ETH/USD")) as events:
            async for event in events:
                self.heard.append(event)

    @property
    def sequence(self) -> int:
        return max((event.sequence for event in self.heard if isinstance(event, Update)), default=0)

    def untold(self) -> int:
        """Passes between the first and the last one that it neither got nor was told to have missed."""
        missing, last = 0, None
        for event in self.heard:
            if isinstance(event, Gap):
                last = None
                continue
            if last is not None and not event.snapshot:
                missing += event.sequence - last - 1 - event.skipped
            last = event.sequence
        return missing

    def gaps(self) -> int:
        return sum(isinstance(event, Gap) for event in self.heard)


@dataclass
class Street:
    """A core, its Redis, its replicas, and clients of them."""

    core: ServedCore
    redis: RedisServer
    replicas: Replicas
    web: httpx.AsyncClient

    async def get(self, path: str) -> httpx.Response:
        """An answer; a connection that a killed replica took with it is tried again."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    return await self.web.get(path)
                except httpx.TransportError:
                    await asyncio.sleep(0.05)

    @asynccontextmanager
    async def listeners(self) -> AsyncIterator[Sequence[Listener]]:
        listeners = [Listener() for _ in range(CLIENTS)]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(each.listen(self.replicas.url)) for each in listeners]
            await until(lambda: all(each.sequence for each in listeners))
            yield listeners
            for task in tasks:
                task.cancel()

    async def until_live_again(self, listeners: Sequence[Listener]) -> None:
        """Until every listener has three passes that were made after now."""
        newest = (await self.get("/v1/prices?feeds=BTC/USD")).json()["sequence"]
        await until(lambda: all(each.sequence >= newest + 3 for each in listeners))


async def until(true: Callable[[], bool] | Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = true()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.05)


@pytest.fixture
async def street(tmp_path: Path, database: str, redis_server: RedisServer) -> AsyncIterator[Street]:
    async with (
        served_core(tmp_path, database, [], REDIS_URL=redis_server.url) as core,
        served_replicas(tmp_path, core.url, database, redis_server.url, 2) as replicas,
        httpx.AsyncClient(base_url=replicas.url, trust_env=False) as web,
    ):
        street = Street(core, redis_server, replicas, web)

        async def ready() -> bool:
            return (await street.get("/ready")).status_code == 200

        await until(ready)
        yield street


async def test_replicas_tell_what_the_core_tells(street: Street) -> None:
    async with httpx.AsyncClient(base_url=street.core.url, trust_env=False) as core:
        for path in ("/v1/feeds", "/v1/signer", "/openapi.json"):
            assert (await street.get(path)).json() == (await core.get(path)).json()
        for path in ("/v1/venues", "/v1/routes", "/v1/prices/sources?feed=BTC/USD", "/v1/forge"):
            asked, told = await core.get(path), await street.get(path)
            assert (told.status_code, set(told.json())) == (asked.status_code, set(asked.json()))
        assert (await street.get("/v1/prices?feeds=BTC/EUR")).json()["type"].endswith("unknown-feed")
        assert (await street.get("/v1/nothing")).status_code == 404
        assert (await street.get("/v1/../metrics")).status_code == 404
        assert (await street.get("/v1/%2e%2e/metrics")).status_code == 404
        assert (await street.get("/metrics")).status_code == 404
        assert (await street.get("/v1/prices/history?feed=BTC/USD")).status_code == 200
        assert "<html" in (await street.get("/")).text
        assert (await street.web.post("/ingest", content=b"x")).status_code == 405


async def test_every_replica_serves(street: Street) -> None:
    seen = set()

    async def both() -> bool:
        async with httpx.AsyncClient(base_url=street.replicas.url, trust_env=False) as fresh:
            seen.add((await fresh.get("/health")).json()["replica"])
        return len(seen) == 2

    await until(both)


async def test_a_killed_replica_leaves_no_gap_untold(street: Street) -> None:
    async with street.listeners() as listeners:
        for place in (0, 1):
            killed = street.replicas.kill(place)
            await until(lambda killed=killed: len(set(street.replicas.pids()) - {killed}) == 2)
            await street.until_live_again(listeners)
    assert [each.untold() for each in listeners] == [0] * CLIENTS
    assert sum(each.gaps() for each in listeners) == 0, "what Redis keeps is enough to resume from"


async def test_a_killed_redis_leaves_no_gap_untold(street: Street) -> None:
    async with street.listeners() as listeners:
        street.redis.kill()

        async def noticed() -> bool:
            return (await street.get("/ready")).status_code == 503

        await until(noticed)
        street.redis.start()
        await street.until_live_again(listeners)
    assert [each.untold() for each in listeners] == [0] * CLIENTS


async def test_without_the_core_prices_go_on_as_stale_and_what_only_it_knows_is_refused(
    street: Street,
) -> None:
    last = (await street.get("/v1/prices?feeds=BTC/USD")).json()["sequence"]
    await street.core.kill()

    async def stale() -> bool:
        price = (await street.get("/v1/prices?feeds=BTC/USD")).json()["prices"][0]
        return "no estimate came for" in str(price["why"])

    await until(stale)
    refused = await street.get("/v1/venues")
    assert (refused.status_code, refused.json()["type"]) == (503, "urn:chrono:problem:core-away")
    assert int(refused.headers["retry-after"]) > 0
    assert (await street.get("/ready")).status_code == 503
    await street.core.start()

    async def again() -> bool:
        told = (await street.get("/v1/prices?feeds=BTC/USD")).json()
        return told["sequence"] > last and "no estimate came" not in str(told["prices"][0]["why"])

    await until(again)
    assert (await street.get("/v1/venues")).status_code == 200
