"""The stream: clients' sockets, and the hub that follows the bus for all of them.

Knows sockets, tasks and the clock. Does not know what a client is told (`core.api.session`) nor how a message
is joined (`core.api.board`). Each client has one sending task: while its socket takes nothing the task waits,
the passes go by, and its next update is the newest. Nothing is queued for a slow client but its replies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

import structlog
from starlette.types import Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from core.api.board import Board
from core.api.gate import admitted_in
from core.api.metrics import ApiMetrics
from core.api.problems import Problem, Refused, respond
from core.api.session import Close, Outgoing, Session, StreamLimits
from core.messages import MalformedMessage, PassMessage, decode_pass
from core.ports import Bus

log = structlog.get_logger(__name__)

DIRECT_EXTENSION: Final = "chrono.direct"
"""Under this name in the scope's extensions a server may offer `{"socket": DirectSocket}`."""

ABORT_EXTENSION: Final = "chrono.abort"
"""Under this name a server may offer `{"abort": function}`, which cuts an HTTP connection at once."""

BREATH: Final = 100
"""After so many clients the hub lets the loop do other work: about 3 ms."""

_RETRY_S: Final = 1.0
_FULL: Final = Problem(
    "too-many-clients", 503, "Too many clients", "the stream is full", {}, {"Retry-After": "5"}
)


class DirectSocket(Protocol):
    """What ASGI does not offer: writing without a task in between, and an end whatever the peer takes."""

    @property
    def takes_text(self) -> bool:
        """Whether `write` may be called now."""
        ...

    def write(self, body: bytes) -> None:
        """Write a text, given as UTF-8, at once."""
        ...

    def expel(self, code: int, reason: str) -> None:
        """Close behind what waits, and cut the connection if that is not taken soon."""
        ...


class _Client:
    """A connected client: its session, what its server offers, and the event that wakes its sender.

    `sending_since` is set while its sender waits for the socket to take a message; `idle` while it has none
    under way, and another may write for it.
    """

    __slots__ = ("_abort", "direct", "idle", "sending_since", "session", "wake")

    def __init__(self, session: Session, scope: Scope) -> None:
        self.session = session
        self.wake = asyncio.Event()
        self.sending_since: float | None = None
        self.idle = True
        extensions = scope.get("extensions") or {}
        self.direct: DirectSocket | None = extensions.get(DIRECT_EXTENSION, {}).get("socket")
        self._abort: Callable[[], None] | None = extensions.get(ABORT_EXTENSION, {}).get("abort")

    def rouse(self) -> None:
        """Have its sender look what is due."""
        self.idle = False
        self.wake.set()

    def expel(self, code: int, reason: str) -> None:
        """End the connection although its socket takes nothing, where the server can."""
        if self.direct:
            self.direct.expel(code, reason)
        elif self._abort:
            self._abort()


