"""Many clients of the stream in one process, as cheap as can be: they measure, and keep nothing.

They share the machine with what is measured, so an event loop's work for each of them would be measured too:
here all wait in one selector and are read into one buffer. The time of a pass stands in the first bytes of
each update; a latency is from there to the moment the whole update has been read.
"""

from __future__ import annotations

import base64
import gc
import os
import selectors
import socket
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection

import orjson

_STAMP_BYTES = 120
"""In so many bytes of an update its time stands."""
_READ_BYTES = 262_144
_CONNECT_S = 30.0


class Client:
    """One connection, which has asked for its feeds, and how far it is in the frame that comes."""

    def __init__(self, port: int, feeds: Sequence[str]) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), _CONNECT_S)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(
            f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            received = self.socket.recv(4_096)
            if not received:
                raise ConnectionError(f"no stream: {answer[:200]!r}")
            answer += received
        self._head = answer.partition(b"\r\n\r\n")[2]
        self._left = 0
        self._at = 0.0
        self.socket.sendall(masked(orjson.dumps({"op": "subscribe", "feeds": list(feeds)})))
        self.socket.setblocking(False)

    def told_at(self, buffer: bytearray, size: int) -> float:
        """The time of the update whose last byte is among these `size`, 0 without one."""
        if not self._left and not self._head and _is_one_update(buffer, size):
            start = buffer.find(b'"at":', 4, _STAMP_BYTES) + 5
            return float(buffer[start : buffer.index(b",", start)])
        if size < self._left:
            self._left -= size
            return 0.0
        return self._take(bytes(buffer[:size]))

    def _take(self, data: bytes) -> float:
        """Take what ends the present frame and what follows it; the time of the last whole update."""
        told = 0.0
        while data:
            if self._left:
                taken = min(self._left, len(data))
                self._left -= taken
                data = data[taken:]
                if not self._left:
                    told = self._at or told
                continue
            data, self._head = self._head + data, b""
            head = 2 if len(data) > 1 and data[1] < 126 else 4
            if len(data) < head + _STAMP_BYTES and not (head == 2 and len(data) >= head + data[1]):
                self._head = data
                break
            self._left = data[1] if head == 2 else int.from_bytes(data[2:4], "big")
            start, data = data[head : head + _STAMP_BYTES], data[head:]
            is_update = start.startswith(b'{"type":"update"')
            self._at = float(start.partition(b'"at":')[2].partition(b",")[0]) if is_update else 0.0
        return told


def _is_one_update(buffer: bytearray, size: int) -> bool:
    """Whether this is a whole frame with an update and nothing else, as it nearly always is."""
    if size < _STAMP_BYTES or buffer[1] != 126 or size != 4 + (buffer[2] << 8) + buffer[3]:
        return False
    return buffer.startswith(b'{"type":"update"', 4)


def masked(text: bytes) -> bytes:
    """A text as a client's frame, under a mask of zeros."""
    size = len(text)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + text


def send_latencies(
    result: Connection, port: int, feeds_of: Sequence[Sequence[str]], seconds: float, per_s: float
) -> None:
    """`latencies_of`, as a process of its own."""
    result.send(latencies_of(port, feeds_of, seconds, per_s))


def latencies_of(port: int, feeds_of: Sequence[Sequence[str]], seconds: float, per_s: float) -> list[float]:
    """Milliseconds of every update that every client got, the first second after the last came left out.

    One client for each entry of `feeds_of`. Raises RuntimeError if a tenth of the updates did not arrive.
    """
    gc.disable()  # what is kept lasts to the end, and looking through it would be measured
    latencies: list[float] = []
    buffer = bytearray(_READ_BYTES)
    with selectors.DefaultSelector() as selector:
        for feeds in feeds_of:
            client = Client(port, feeds)
            selector.register(client.socket, selectors.EVENT_READ, client)
            _read(selector, 0.0, buffer)  # who came before must not be found deaf
        since = time.time() + 1.0
        while (now := time.time()) < since + seconds:
            for told_at, read_at in _read(selector, since + seconds - now, buffer):
                if read_at > since:
                    latencies.append((read_at - told_at) * 1000)
        for key in selector.get_map().values():
            key.data.socket.close()
    expected = len(feeds_of) * per_s * seconds
    if len(latencies) < 0.9 * expected:
        raise RuntimeError(f"only {len(latencies)} of {expected:.0f} updates arrived")
    return latencies


def _read(selector: selectors.BaseSelector, within_s: float, buffer: bytearray) -> list[tuple[float, float]]:
    """Read whoever has been told something: the times of the passes, and when each was read."""
    found = []
    for key, _ in selector.select(within_s):
        client: Client = key.data
        size = client.socket.recv_into(buffer)
        if not size:
            raise RuntimeError("a client was cut off")
        told_at = client.told_at(buffer, size)
        if told_at:
            found.append((told_at, time.time()))
    return found
