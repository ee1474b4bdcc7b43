"""The stream as server-sent events, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import pytest

from core.api.app import create_api
from core.api.server import serve
from core.api.session import StreamLimits
from tests.fakes.services import NOW, World, encoded_at

Running = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def running(world: World) -> Running:
    @asynccontextmanager
    async def run(limits: StreamLimits | None = None) -> AsyncIterator[httpx.AsyncClient]:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        app = create_api(world.services(), limits)
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started=port.set_result))
        url = f"http://127.0.0.1:{await asyncio.wait_for(port, 10)}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as client:
                yield client
        finally:
            stop.set()
            await asyncio.wait_for(serving, 10)

    return run


async def publish(world: World, sequence: int) -> None:
    await world.bus.publish(encoded_at(NOW + sequence, sequence))


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, query: str = "?feeds=BTC/USD", **headers: str
) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
    async with client.stream("GET", f"/v1/stream/sse{query}", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield events(answer)


async def events(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    event: dict[str, Any] = {}
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name:
            event[name] = value
        elif "data" in event:
            yield {**json.loads(event["data"]), "id": event.get("id"), "event": event["event"]}
            event = {}


async def test_events_are_the_messages_with_sequences_as_ids(running: Running, world: World) -> None:
    async with running() as client, listening(client) as events:
        assert (await anext(events))["feeds"] == ["BTC/USD"]
        await publish(world, 7)
        snapshot = await anext(events)
        assert (snapshot["event"], snapshot["id"], len(snapshot["prices"])) == ("snapshot", "7", 1)
        await publish(world, 8)
        update = await anext(events)
        assert (update["event"], update["id"], update["previous"]) == ("update", "8", 7)


@pytest.mark.parametrize("by_header", [True, False])
async def test_a_client_that_comes_back_goes_on_where_it_was(
    running: Running, world: World, by_header: bool
) -> None:
    async with running() as client:
        async with listening(client) as events:
            await anext(events)
            await publish(world, 1)
            await anext(events)
        for sequence in (2, 3):
            await publish(world, sequence)
        headers = {"Last-Event-ID": "1"} if by_header else {}
        query = "?feeds=BTC/USD" if by_header else "?feeds=BTC/USD&since=1"
        async with listening(client, query, **headers) as events:
            assert [(await anext(events))["event"] for _ in range(4)] == [
                "subscribed",
                "resumed",
                "update",
                "update",
            ]
        async with listening(client, "?feeds=BTC/USD&since=900") as events:
            assert [(await anext(events))["event"] for _ in range(3)] == ["subscribed", "gap", "snapshot"]


async def test_silence_is_broken_by_heartbeats(running: Running, world: World) -> None:
    async with running(StreamLimits(tick_s=0.01)) as client, listening(client) as events:
        await anext(events)
        world.now = NOW + 5.5
        assert (await anext(events))["event"] == "heartbeat"


async def test_a_client_that_leaves_is_forgotten(running: Running, world: World) -> None:
    async with running() as client:
        async with listening(client) as events:
            await anext(events)
            assert world.metric("chrono_stream_clients") == 1
        async with asyncio.timeout(10):
            while world.metric("chrono_stream_clients"):
                await asyncio.sleep(0.01)


async def test_a_client_that_takes_nothing_is_cut_off(running: Running, world: World) -> None:
    async with running(StreamLimits(stuck_s=5.0, tick_s=0.02)) as client:
        host, port = client.base_url.host, client.base_url.port
        assert port is not None
        reader, writer = await asyncio.open_connection(host, port, limit=1_024)
        writer.write(b"GET /v1/stream/sse HTTP/1.1\r\nHost: chrono\r\n\r\n")
        await reader.readuntil(b"subscribed")
        sequence = 0
        while world.metric("chrono_stream_expelled_total", reason="took-nothing") == 0:
            sequence += 1
            await publish(world, sequence)
            world.now += 0.1
            await asyncio.sleep(0.002)
            assert sequence < 5_000
        async with asyncio.timeout(10):
            while world.metric("chrono_stream_clients"):
                await asyncio.sleep(0.01)
        writer.close()


async def test_when_the_stream_is_full_the_answer_is_503(running: Running) -> None:
    async with running(StreamLimits(clients_max=1)) as client, listening(client) as events:
        await anext(events)
        answer = await client.get("/v1/stream/sse")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:chrono:problem:too-many-clients")


async def test_a_stranger_has_as_many_streams_and_feeds_as_its_tier(running: Running, world: World) -> None:
    far = {"X-Forwarded-For": "203.0.113.7"}
    async with running() as client:
        answer = await client.get("/v1/stream/sse?feeds=" + ",".join(NAMES[:11]), headers=far)
        assert (answer.status_code, answer.json()["limit"]) == (403, 10)
        async with listening(client, "", **far) as one, listening(client, **far) as other:
            assert len((await anext(one))["feeds"]) == 10
            await anext(other)
            answer = await client.get("/v1/stream/sse", headers=far)
            assert (answer.status_code, answer.json()["sockets"]) == (429, 2)


NAMES = [
    *("FLR/USD", "SGB/USD", "BTC/USD", "XRP/USD", "LTC/USD", "XLM/USD"),
    *("DOGE/USD", "ADA/USD", "ALGO/USD", "ETH/USD", "FIL/USD"),
]
