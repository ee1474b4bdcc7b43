"""The Worker in real workerd: its cold start, and the CPU, wall time and memory of its cycles.

Venues and core stand in a process of their own, so that the CPU that is measured is the runtime's: the
Worker's Python, and workerd's own part in each request. Beside it the same station on CPython, with httpx.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import httpx
import psutil

from chrono.fetch import fetch, post_batch
from chrono.http import Answer, Failure
from chrono.venues.adapter import Request
from core.keys import LocalSigner
from infra.edge.prepare import Prepared, Unavailable, prepare
from station.backlog import Backlog
from station.config import Config, read_config
from station.cycle import Station
from tests.edge.test_station import WRANGLER
from tests.edge.workerd import Workerd, running
from tests.edge.world import Key, World, simulated_venues
from tests.loopback import Asked, response, serving

INTERVAL_S = 1.0
FREE_PLAN = "< 10 ms"
SNAPSHOT = "snapshot.bin"


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table; one that says why, where workerd cannot run."""
    try:
        prepared = prepare()
    except Unavailable as error:
        return [{"name": f"edge: skipped, {error}", "figure": None, "unit": "", "baseline": None}]
    starts, seconds = (1, 6.0) if quick else (5, 60.0)
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    outside = spawn.Process(target=_outside, args=(theirs,))
    outside.start()
    try:
        venue_url, core_url = ours.recv()
        return asyncio.run(_measure(prepared, venue_url, core_url, starts, seconds))
    finally:
        ours.send("stop")
        outside.join(10)


async def _measure(
    prepared: Prepared, venue_url: str, core_url: str, starts: int, seconds: float
) -> list[dict[str, object]]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bare = [await _cold_start(prepared, venue_url, core_url) for _ in range(starts)]
        await _cold_start(
            _with(prepared, folder, f"--python-save-snapshot {_kept(folder)}"), venue_url, core_url
        )
        restored = _with(prepared, folder, f"--python-load-snapshot={SNAPSHOT} {_kept(folder)}")
        quick = [await _cold_start(restored, venue_url, core_url) for _ in range(starts)]
        snapshot_mib = (folder / SNAPSHOT).stat().st_size / 2**20
    async with _worker(prepared, venue_url, core_url) as worker:
        cycles = await _cycles_in_workerd(worker, seconds)
    plain = await _cycles_on_cpython(venue_url, core_url, 5 if seconds < 10 else 30)
    share = "of the two groups, mean"
    return [
        _row(
            f"edge: workerd's cold start to the first answer, snapshot of {snapshot_mib:.0f} MiB",
            statistics.median(quick),
            "ms",
            statistics.median(bare),
            baseline_name="without a snapshot",
        ),
        _row(f"edge: CPU of a cycle {share}", cycles["cpu_ms"], "ms", plain["cpu_ms"], FREE_PLAN),
        _row(f"edge: wall time of a cycle {share}", cycles["wall_ms"], "ms", plain["wall_ms"]),
        _row("edge: bytes from venues a cycle, both groups", cycles["bytes_in"] / 1024, "KiB", None),
        _row("edge: subrequests of a cycle, most", cycles["subrequests"], "", None),
        _row("edge: memory of workerd", cycles["rss_mib"], "MiB", None),
    ]


def _row(
    name: str,
    figure: float,
    unit: str,
    baseline: float | None,
    target: str | None = None,
    *,
    baseline_name: str = "the same station on CPython with httpx",
) -> dict[str, object]:
    return {
        "name": name,
        "figure": round(figure, 1),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 1),
        "baseline_name": None if baseline is None else baseline_name,
        "ratio": None if not baseline else round(baseline / figure, 2),
        "target": target,
    }


async def _cold_start(prepared: Prepared, venue_url: str, core_url: str) -> float:
    """Milliseconds from the start of workerd's process to its first answer."""
    async with _worker(prepared, venue_url, core_url) as worker:
        answer = await worker.web.get("/nothing")
        answered_at = time.time()
        assert answer.status_code == 404, answer.text
        return (answered_at - _workerd_of(worker).create_time()) * 1000


def _with(prepared: Prepared, folder: Path, arguments: str) -> Prepared:
    """The same, with more arguments for workerd."""
    wrapper = folder / f"workerd-{len(arguments)}"
    wrapper.write_text(f'#!/bin/sh\nexec "{prepared.workerd}" "$@" {arguments}\n', "utf-8")
    wrapper.chmod(0o755)
    return replace(prepared, workerd=wrapper)


def _kept(folder: Path) -> str:
    return f"--python-snapshot-dir={folder}"


def _workerd_of(worker: Workerd) -> psutil.Process:
    children = psutil.Process(worker.process.pid).children(recursive=True)
    return next(child for child in children if "workerd" in child.name())


