"""The API over a world in memory on a real port, and a relay before it that can be cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from prometheus_client import CollectorRegistry

from core.api.app import create_api
from core.api.server import serve
from tests.fakes.services import World


@asynccontextmanager
async def serving(world: World, port: int = 0) -> AsyncIterator[str]:
    """The URL of an API on this world; a new application each time."""
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    app = create_api(replace(world.services(), registry=CollectorRegistry()))
    task = asyncio.create_task(serve(app, "127.0.0.1", port, stop, started=started.set_result))
    try:
        yield f"http://127.0.0.1:{await asyncio.wait_for(started, 10)}"
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


class Relay:
    """Passes bytes on to a port, until it is cut."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            self.cut()
            server.close()
            await asyncio.sleep(0)

    def cut(self) -> None:
        """End every connection at once, without a word."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, far_writer]
        await asyncio.gather(_pass_on(reader, far_writer), _pass_on(far_reader, writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
    writer.close()
