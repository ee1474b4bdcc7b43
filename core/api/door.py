"""The door: takes connections off a listening socket that several processes may share.

Knows sockets and addresses. One connection is taken a turn of the loop, so that of several processes the one
with less to do takes more. An address that holds many connections open already gets no further one; those of
`ours`, proxies among them, are not counted.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Final

import structlog

log = structlog.get_logger(__name__)

CONNECTIONS_MAX: Final = 256
"""Open connections of one address."""

ADDRESSES_MAX: Final = 10_000
"""Addresses remembered before those without a connection are forgotten."""

PAUSE_S: Final = 0.5
"""Nothing is taken for so long when the process has no room for another connection."""

REFUSED_A_LINE: Final = 1_000

_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Door:
    """Open between `open` and `close`; `close` leaves the socket to its owner."""

    def __init__(
        self,
        listener: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        network_of: Callable[[str], str | None],
        connections_max: int = CONNECTIONS_MAX,
        pause_s: float = PAUSE_S,
    ) -> None:
        """`network_of` tells under which name an address is counted, None for not at all."""
        self._listener, self._make_protocol = listener, make_protocol
        self._network_of, self._connections_max = network_of, connections_max
        self._pause_s, self._refused = pause_s, 0
        self._held: dict[str, list[asyncio.Transport]] = {}
        self._entering: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._pause: asyncio.TimerHandle | None = None

    def open(self) -> None:
        """Begin to take connections."""
        self._pause = None
        self._loop.add_reader(self._listener.fileno(), self._take)

    def close(self) -> None:
        """Take no more."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener.fileno())

    def _take(self) -> None:
        try:
            connection, peer = self._listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # another process was faster, or the caller is gone
        except OSError as error:
            if error.errno not in _FULL:
                raise
            log.error("no_room_for_connections", detail=str(error), pause_s=self._pause_s)
            self._loop.remove_reader(self._listener.fileno())
            self._pause = self._loop.call_later(self._pause_s, self.open)
            return
        network = self._network_of(peer[0])
        if network is not None and self._is_full(network):
            self._refuse(connection, network)
            return
        connection.setblocking(False)
        task = self._loop.create_task(self._enter(connection, network))
        self._entering.add(task)
        task.add_done_callback(self._entering.discard)

    async def _enter(self, connection: socket.socket, network: str | None) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(self._make_protocol, connection)
        except OSError:  # the caller is gone
            connection.close()
            return
        if network is not None:
            self._held.setdefault(network, []).append(transport)

    def _refuse(self, connection: socket.socket, network: str) -> None:
        """Close without a word, which costs least; the log tells the first, and then one in many."""
        connection.close()
        self._refused += 1
        if self._refused % REFUSED_A_LINE == 1:
            log.warning("too_many_connections", address=network, refused=self._refused)

    def _is_full(self, network: str) -> bool:
        held = self._held.get(network)
        if held is None:
            if len(self._held) >= ADDRESSES_MAX:
                self._forget()
            return False
        if len(held) >= self._connections_max:
            held[:] = [transport for transport in held if not transport.is_closing()]
        return len(held) >= self._connections_max

    def _forget(self) -> None:
        for network, held in tuple(self._held.items()):
            if all(transport.is_closing() for transport in held):
                del self._held[network]
