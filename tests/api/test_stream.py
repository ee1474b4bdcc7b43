"""The stream over real sockets: uvicorn, a hub, and WebSocket clients on loopback."""

from __future__ import annotations

import asyncio
import json
import socket as socket_module
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from core.api.app import create_api
from core.api.server import serve
from core.api.session import StreamLimits
from core.net import PortTaken
from tests.fakes.services import NOW, World, encoded_at

ASGI_SCOPE = {"type": "websocket", "path": "/v1/stream", "query_string": b"", "headers": []}

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
    await world.bus.publish(encoded_at(NOW + sequence, sequence))


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


async def test_each_client_gets_only_what_it_subscribed_to(running: Running, world: World) -> None:
    async with running() as url, connect(url) as one, connect(url) as all_feeds:
        await publish(world, 1)
        await one.send('{"op":"subscribe","feeds":["XRP/USD"]}')
        await all_feeds.send('{"op":"subscribe","feeds":["*"]}')
        assert len((await told(one))["feeds"]) == 1
        assert len((await told(all_feeds))["feeds"]) == 63
        assert len((await told(one))["prices"]) == 1
        assert len((await told(all_feeds))["prices"]) == 63


async def test_a_wrong_message_is_answered_and_the_connection_stays(running: Running) -> None:
    async with running() as url, connect(url) as socket:
        await socket.send('{"op":"subscribe","feeds":["FOO/USD"]}')
        error = await told(socket)
        assert (error["type"], error["problem"]["feeds"]) == ("error", ["FOO/USD"])
        await socket.send(b'{"op":"ping"}')
        assert await told(socket) == {"type": "pong"}


async def test_silence_is_broken_by_heartbeats(running: Running, world: World) -> None:
    async with running(StreamLimits(tick_s=0.01)) as url, connect(url) as socket:
        for turn in (1, 2):
            world.now = NOW + 5.5 * turn
            assert await told(socket) == {"type": "heartbeat", "sequence": 0, "at": world.now}


async def test_a_message_that_is_too_long_ends_the_connection(running: Running) -> None:
    async with running() as url, connect(url) as socket:
        await socket.send(" " * (StreamLimits().message_bytes_max + 1))
        with pytest.raises(ConnectionClosed) as closed:
            await told(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


async def test_a_client_that_talks_too_much_is_closed(running: Running, world: World) -> None:
    async with running(StreamLimits(messages_burst=1)) as url, connect(url) as socket:
        for _ in range(2):
            await socket.send('{"op":"ping"}')
        assert await told(socket) == {"type": "pong"}
        with pytest.raises(ConnectionClosed) as closed:
            await told(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
        assert world.metric("chrono_stream_expelled_total", reason="too-many-messages") == 1


async def test_when_the_stream_is_full_the_handshake_is_refused(running: Running, world: World) -> None:
    async with running(StreamLimits(clients_max=1)) as url, connect(url) as socket:
        with pytest.raises(InvalidStatus) as refused:
            await connect(url)
        assert refused.value.response.status_code == 503
        assert json.loads(refused.value.response.body or b"")["type"] == "urn:chrono:problem:too-many-clients"
        await socket.send('{"op":"ping"}')
        assert await told(socket) == {"type": "pong"}
        assert world.metric("chrono_stream_clients") == 1


async def test_a_slow_client_is_conflated_and_slows_nobody(running: Running, world: World) -> None:
    async with running() as url, connect(url) as fast:
        slow = await subscribed_socket(url)
        await fast.send('{"op":"subscribe","feeds":["*"]}')
        await told(fast)
        for sequence in range(1, 400):
            await publish(world, sequence)
            assert (await told(fast))["sequence"] == sequence
        updates = [message async for message in frames(slow, last=399)]
        slow.close()
        assert updates[-1]["sequence"] == 399
        assert len(updates) < 399
        assert all(after["previous"] == before["sequence"] for before, after in pairwise(updates))
        skipped = sum(update.get("conflated", 0) for update in updates)
        assert skipped == 399 - len(updates)
        assert world.metric("chrono_stream_conflated_total") == skipped


async def test_a_client_that_takes_nothing_is_expelled(running: Running, world: World) -> None:
    async with running(StreamLimits(stuck_s=5.0, tick_s=0.02)) as url:
        stuck = await subscribed_socket(url)
        sequence = 0
        while world.metric("chrono_stream_expelled_total", reason="took-nothing") == 0:
            sequence += 1
            await publish(world, sequence)
            world.now += 0.1
            await asyncio.sleep(0.002)
            assert sequence < 5_000
        assert await ends(stuck)
        stuck.close()


async def test_stopping_closes_every_client_with_1001_within_three_seconds(world: World) -> None:
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = create_api(world.services())
    serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started=port.set_result))
    url = f"ws://127.0.0.1:{await asyncio.wait_for(port, 10)}/v1/stream"
    stuck = await subscribed_socket(url)
    for sequence in range(1, 400):
        await publish(world, sequence)
        await asyncio.sleep(0)
    async with connect(url) as socket:
        stop.set()
        async with asyncio.timeout(3):
            await serving
        with pytest.raises(ConnectionClosed) as closed:
            await told(socket)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
    stuck.close()


