"""Serving the application with uvicorn: one door, one stop, a drain with a bound.

Knows uvicorn. Does not know routes. Run it on uvloop (`uvloop.run`): the loop is the caller's. WebSockets are
served by uvicorn's sans-I/O protocol on `websockets`: its older one is deprecated and warns. Compression is
off: it would be made anew for each client.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final, TypedDict, Unpack, cast

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from core.api.door import Door
from core.api.session import StreamLimits
from core.api.stream import ABORT_EXTENSION, DIRECT_EXTENSION, Hub
from core.net import listening

DRAIN_STREAM_S: Final = 0.75
DRAIN_REQUESTS_S: Final = 1
"""Bounds of the drain: with uvicorn's own turns (0.1 s each) it ends within 3 s."""

HEAD_S_MAX: Final = 10.0
HEAD_BYTES_MAX: Final = 32_768
"""How long and how large the head of a request may be."""

AFTER_CLOSE_BYTES_MAX: Final = 65_536
"""What a WebSocket client may still say once it was told to go; more cuts the connection."""

FLUSH_S: Final = 0.5
"""How long an expelled client may still take what was written to it."""


class Options(TypedDict, total=False):
    """What may be chosen of `serve_on`."""

    started: Callable[[int], None] | None
    limits: StreamLimits | None
    head_s: float
    network_of: Callable[[str], str | None]
    warm_up: Callable[[], Awaitable[object]] | None


class _Frames:
    """Texts as whole WebSocket frames. The last is kept, so that one for 500 clients is framed once."""

    def __init__(self) -> None:
        self._body, self._frame = b"", text_frame(b"")

    def of(self, body: bytes) -> bytes:
        if body is not self._body:
            self._body, self._frame = body, text_frame(body)
        return self._frame


def text_frame(body: bytes) -> bytes:
    """An unmasked, final text frame: RFC 6455, section 5.2."""
    size = len(body)
    if size < 126:
        return bytes((0x81, size)) + body
    if size < 2**16:
        return b"\x81\x7e" + size.to_bytes(2, "big") + body
    return b"\x81\x7f" + size.to_bytes(8, "big") + body


class _StreamProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol as a `core.api.stream.DirectSocket`."""

    def __init__(self, *args: Any, frames: _Frames, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frames = frames
        self._after_close = 0

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: dict[str, Any] = self.scope["extensions"]
            extensions[DIRECT_EXTENSION] = {"socket": self}

    def data_received(self, data: bytes) -> None:
        """Who goes on talking after a close costs no more: uvicorn would read on until its own bound."""
        if self.close_sent:
            self._after_close += len(data)
            if self._after_close > AFTER_CLOSE_BYTES_MAX:
                self.transport.abort()
                return
        super().data_received(data)

    @property
    def takes_text(self) -> bool:
        """Whether the handshake is done, nothing is closing and the socket is not full."""
        if not self.handshake_complete or self.disconnected or self.close_sent:
            return False
        return self.writable.is_set() and not self.transport.is_closing()

    def write(self, body: bytes) -> None:
        self.transport.write(self._frames.of(body))

    def expel(self, code: int, reason: str) -> None:
        """Write the close behind what waits, and cut the connection if it is not taken soon."""
        if not self.close_sent and not self.transport.is_closing():
            self.conn.send_close(code, reason)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self.transport.close()
        self.loop.call_later(FLUSH_S, self.transport.abort)


class _HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on the head of a request, in seconds and in bytes.

    The time runs from the connection or from the first byte of a further request. Over a bound the connection
    is cut: who sends a header a second is owed no answer.
    """

    def __init__(self, *args: Any, head_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_s = head_s

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        self._head_bytes = 0
        self._head_due: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_there()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._expect_head()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._head_is_there()
        self.scope["extensions"] = {ABORT_EXTENSION: {"abort": self.transport.abort}}
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(self._head_s, self.transport.abort)

    def _head_is_there(self) -> None:
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES_MAX:
            raise ValueError("the head of the request is too large")


class _Server(uvicorn.Server):
    """uvicorn behind our door, and without its signal handlers: stopping is the caller's decision."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        network_of: Callable[[str], str | None],
        warm_up: Callable[[], Awaitable[object]] | None,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._listener, self._network_of, self._on_started = listener, network_of, on_started
        self._warm_up = warm_up
        self._door: Door | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            if self._warm_up is not None:
                await self._warm_up()
            self._door = Door(self._listener, self._protocol, self._network_of)
            self._door.open()
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._door is not None:
            self._door.close()
        await super().shutdown(sockets)

    def _protocol(self) -> asyncio.Protocol:
        make = cast(Callable[..., asyncio.Protocol], self.config.http_protocol_class)
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)


async def serve(app: FastAPI, host: str, port: int, stop: asyncio.Event, **options: Unpack[Options]) -> None:
    """`serve_on` an address of its own; port 0 takes a free one. Raises PortTaken."""
    with listening(host, port) as listener:
        await serve_on(app, listener, stop, **options)


async def serve_on(
    app: FastAPI,
    listener: socket.socket,
    stop: asyncio.Event,
    *,
    started: Callable[[int], None] | None = None,
    limits: StreamLimits | None = None,
    head_s: float = HEAD_S_MAX,
    network_of: Callable[[str], str | None] = lambda _: None,
    warm_up: Callable[[], Awaitable[object]] | None = None,
) -> None:
    """Serve until `stop` is set, then drain within 3 s: WebSockets are closed with 1001.

    `started` is called with the port once connections are accepted. `network_of` tells under which name the
    connections of an address are counted, None for not at all. `warm_up` is awaited before the door opens.
    The listener is left to its owner, who may share it with other processes.
    """
    port: int = listener.getsockname()[1]
    config = _config(app, limits or StreamLimits(), head_s)
    server = _Server(config, listener, network_of, warm_up, lambda: started(port) if started else None)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve([]), name="api-serve")
        stopping = group.create_task(_stop(getattr(app.state, "hub", None), server, stop), name="api-stop")
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        await serving
        stopping.cancel()


async def _stop(hub: Hub | None, server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    if hub is not None:
        await hub.close(DRAIN_STREAM_S)
    server.should_exit = True


def _config(app: FastAPI, limits: StreamLimits, head_s: float) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=cast(type[asyncio.Protocol], partial(_HttpProtocol, head_s=head_s)),
        ws=cast(type[asyncio.Protocol], partial(_StreamProtocol, frames=_Frames())),
        ws_max_size=limits.message_bytes_max,
        ws_per_message_deflate=False,
        ws_ping_interval=None,  # the stream's heartbeats find dead clients: what is not taken ends them
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_REQUESTS_S,
    )
