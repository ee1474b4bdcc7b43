"""Many clients of the stream in one process, as cheap as can be: they measure, and keep nothing.

A client that copies and parses would be measured in the place of the server. The time of a pass stands in the
first bytes of each update; a latency is from there to the moment the whole update is in the client's hands.
"""

from __future__ import annotations

import asyncio
import base64
import gc
import os
import time
from collections.abc import Sequence

import orjson

_STAMP_BYTES = 120
"""In so many bytes of an update its time stands."""


class Client(asyncio.Protocol):
    """Asks for its feeds and takes frames."""

    def __init__(self, latencies: list[float], since: list[float], feeds: Sequence[str]) -> None:
        self._latencies, self._since = latencies, since
        self._asks = masked(orjson.dumps({"op": "subscribe", "feeds": list(feeds)}))
        self._head = b""
        self._left = 0
        self._at = 0.0
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        key = base64.b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET /v1/stream HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if self._open and not self._left and not self._head and _is_one_update(data):
            start = data.find(b'"at":', 4, _STAMP_BYTES) + 5
            self._at = float(data[start : data.index(b",", start)])
            self._whole()
            return
        if self._open and len(data) <= self._left:
            self._left -= len(data)
            if self._left == 0:
                self._whole()
            return
        while data:
            data = self._take(data) if self._open else self._greet(data)

    def _greet(self, data: bytes) -> bytes:
        self._head += data
        _, found, rest = self._head.partition(b"\r\n\r\n")
        if not found:
            return b""
        self._open, self._head = True, b""
        self._transport.write(self._asks)
        return rest

    def _take(self, data: bytes) -> bytes:
        """Take what belongs to the present frame; returns what follows it."""
        if self._left:
            taken = min(self._left, len(data))
            self._left -= taken
            if self._left == 0:
                self._whole()
            return data[taken:]
        data, self._head = self._head + data, b""
        head = 2 if len(data) > 1 and data[1] < 126 else 4
        if len(data) < head + _STAMP_BYTES and not (head == 2 and len(data) >= head + data[1]):
            self._head = data
            return b""
        self._left = data[1] if head == 2 else int.from_bytes(data[2:4], "big")
        start = data[head : head + _STAMP_BYTES]
        is_update = start.startswith(b'{"type":"update"')
        self._at = float(start.partition(b'"at":')[2].partition(b",")[0]) if is_update else 0.0
        return data[head:]

    def _whole(self) -> None:
        now = time.time()
        if self._at and now > self._since[0]:
            self._latencies.append((now - self._at) * 1000)


def _is_one_update(data: bytes) -> bool:
    """Whether this is a whole frame with an update and nothing else, as it nearly always is."""
    if len(data) < _STAMP_BYTES or data[1] != 126 or len(data) != 4 + (data[2] << 8) + data[3]:
        return False
    return data.startswith(b'{"type":"update"', 4)


def masked(text: bytes) -> bytes:
    """A text as a client's frame, under a mask of zeros."""
    size = len(text)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    return head + bytes(4) + text


async def latencies_of(
    port: int, feeds_of: Sequence[Sequence[str]], seconds: float, per_s: float, at_once: int = 50
) -> list[float]:
    """Milliseconds of every update that every client got, the first second after the last came left out.

    One client for each entry of `feeds_of`. Raises RuntimeError if a tenth of the updates did not arrive.
    """
    gc.disable()  # what is kept lasts to the end, and looking through it would be measured
    latencies: list[float] = []
    since = [float("inf")]
    loop = asyncio.get_running_loop()
    for start in range(0, len(feeds_of), at_once):
        connecting = [
            loop.create_connection(lambda feeds=feeds: Client(latencies, since, feeds), "127.0.0.1", port)
            for feeds in feeds_of[start : start + at_once]
        ]
        await asyncio.gather(*connecting)
    since[0] = time.time() + 1.0
    await asyncio.sleep(1.0 + seconds)
    expected = len(feeds_of) * per_s * seconds
    if len(latencies) < 0.9 * expected:
        raise RuntimeError(f"only {len(latencies)} of {expected:.0f} updates arrived")
    return latencies
