"""Clients that are slow on purpose, over real sockets: cut, and nobody else waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from core.api.app import create_api
from core.api.server import HEAD_BYTES_MAX, serve
from tests.fakes.services import World

Running = Callable[..., AbstractAsyncContextManager[int]]
FAR = {"X-Forwarded-For": "203.0.113.7"}


@pytest.fixture
def running(world: World) -> Running:
    @asynccontextmanager
    async def run(**options: Any) -> AsyncIterator[int]:
        stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
        app = create_api(world.services())
        serving = asyncio.create_task(serve(app, "127.0.0.1", 0, stop, started=port.set_result, **options))
        try:
            yield await asyncio.wait_for(port, 10)
        finally:
            stop.set()
            await asyncio.wait_for(serving, 10)

    return run


async def said_before_the_end(port: int, *parts: bytes) -> bytes:
    """What the server says to these bytes until it closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for part in parts:
        writer.write(part)
    try:
        return await asyncio.wait_for(reader.read(), 10)
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.parametrize("head", [b"", b"GET /v1/prices HTT", b"GET / HTTP/1.1\r\nHost: chrono\r\nX-Slow: "])
async def test_a_head_that_does_not_end_is_cut_off(running: Running, head: bytes) -> None:
    async with running(head_s=0.05) as port:
        assert await said_before_the_end(port, head) == b""


async def test_a_second_head_that_does_not_end_is_cut_off_too(running: Running) -> None:
    async with running(head_s=0.05) as port:
        said = await said_before_the_end(port, b"GET /health HTTP/1.1\r\nHost: chrono\r\n\r\nGET /hea")
        assert said.startswith(b"HTTP/1.1 200")
        assert said.count(b"HTTP/1.1") == 1


async def test_a_head_that_is_too_large_is_refused(running: Running) -> None:
    async with running() as port:
        lines = b"".join(
            b"X-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(HEAD_BYTES_MAX // 1_000 + 2)
        )
        said = await said_before_the_end(port, b"GET /health HTTP/1.1\r\nHost: chrono\r\n" + lines)
        assert said.startswith(b"HTTP/1.1 400")


async def test_many_slow_heads_delay_nobody(running: Running) -> None:
    async with running() as port:
        slow = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
        for _, writer in slow:
            writer.write(b"GET / HTTP/1.1\r\n")
        said = await said_before_the_end(
            port, b"GET /v1/prices?feeds=BTC/USD HTTP/1.1\r\nHost: chrono\r\nConnection: close\r\n\r\n"
        )
        assert said.startswith(b"HTTP/1.1 200")
        for _, writer in slow:
            writer.close()


async def test_a_stranger_opens_as_many_sockets_as_its_tier_and_no_more(running: Running) -> None:
    async with running() as port:
        url = f"ws://127.0.0.1:{port}/v1/stream"
        async with connect(url, additional_headers=FAR), connect(url, additional_headers=FAR) as other:
            with pytest.raises(InvalidStatus) as refused:
                await connect(url, additional_headers=FAR)
            assert refused.value.response.status_code == 429
            async with connect(url):
                pass
            await other.close()
            async with asyncio.timeout(10):
                while True:
                    try:
                        async with connect(url, additional_headers=FAR):
                            break
                    except InvalidStatus:
                        await asyncio.sleep(0.3)


async def test_the_page_of_this_host_may_subscribe_to_everything(running: Running) -> None:
    async with running() as port:
        url = f"ws://127.0.0.1:{port}/v1/stream"
        page = {**FAR, "Origin": f"http://127.0.0.1:{port}"}
        for headers, first in ((page, '{"type":"subscribed"'), (FAR, '{"type":"error"')):
            async with connect(url, additional_headers=headers) as socket:
                await socket.send('{"op":"subscribe","feeds":["*"]}')
                assert str(await asyncio.wait_for(socket.recv(), 10)).startswith(first)


async def test_a_client_that_floods_its_socket_is_told_of(running: Running, world: World) -> None:
    async with running() as port, connect(f"ws://127.0.0.1:{port}/v1/stream") as socket:
        for _ in range(40):
            await socket.send('{"op":"ping"}')
        with suppress(ConnectionClosed):
            while True:
                await asyncio.wait_for(socket.recv(), 10)
    assert [(event.signal, event.detail) for event in world.events] == [("flood", "stream")]


async def test_a_wrong_key_opens_no_socket(running: Running) -> None:
    async with running() as port:
        with pytest.raises(InvalidStatus) as refused:
            await connect(
                f"ws://127.0.0.1:{port}/v1/stream", additional_headers={"X-API-Key": "chr_nonsense"}
            )
        assert refused.value.response.status_code == 401


async def flood(socket: ClientConnection) -> None:
    """Never reads, so that it never sees the close."""
    while True:
        await socket.send('{"op":"subscribe","feeds":["*"]}')


async def test_who_floods_and_does_not_listen_is_cut_off(running: Running) -> None:
    async with running() as port, connect(f"ws://127.0.0.1:{port}/v1/stream") as socket:
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(flood(socket), 30)
