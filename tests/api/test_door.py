"""Connections are taken one a turn, by whichever process has time, and no address holds too many."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable

from core.api.door import Door
from core.net import listening


class Silent(asyncio.Protocol):
    """Says a byte and waits."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"x")


def counted(_: str) -> str:
    return "everybody"


async def greeted(port: int) -> asyncio.StreamWriter | None:
    """A connection that was taken, or None for one that was closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        said = await asyncio.wait_for(reader.read(1), 10)
    except ConnectionResetError:
        said = b""
    if said:
        return writer
    writer.close()
    return None


async def test_an_address_holds_so_many_connections_and_gets_more_when_it_lets_go() -> None:
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        door = Door(listener, Silent, counted, connections_max=2)
        door.open()
        first, second = await greeted(port), await greeted(port)
        assert first is not None
        assert second is not None
        assert await greeted(port) is None
        first.close()
        await first.wait_closed()
        async with asyncio.timeout(10):
            while (third := await greeted(port)) is None:
                await asyncio.sleep(0)
        door.close()
        for writer in (second, third):
            writer.close()
            await writer.wait_closed()


async def test_our_own_connections_are_not_counted() -> None:
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        door = Door(listener, Silent, lambda _: None, connections_max=1)
        door.open()
        held = [await greeted(port) for _ in range(5)]
        door.close()
        assert None not in held
        for writer in held:
            assert writer is not None
            writer.close()
            await writer.wait_closed()


async def test_two_doors_of_one_socket_share_what_comes() -> None:
    with listening("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        other = listener.dup()
        doors = [Door(listener, Silent, counted), Door(other, Silent, counted)]
        for door in doors:
            door.open()
        held = [await greeted(port) for _ in range(40)]
        for door in doors:
            door.close()
        other.close()
        assert None not in held
        for writer in held:
            assert writer is not None
            writer.close()
            await writer.wait_closed()


class NoRoom:
    """A listener that has no room for a connection, once."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener, self.refused = listener, 0
        self.fileno: Callable[[], int] = listener.fileno

    def accept(self) -> tuple[socket.socket, object]:
        if not self.refused:
            self.refused += 1
            raise OSError(errno.EMFILE, "too many open files")
        return self._listener.accept()


async def test_a_process_without_room_takes_connections_again_after_a_pause() -> None:
    with listening("127.0.0.1", 0) as listener:
        full = NoRoom(listener)
        door = Door(full, Silent, counted, pause_s=0.01)  # type: ignore[arg-type]
        door.open()
        writer = await greeted(listener.getsockname()[1])
        door.close()
        assert full.refused == 1
        assert writer is not None
        writer.close()
        await writer.wait_closed()
