"""The stream at full load: 500 clients, 63 feeds, 5 passes a second, clients in a process of their own.

Measures from the time of a pass to the moment its whole update is in a client's hands. The baseline is a bare
broadcast loop on the same sockets: one frame of the same size, made once, written to every transport.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import orjson
import uvloop
from prometheus_client import CollectorRegistry

from core.api.app import create_api
from core.api.server import serve
from core.messages import decode_pass
from tests.fakes.services import World, encoded_at

CLIENTS = 500
PASSES_PER_S = 5.0
TARGET_MS = 50.0
_STAMP_BYTES = 120
"""In so many bytes of an update its time stands."""

_SUBSCRIBE = b'{"op":"subscribe","feeds":["*"]}'


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: p99 and median of both, Chrono's beside the bare loop's."""
    clients, seconds = (100, 2.0) if quick else (CLIENTS, 10.0)
    bare = _measure(_bare_server, clients, seconds)
    ours = _measure(_chrono_server, clients, seconds)
    name = f"estimate to socket, {clients} clients x 63 feeds x {PASSES_PER_S:.0f}/s"
    return [
        {
            "name": f"{name}, {label}",
            "figure": round(_at(ours, share), 2),
            "unit": "ms",
            "baseline": round(_at(bare, share), 2),
            "baseline_name": "bare broadcast of one frame",
            "ratio": round(_at(bare, share) / _at(ours, share), 2),
            "target": TARGET_MS if label == "p99" else None,
        }
        for label, share in (("p99", 0.99), ("p50", 0.50))
    ]


def _at(latencies: list[float], share: float) -> float:
    return statistics.quantiles(latencies, n=1000, method="inclusive")[round(share * 1000) - 1]


def _measure(server: Callable[[Connection], None], clients: int, seconds: float) -> list[float]:
    """Latencies in ms of every update that every client got, the first second left out."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    results, results_end = spawn.Pipe()
    serving = spawn.Process(target=server, args=(theirs,))
    serving.start()
    try:
        port = ours.recv()
        asking = spawn.Process(target=_clients, args=(results_end, port, clients, seconds))
        asking.start()
        if not results.poll(seconds + 30):
            raise TimeoutError("the clients gave no result")
        latencies: list[float] = results.recv()
        asking.join(5)
        return latencies
    finally:
        ours.send("stop")
        serving.join(10)


# Servers


def _chrono_server(control: Connection) -> None:
    async def main() -> None:
        world = World(registry=CollectorRegistry())
        services = world.services()
        object.__setattr__(services, "clock", time.time)
        stop = asyncio.Event()
        _on_stop(control, stop)
        async with asyncio.TaskGroup() as group:
            group.create_task(serve(create_api(services), "127.0.0.1", 0, stop, started=control.send))
            group.create_task(_passes(world.bus.publish, stop))

    uvloop.run(main())


async def _passes(publish: Callable[[bytes], object], stop: asyncio.Event) -> None:
    sequence = 0
    started = time.monotonic()
    while not stop.is_set():
        sequence += 1
        at = time.time()
        await publish(encoded_at(at, sequence))
        await asyncio.sleep(max(0.0, started + sequence / PASSES_PER_S - time.monotonic()))


class _Bare(asyncio.Protocol):
    """Answers any request with 101 and is then written to."""

    def __init__(self, transports: list[asyncio.Transport]) -> None:
        self._transports = transports
        self._greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if not self._greeted and data.startswith(b"GET"):
            self._greeted = True
            self._transport.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
            self._transports.append(self._transport)


def _bare_server(control: Connection) -> None:
    async def main() -> None:
        transports: list[asyncio.Transport] = []
        stop = asyncio.Event()
        _on_stop(control, stop)
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Bare(transports), "127.0.0.1", 0)
        control.send(server.sockets[0].getsockname()[1])

        async def broadcast(frame: bytes) -> None:
            for transport in transports:
                if not transport.is_closing():
                    transport.write(frame)

        async def publish(message: bytes) -> None:
            decoded = decode_pass(message)
            head = orjson.dumps({"type": "update", "previous": 1, "at": decoded.at})[:-1]
            body = head + b',"prices":[' + b",".join(decoded.fragments.values()) + b"]}"
            await broadcast(b"\x81\x7e" + len(body).to_bytes(2, "big") + body)

        await _passes(publish, stop)
        server.close()

    uvloop.run(main())


def _on_stop(control: Connection, stop: asyncio.Event) -> None:
    asyncio.get_running_loop().add_reader(control.fileno(), stop.set)


# Clients


class _Client(asyncio.Protocol):
    """Takes frames without keeping them: the time of the pass stands in the first bytes of each.

    As cheap as can be, because 500 of them share a core: a client that copies and parses would be measured
    in the place of the server.
    """

    def __init__(self, latencies: list[float], since: list[float]) -> None:
        self._latencies = latencies
        self._since = since
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
        self._transport.write(bytes([0x81, 0x80 | len(_SUBSCRIBE), 0, 0, 0, 0]) + _SUBSCRIBE)
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


def _clients(result: Connection, port: int, count: int, seconds: float) -> None:
    async def main() -> None:
        latencies: list[float] = []
        since = [float("inf")]
        loop = asyncio.get_running_loop()
        for start in range(0, count, 50):
            connecting = [
                loop.create_connection(lambda: _Client(latencies, since), "127.0.0.1", port)
                for _ in range(min(50, count - start))
            ]
            await asyncio.gather(*connecting)
        since[0] = time.time() + 1.0
        await asyncio.sleep(1.0 + seconds)
        expected = count * PASSES_PER_S * seconds
        if len(latencies) < 0.9 * expected:
            raise RuntimeError(f"only {len(latencies)} of {expected:.0f} updates arrived")
        result.send(latencies)

    uvloop.run(main())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
