"""The stream at full load: 500 clients, 63 feeds, 5 passes a second, clients in a process of their own.

Measures from the time of a pass to the moment its whole update is in a client's hands. The baseline is a bare
broadcast loop on the same sockets: one frame of the same size, made once, written to every transport.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import orjson
import uvloop
from prometheus_client import CollectorRegistry

from benchmarks.load import latency_row
from benchmarks.stream_clients import send_latencies
from core.api.app import create_api
from core.api.server import serve
from core.messages import decode_pass
from tests.fakes.services import World, encoded_at

CLIENTS = 500
PASSES_PER_S = 5.0
TARGET_MS = 50.0


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: p99 and median of both, Chrono's beside the bare loop's."""
    clients, seconds = (100, 2.0) if quick else (CLIENTS, 10.0)
    bare = _measure(_bare_server, clients, seconds)
    ours = _measure(_chrono_server, clients, seconds)
    name = f"estimate to socket, {clients} clients x 63 feeds x {PASSES_PER_S:.0f}/s"
    baseline = "bare broadcast of one frame"
    return [
        latency_row(name, ours, bare, part, baseline_name=baseline, target_ms=target)
        for part, target in ((0.99, TARGET_MS), (0.50, None))
    ]


def _measure(server: Callable[[Connection], None], clients: int, seconds: float) -> list[float]:
    """Latencies in ms of every update that every client got, the first second left out."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    results, results_end = spawn.Pipe()
    serving = spawn.Process(target=server, args=(theirs,))
    serving.start()
    try:
        port = ours.recv()
        asks = (results_end, port, [["*"]] * clients, seconds, PASSES_PER_S)
        asking = spawn.Process(target=send_latencies, args=asks)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
