"""`/v1/prices` at 500 requests a second, the load from a process of its own.

Asked without limits as from the core's own machine, then with keys of ten accounts, whose limits are kept in
the process or in a real Redis. The baseline is a bare Starlette route that returns the same bytes, prebuilt,
on plain uvicorn.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.load import Answers, Schedule, asked, latency_row
from core.api.app import create_api
from core.api.current import CurrentPrices
from core.api.gate import Gateway
from core.api.server import serve
from core.gateway.callers import Places
from core.gateway.entrance import Entrance
from core.gateway.keys import DEFAULT_SCOPES, ApiKey, NewKey, make_key
from core.gateway.limiter import LocalLimiter
from core.gateway.meter import Meter
from core.gateway.tiers import Tier
from core.shared_limits import SharedLimiter
from tests.fakes.accounts import FakeAccounts
from tests.fakes.services import NOW, World, message_at
from tests.redis_server import RedisServer, redis_binary

RATE_PER_S = 500
CONNECTIONS = 32
PASSES_PER_S = 5.0
TARGET_MS = 5.0
KEYS = [make_key(bytes([number]) * 40) for number in range(10)]
"""One account would be over its limit."""
_REQUEST = b"GET /v1/prices HTTP/1.1\r\nHost: chrono\r\n\r\n"


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: p95 and median of the route beside the bare one's, then those of guarded ones."""
    seconds = 2.0 if quick else 10.0
    bare = _measure(_bare_server, seconds)
    rows = _rows("/v1/prices", _measure(_chrono_server, seconds), bare)
    rows += _rows("/v1/prices with keys", _measure(_guarded_server, seconds, None, keys=KEYS), bare)
    binary = redis_binary()
    if binary is None:
        print("rest: no Redis server here, limits of Redis are left out", file=sys.stderr)
        return rows
    with tempfile.TemporaryDirectory(prefix="chrono-bench-") as folder:
        redis = RedisServer(binary, Path(folder))
        redis.start()
        try:
            shared = _measure(_guarded_server, seconds, redis.url, keys=KEYS)
        finally:
            redis.kill()
    return rows + _rows("/v1/prices with keys, limits in Redis", shared, bare)


def _rows(name: str, ours: list[float], bare: list[float]) -> list[dict[str, object]]:
    full, baseline = f"{name} at {RATE_PER_S} requests/s", "bare Starlette route with prebuilt bytes"
    return [
        latency_row(full, ours, bare, part, baseline_name=baseline, target_ms=target)
        for part, target in ((0.95, TARGET_MS), (0.50, None))
    ]


def _measure(
    server: Callable[..., None], seconds: float, *words: object, keys: Sequence[NewKey] = ()
) -> list[float]:
    """Latencies in ms, the first second left out. Every answer must be a 200."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    results, results_end = spawn.Pipe()
    requests = [_REQUEST.replace(b"\r\n\r\n", f"\r\nX-API-Key: {key.text}\r\n\r\n".encode()) for key in keys]
    serving = spawn.Process(target=server, args=(theirs, *words))
    serving.start()
    try:
        asking = spawn.Process(target=_load, args=(results_end, ours.recv(), seconds, requests or [_REQUEST]))
        asking.start()
        if not results.poll(seconds + 30):
            raise TimeoutError("the load gave no result")
        answers: Answers = results.recv()
        asking.join(5)
        if set(answers.statuses) != {200}:
            raise RuntimeError(f"statuses: {answers.statuses}")
        return answers.ms[RATE_PER_S:]
    finally:
        ours.send("stop")
        serving.join(10)


# Servers


def _chrono_server(control: Connection, guard: Callable[[], Gateway] | None = None) -> None:
    async def main() -> None:
        world = World(now=time.time())
        stop = _stop_on(control)
        message = message_at(world.now)

        async def estimate() -> None:
            nonlocal message
            sequence = 0
            while not stop.is_set():
                sequence += 1
                world.now = time.time()
                message = message_at(world.now, sequence)
                await asyncio.sleep(1 / PASSES_PER_S)

        async with asyncio.TaskGroup() as group:
            group.create_task(estimate())
            gateway = None if guard is None else guard()
            services = replace(world.services(), last_pass=lambda: message)
            app = create_api(services if gateway is None else replace(services, gateway=gateway))
            group.create_task(serve(app, "127.0.0.1", 0, stop, started=control.send))

    uvloop.run(main())


def _guarded_server(control: Connection, redis_url: str | None) -> None:
    """Loopback is limited as everybody is; each key is of an account of its own."""

    def guard() -> Gateway:
        limiter = (
            LocalLimiter(time.time)
            if redis_url is None
            else SharedLimiter(redis_url, CollectorRegistry(), time.time)
        )
        entrance = Entrance(limiter=limiter, meter=Meter(lambda: bytes(16)), clock=time.time)
        entrance.learn(
            ApiKey(key.prefix, key.digest, key.prefix, Tier.PREMIUM, "load", DEFAULT_SCOPES, time.time())
            for key in KEYS
        )
        return Gateway(entrance, FakeAccounts(), Places(("192.0.2.0/24",)), random.randbytes)

    _chrono_server(control, guard)


def _bare_server(control: Connection) -> None:
    body = CurrentPrices(message_at, lambda: NOW).body(tuple(message_at().fragments))

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


def _load(result: Connection, port: int, seconds: float, requests: list[bytes]) -> None:
    answers = uvloop.run(asked(port, Schedule(requests, RATE_PER_S, 1 + seconds, CONNECTIONS)))
    result.send(answers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
