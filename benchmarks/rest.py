"""`/v1/prices` at 500 requests a second, the load from a process of its own.

Requests leave on a fixed schedule whether or not answers are back, so that a slow answer cannot slow the
questions; a request's time begins when it was due, but where the load itself came too late for it. The
baseline is a bare Starlette route that returns the same bytes, prebuilt, on the same server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.api.app import create_api
from core.api.current import CurrentPrices
from core.api.server import serve
from tests.fakes.services import World, estimates_at, message_at

RATE_PER_S = 500
CONNECTIONS = 32
PASSES_PER_S = 5.0
TARGET_MS = 5.0
_REQUEST = b"GET /v1/prices HTTP/1.1\r\nHost: chrono\r\n\r\n"


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: p95 and median of the route, beside the bare one's."""
    seconds = 2.0 if quick else 10.0
    bare = _measure(_bare_server, seconds)
    ours = _measure(_chrono_server, seconds)
    return [
        {
            "name": f"/v1/prices at {RATE_PER_S} requests/s, {label}",
            "figure": round(_at(ours, share), 3),
            "unit": "ms",
            "baseline": round(_at(bare, share), 3),
            "baseline_name": "bare Starlette route with prebuilt bytes",
            "ratio": round(_at(bare, share) / _at(ours, share), 2),
            "target": TARGET_MS if label == "p95" else None,
        }
        for label, share in (("p95", 0.95), ("p50", 0.50))
    ]


def _at(latencies: list[float], share: float) -> float:
    return statistics.quantiles(latencies, n=1000, method="inclusive")[round(share * 1000) - 1]


def _measure(server: Callable[[Connection], None], seconds: float) -> list[float]:
    """Latencies in ms, the first second left out."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    results, results_end = spawn.Pipe()
    serving = spawn.Process(target=server, args=(theirs,))
    serving.start()
    try:
        asking = spawn.Process(target=_load, args=(results_end, ours.recv(), seconds))
        asking.start()
        if not results.poll(seconds + 30):
            raise TimeoutError("the load gave no result")
        latencies: list[float] = results.recv()
        asking.join(5)
        return latencies
    finally:
        ours.send("stop")
        serving.join(10)


# Servers


def _chrono_server(control: Connection) -> None:
    async def main() -> None:
        world = World(now=time.time())
        stop = _stop_on(control)

        async def estimate() -> None:
            sequence = 0
            while not stop.is_set():
                sequence += 1
                world.now = time.time()
                world.estimates = estimates_at(world.now, sequence)
                await asyncio.sleep(1 / PASSES_PER_S)

        async with asyncio.TaskGroup() as group:
            group.create_task(estimate())
            app = create_api(world.services())
            group.create_task(serve(app, "127.0.0.1", 0, stop, started=control.send))

    uvloop.run(main())


def _bare_server(control: Connection) -> None:
    body = CurrentPrices(World().services()).body(tuple(message_at().fragments))

    async def prices(_: Request) -> Response:
        return Response(body, media_type="application/json")

    async def main() -> None:
        stop = _stop_on(control)
        app = Starlette(routes=[Route("/v1/prices", prices)])
        config = uvicorn.Config(app, port=0, http="httptools", access_log=False, log_config=None)
        server = uvicorn.Server(config)
        listener = config.bind_socket()
        listener.listen(128)
        serving = asyncio.create_task(server.serve([listener]))
        control.send(listener.getsockname()[1])
        await stop.wait()
        server.should_exit = True
        await serving

    uvloop.run(main())


def _stop_on(control: Connection) -> asyncio.Event:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_reader(control.fileno(), stop.set)
    return stop


# The load


class _Asker(asyncio.Protocol):
    """One kept connection: asks, and knows when the whole answer is there."""

    def __init__(self) -> None:
        self._left = 0
        self._buffer = b""
        self.answered: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def ask(self) -> asyncio.Future[None]:
        self.answered = asyncio.get_running_loop().create_future()
        self._transport.write(_REQUEST)
        return self.answered

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._buffer += data
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._left, self._buffer = int(length) - len(rest), b""
        if self._left == 0 and self.answered and not self.answered.done():
            self.answered.set_result(None)


def _load(result: Connection, port: int, seconds: float) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        idle: asyncio.Queue[_Asker] = asyncio.Queue()
        for _ in range(CONNECTIONS):
            _, asker = await loop.create_connection(_Asker, "127.0.0.1", port)
            idle.put_nowait(asker)
        latencies: list[float] = []

        async def ask(due: float) -> None:
            """Latency from when the request was due: waiting for a free connection counts."""
            asker = await idle.get()
            await asker.ask()
            latencies.append((time.perf_counter() - due) * 1000)
            idle.put_nowait(asker)

        asking: set[asyncio.Task[None]] = set()
        started = time.perf_counter()
        for number in range(int(RATE_PER_S * (1 + seconds))):
            due = started + number / RATE_PER_S
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            task = asyncio.create_task(ask(max(due, time.perf_counter() - 0.001)))
            asking.add(task)
            task.add_done_callback(asking.discard)
        await asyncio.gather(*asking)
        result.send(latencies[RATE_PER_S:])

    uvloop.run(main())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