class Hub:
    """Follows the bus and keeps every client's stream going. `departed` counts the clients that have left."""

    def __init__(
        self, bus: Bus, clock: Callable[[], float], metrics: ApiMetrics, limits: StreamLimits
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._metrics = metrics
        self._updates = metrics.stream_messages.labels("update")
        self._limits = limits
        self._board = Board()
        self._news, self._begun = asyncio.Event(), asyncio.Event()
        self._clients: set[_Client] = set()
        self.departed = 0
        self._open = True
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def sequence(self) -> int:
        """The sequence of the last pass that arrived; 0 before the first."""
        return self._board.sequence

    @property
    def last_pass(self) -> PassMessage | None:
        """The last pass that arrived; None before the first."""
        return self._board.last

    async def first_pass(self, within_s: float) -> bool:
        """Wait for a pass to tell; whether one has come."""
        try:
            async with asyncio.timeout(within_s):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Follow the bus until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="stream-follow")
            group.create_task(self._spread(), name="stream-spread")
            group.create_task(self._tick(), name="stream-tick")

    async def close(self, within_s: float) -> None:
        """Take no more clients, close those there are with 1001, and expel those that do not take that."""
        self._open = False
        for client in self._clients:
            client.session.close(1001, "stopping")
            client.rouse()
        try:
            async with asyncio.timeout(within_s):
                await self._empty.wait()
        except TimeoutError:
            for client in list(self._clients):
                client.expel(1001, "stopping")

    async def serve(self, socket: WebSocket) -> None:
        """One WebSocket client from handshake to end."""
        if self._full():
            await socket.send_denial_response(respond(_FULL, socket.url.path))
            return
        client = _Client(self._session(socket.scope), socket.scope)
        self._enter(client)
        try:
            await socket.accept()
            async with asyncio.TaskGroup() as group:
                sender = group.create_task(self._send(client, socket))
                await self._read(client, socket)
                sender.cancel()
        except WebSocketDisconnect:
            pass
        finally:
            self._leave(client)

    def open_session(self, scope: Scope) -> Session:
        """A session for `follow`; raises Refused when the stream is full."""
        if self._full():
            raise Refused(_FULL)
        return self._session(scope)

    async def follow(self, session: Session, scope: Scope) -> AsyncIterator[Outgoing]:
        """What a client is to be told, for another carrier than a WebSocket; made when it is asked for."""
        client = _Client(session, scope)
        self._enter(client)
        try:
            while True:
                outgoing = await self._next(client)
                if isinstance(outgoing, Close):
                    self._metrics.stream_expelled.labels(outgoing.reason).inc()
                    return
                client.sending_since = self._clock()
                yield outgoing
                client.sending_since = None
                self._count(outgoing)
        finally:
            self._leave(client)

    def _full(self) -> bool:
        if self._open and len(self._clients) < self._limits.clients_max:
            return False
        self._metrics.stream_expelled.labels(_FULL.slug).inc()
        return True

    def _session(self, scope: Scope) -> Session:
        admitted = admitted_in(scope)
        if admitted is None:
            return Session(self._limits, self._clock())
        return Session(self._limits, self._clock(), admitted.limits.feeds)

    async def _next(self, client: _Client) -> Outgoing | Close:
        while True:
            outgoing = client.session.next(self._board, self._clock())
            if outgoing is not None:
                return outgoing
            client.wake.clear()
            client.idle = True
            await client.wake.wait()

    def _enter(self, client: _Client) -> None:
        self._clients.add(client)
        self._metrics.stream_clients.inc()
        self._empty.clear()

    def _leave(self, client: _Client) -> None:
        self._clients.discard(client)
        self.departed += 1
        self._metrics.stream_clients.dec()
        if not self._clients:
            self._empty.set()

    async def _read(self, client: _Client, socket: WebSocket) -> None:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text") or message.get("bytes") or ""
            client.session.receive(text, self._clock())
            client.rouse()

    async def _send(self, client: _Client, socket: WebSocket) -> None:
        while True:
            outgoing = await self._next(client)
            client.sending_since = self._clock()
            try:
                if isinstance(outgoing, Close):
                    self._metrics.stream_expelled.labels(outgoing.reason).inc()
                    await socket.close(outgoing.code, outgoing.reason)
                    return
                await socket.send({"type": "websocket.send", "text": outgoing.body.decode()})
            except WebSocketDisconnect:
                return
            client.sending_since = None
            self._count(outgoing)

    def _count(self, sent: Outgoing) -> None:
        if sent.pass_at is None:
            self._metrics.stream_messages.labels(sent.type).inc()
            return
        self._updates.inc()
        self._metrics.socket_seconds.observe(self._clock() - sent.pass_at)
        if sent.conflated:
            self._metrics.stream_conflated.inc(sent.conflated)

    def _count_updates(self, told_at: Sequence[float]) -> None:
        """Those written in one breath: one sample of the time, which is nearly theirs all."""
        if told_at:
            self._updates.inc(len(told_at))
            self._metrics.socket_seconds.observe(self._clock() - min(told_at))

    async def _follow(self) -> None:
        while True:
            try:
                async with self._bus.subscribe() as messages:
                    async for message in messages:
                        self._apply(message)
            except Exception:
                self._metrics.stream_failures.inc()
                log.exception("stream_lost_the_bus", retry_s=_RETRY_S)
            await asyncio.sleep(_RETRY_S)

    def _apply(self, message: bytes) -> None:
        try:
            decoded = decode_pass(message)
        except MalformedMessage as error:
            self._metrics.stream_failures.inc()
            log.warning("bus_message_refused", detail=str(error))
            return
        self._board.apply(decoded)
        self._news.set()
        self._begun.set()

    async def _spread(self) -> None:
        """Tell all clients what is new, again and again: what comes meanwhile is told in the next round."""
        while True:
            await self._news.wait()
            self._news.clear()
            clients = tuple(self._clients)
            for first in range(0, len(clients), BREATH):
                told_at: list[float] = []
                now = self._clock()
                for client in clients[first : first + BREATH]:
                    self._tell(client, now, told_at)
                self._count_updates(told_at)
                await asyncio.sleep(0)

    def _tell(self, client: _Client, now: float, told_at: list[float]) -> None:
        """Write what is due straight to a socket that takes it; else wake the client's sender for it.

        Saves a switch to a task and back for each client, which cost more than the writing. Of a plain update
        the time of its pass is put to `told_at`, to be counted with others.
        """
        if client.direct is None or not client.idle or not client.direct.takes_text:
            client.rouse()
            return
        body = client.session.next_plain(self._board, now)
        if body is not None:
            client.direct.write(body)
            told_at.append(self._board.at)
            return
        outgoing = client.session.next(self._board, now)
        if isinstance(outgoing, Outgoing):
            client.direct.write(outgoing.body)
            self._count(outgoing)
        elif outgoing is not None:
            client.rouse()

    async def _tick(self) -> None:
        """Once a turn: heartbeats where nothing was sent, and an end for those that take nothing."""
        while True:
            await asyncio.sleep(self._limits.tick_s)
            now = self._clock()
            for client in list(self._clients):
                if client.session.is_silent(now):
                    client.rouse()
                since = client.sending_since
                if since is not None and now - since > self._limits.stuck_s:
                    self._metrics.stream_expelled.labels("took-nothing").inc()
                    log.info("stream_client_expelled", stuck_s=round(now - since, 1))
                    client.expel(1013, "took nothing")
