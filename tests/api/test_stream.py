"""The stream over real sockets: uvicorn, a hub, and WebSocket clients on loopback."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from core.api.app import create_api
from core.api.server import serve
from core.api.session import StreamLimits
from core.messages import encode_pass
from tests.fakes.services import NOW, World, estimates_at

Running = Callable[..., AbstractAsyncContextManager[str]]


@pytest.fixture
def running(world: World) -> Running:
    @asynccontextmanager
    async def run(limits: StreamLimits | None = None) -> AsyncIterator[str]:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        app = create_api(world.services(), limits)
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started=port.set_result))
        try:
            yield f"ws://127.0.0.1:{await asyncio.wait_for(port, 10)}/v1/stream"
        finally:
            stop.set()
            await asyncio.wait_for(serving, 10)

    return run


async def publish(world: World, sequence: int) -> None:
    await world.bus.publish(encode_pass(estimates_at(NOW + sequence, sequence), {}))


async def told(socket: ClientConnection) -> dict[str, Any]:
    return json.loads(await asyncio.wait_for(socket.recv(), 10))


async def test_a_snapshot_comes_first_and_updates_follow_in_a_chain(running: Running, world: World) -> None:
    async with running() as url, connect(url, compression=None) as socket:
        await socket.send('{"op":"subscribe","feeds":["ETH/USD","BTC/USD"]}')
        assert await told(socket) == {"type": "subscribed", "feeds": ["BTC/USD", "ETH/USD"]}
        await publish(world, 7)
        snapshot = await told(socket)
        assert (snapshot["type"], snapshot["sequence"], snapshot["at"]) == ("snapshot", 7, NOW + 7)
        assert [price["feed"] for price in snapshot["prices"]] == ["BTC/USD", "ETH/USD"]
        for sequence in (8, 9):
            await publish(world, sequence)
            update = await told(socket)
            assert (update["type"], update["sequence"], update["previous"]) == (
                "update",
                sequence,
                sequence - 1,
            )