async def test_an_address_in_use_is_told_to_the_caller(world: World) -> None:
    app = create_api(world.services())
    with socket_module.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match="in use"):
            await serve(app, "127.0.0.1", port, asyncio.Event())


async def test_a_bus_message_that_cannot_be_read_is_passed_over(running: Running, world: World) -> None:
    async with running() as url, connect(url) as socket:
        await socket.send('{"op":"subscribe","feeds":["BTC/USD"]}')
        await told(socket)
        await world.bus.publish(b"garbage")
        await publish(world, 1)
        assert (await told(socket))["sequence"] == 1
        assert world.metric("chrono_stream_failures_total") == 1


async def test_a_server_without_direct_sockets_is_served_by_a_task_a_client(world: World) -> None:
    hub = create_api(world.services()).state.hub
    following = asyncio.create_task(hub.run())
    heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said.put_nowait({"type": "websocket.connect"})
    said.put_nowait({"type": "websocket.receive", "text": '{"op":"subscribe","feeds":["BTC/USD"]}'})
    serving = asyncio.create_task(hub.serve(WebSocket(ASGI_SCOPE, said.get, heard.put)))
    assert (await heard.get())["type"] == "websocket.accept"
    assert json.loads((await heard.get())["text"])["type"] == "subscribed"
    for sequence, kind in ((1, "snapshot"), (2, "update")):
        await publish(world, sequence)
        assert json.loads((await asyncio.wait_for(heard.get(), 10))["text"])["type"] == kind
    said.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await asyncio.wait_for(serving, 10)
    following.cancel()
    await asyncio.wait({following})


async def subscribed_socket(url: str) -> socket_module.socket:
    """A client that subscribed to everything and reads nothing until asked: a bare socket, small buffers."""
    host, port = url.removeprefix("ws://").partition("/")[0].split(":")
    loop = asyncio.get_running_loop()
    client = socket_module.socket()
    client.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_RCVBUF, 4_096)
    client.setblocking(False)
    await loop.sock_connect(client, (host, int(port)))
    await loop.sock_sendall(
        client,
        b"GET /v1/stream HTTP/1.1\r\nHost: chrono\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    )
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += await asyncio.wait_for(loop.sock_recv(client, 1), 10)
    subscribe = b'{"op":"subscribe","feeds":["*"]}'
    await loop.sock_sendall(client, bytes([0x81, 0x80 | len(subscribe), 0, 0, 0, 0]) + subscribe)
    head = await read_exactly(client, 4)
    await read_exactly(client, int.from_bytes(head[2:], "big"))
    return client


async def ends(client: socket_module.socket) -> bool:
    """Read what waits in a bare socket until its peer has closed it or cut it off."""
    try:
        while await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 65_536), 10):
            pass
    except ConnectionError:
        pass
    return True


async def read_exactly(client: socket_module.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        taken = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, count - len(data)), 10)
        assert taken
        data += taken
    return data


async def frames(client: socket_module.socket, last: int) -> AsyncIterator[dict[str, Any]]:
    """Snapshot and updates that wait in a bare socket, up to the sequence `last`."""
    while True:
        head = await read_exactly(client, 2)
        length = head[1]
        if length > 125:
            length = int.from_bytes(await read_exactly(client, 2 if length == 126 else 8), "big")
        message = json.loads(await read_exactly(client, length))
        if message["type"] in ("snapshot", "update"):
            yield message
            if message["sequence"] == last:
                return