@asynccontextmanager
async def _worker(prepared: Prepared, venue_url: str, core_url: str) -> AsyncIterator[Workerd]:
    key = Key()
    world = World(venue_url, core_url, None, None, key)  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        async with running(
            prepared,
            Path(folder),
            variables={"INTERVAL_S": INTERVAL_S},
            secrets={"COLLECTOR_KEY": key.secret},
            routes=world.routes(),
        ) as worker:
            yield worker


async def _cycles_in_workerd(worker: Workerd, seconds: float) -> dict[str, float]:
    """Means over the cycles of `seconds`, after the first ones."""
    await worker.tick_cron()
    await asyncio.sleep(5 * INTERVAL_S)
    workerd = _workerd_of(worker)
    before, cycles_before = _cpu_s(workerd), _cycles(await worker.status())
    walls: list[float] = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        await asyncio.sleep(INTERVAL_S)
    status = await worker.status()
    cycles = _cycles(status) - cycles_before
    busy = [group for group in status["groups"] if group["assigned"]]
    walls = [group["cycle"]["last"]["wall_ms"] for group in busy]
    return {
        "cpu_ms": (_cpu_s(workerd) - before) * 1000 / max(cycles, 1),
        "wall_ms": statistics.mean(walls),
        "bytes_in": sum(group["cycle"]["most"]["bytes_in"] for group in busy),
        "subrequests": max(group["cycle"]["most"]["subrequests"] for group in busy),
        "rss_mib": workerd.memory_info().rss / 2**20,
    }


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _cycles(status: dict[str, Any]) -> int:
    return sum(int(group["cycles"]) for group in status["groups"])


async def _cycles_on_cpython(venue_url: str, core_url: str, count: int) -> dict[str, float]:
    """The same, in this process: what both groups take, one after the other."""
    config = read_config({**WRANGLER["vars"], "INTERVAL_S": INTERVAL_S, "CORE_URL": core_url})
    signer = LocalSigner.of(Key().private)
    async with httpx.AsyncClient(trust_env=False) as client:
        stations = [
            await _station(config, slot, client, venue_url=venue_url, core_url=core_url, signer=signer)
            for slot, group in enumerate(config.groups)
            if group.venues
        ]
        for station in stations:
            await station.run()
        cpu, walls = 0.0, []
        for _ in range(count):
            await asyncio.sleep(INTERVAL_S)
            for station in stations:
                began = time.process_time()
                await station.run()
                cpu += time.process_time() - began
                walls.append(station.last.wall_ms)
    return {"cpu_ms": cpu * 1000 / (count * len(stations)), "wall_ms": statistics.mean(walls)}


async def _station(
    config: Config,
    slot: int,
    client: httpx.AsyncClient,
    *,
    venue_url: str,
    core_url: str,
    signer: LocalSigner,
) -> Station:
    async def ask(_base_url: str, request: Request) -> Answer | Failure:
        return await fetch(client, f"{venue_url}/{request.venue}", request, config.timeout_s)

    async def post(sealed: bytes) -> Answer | Failure:
        return await post_batch(client, f"{core_url}/ingest", sealed, config.post_timeout_s)

    storage = _Memory()
    backlog = Backlog(
        slot=slot,
        config=config,
        storage=storage,
        overflow=_NoQueue(),
        keys=_OneKey(signer),
        post=post,
        clock=time.time,
    )
    station = Station(
        config=config, backlog=backlog, storage=storage, ask=ask, clock=time.time, random=random.random
    )
    await station.load()
    await station.assign(next(group.venues for group in config.groups if group.slot == slot))
    return station


class _Memory:
    """Storage that lasts as long as the benchmark."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    async def read(self, key: str) -> bytes | None:
        return self._values.get(key)

    async def write(self, key: str, value: bytes) -> None:
        self._values[key] = value

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self._values.pop(key, None)

    async def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self._values if key.startswith(prefix))


class _NoQueue:
    async def send(self, _sequence: int, _encoded: bytes) -> None:
        raise AssertionError("the core of a benchmark is never away")


class _OneKey:
    def __init__(self, signer: LocalSigner) -> None:
        self._signer, self.present = signer, signer.key_id

    def holds(self, key_id: bytes) -> bool:
        return key_id == self.present

    async def sign(self, _key_id: bytes, message: bytes) -> bytes:
        return await self._signer.sign(message)


def _outside(pipe: Connection) -> None:
    """Venues, and a core that takes everything."""

    async def serve() -> None:
        async def ingest(_asked: Asked) -> bytes:
            return response(b"{}")

        async with simulated_venues() as (venue_url, _), serving(ingest) as core_url:
            pipe.send((venue_url, core_url))
            while not pipe.poll():  # the parent's word ends it
                if os.getppid() == 1:
                    return
                await asyncio.sleep(0.2)

    asyncio.run(serve())


if __name__ == "__main__":
    for row in run(quick=True):
        print(row)
