"""Serves the simulator on loopback, in this process, until it is told to stop. Knows sockets only."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Final

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from core.net import listening

_DRAIN_S: Final = 2


async def serve(app: Starlette, port: int, stop: asyncio.Event, ready: Callable[[int], None]) -> None:
    """Serve on 127.0.0.1 until `stop` is set; `ready` is called once with the bound port (0 asks for any).

    Raises PortTaken when the port cannot be bound. Ends within _DRAIN_S after `stop`, at once when cancelled.
    """
    with listening("127.0.0.1", port) as listener:
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        server = _Server(config, lambda: ready(listener.getsockname()[1]))
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]))
            stopping = group.create_task(_stop(server, app, stop))
            serving.add_done_callback(lambda _: stopping.cancel())


async def _stop(server: uvicorn.Server, app: Starlette, stop: asyncio.Event) -> None:
    await stop.wait()
    app.state.closing.set()
    server.should_exit = True


class _Server(uvicorn.Server):
    """A server that says when it listens, and leaves the process's signals to the process."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().serve(sockets)
        finally:  # a cancelled server would leave its port and its connections open
            for server in getattr(self, "servers", ()):
                server.close()
            for connection in list(self.server_state.connections):
                connection.transport.abort()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(HttpToolsProtocol):
    """HTTP that lets the application close the connection without an answer: a dead venue."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"]["hang_up"] = self.transport.abort
