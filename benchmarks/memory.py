"""Memory of the core and of a collector through 20 minutes of a simulated market at ten times the live pace.

Every part is real and in a process of its own: simulated venues, a collector that asks ten times as often as
the default pace (its own bounds on requests and the venues' widened as much), signed batches over HTTP, the
core, PostgreSQL. Resident memory is read each second and plotted. Before, the same parts run for a while at
the live pace, so that the factor that was reached stands in the first row: a busy machine does not reach ten.

Some growth is meant. The core remembers the last 16,384 batches, at 200 bytes each, and an hour of volumes,
whose 2.3 MB are touched bucket by bucket: both end, after an hour at the live pace. The bound on the slope
allows for them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import httpx
import numpy as np
import psutil
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.servers import migrated_server
from chrono.feeds import VENUES
from chrono.polling import Pace
from chrono.venues import VENUE_ADAPTERS
from core.collect import collect
from core.keys import LocalSigner
from core.lifecycle import stop_on_signals
from core.log import configure_logging
from core.markets import simulator_urls
from core.simulator.app import build_simulator
from core.simulator.faults import FaultBoard
from core.simulator.market import RandomMarket
from core.simulator.server import serve
from tests.served_core import ServedCore, served_core

MINUTES = 20.0
QUICK_MINUTES = 0.5
FACTOR = 10
ASKED = 13
"""How often a fast collector wants to ask, in live paces: the time of a turn comes on top of its pauses, so
that 10 would come to 9."""
LIVE_S = 30.0
"""A collector has read what it finds of old trades of every leg after 25 s; then it is measured as long."""
SAMPLE_S = 1.0
WARM_S = 5.0
SLOPE_MB_H = 15.0
PLOT = Path(__file__).parent / "artifacts" / "memory.png"


@dataclass
class Curve:
    """Resident megabytes of a process, one a second."""

    name: str
    pid: int
    mb: list[float] = field(default_factory=list)

    @property
    def slope_mb_h(self) -> float:
        """Of the straight line through the last half."""
        half = self.mb[len(self.mb) // 2 :]
        return float(np.polyfit(np.arange(len(half)) * SAMPLE_S / 3600, half, 1)[0])

    @property
    def quarters(self) -> tuple[float, float]:
        """Means of the first and of the last quarter."""
        size = max(1, len(self.mb) // 4)
        return float(np.mean(self.mb[:size])), float(np.mean(self.mb[-size:]))


@dataclass(frozen=True)
class Rates:
    """What goes through, a second."""

    requests: float
    ticks: float


def run(quick: bool = False, minutes: float | None = None) -> list[dict[str, object]]:
    """Rows of the table: slope and growth of each process. `quick` is half a minute, to see that it works."""
    wanted = minutes or (QUICK_MINUTES if quick else MINUTES)
    curves, live, fast = asyncio.run(_measure(wanted * 60, LIVE_S / (6 if quick else 1)))
    plot(curves, fast)
    rate: dict[str, object] = {
        "name": f"memory: requests to venues, with {fast.ticks:,.0f} ticks/s (live {live.ticks:,.0f})",
        "figure": round(fast.requests, 1),
        "unit": "/s",
        "baseline": round(live.requests, 1),
        "baseline_name": "at the live pace",
        "ratio": round(fast.requests / live.requests, 2),
        "target": f">= {FACTOR}x",
    }
    return [rate, *(row for curve in curves for row in _rows(curve, f"{wanted:g} min"))]


def _rows(curve: Curve, span: str) -> list[dict[str, object]]:
    first, last = curve.quarters
    slope: dict[str, object] = {
        "name": f"memory of the {curve.name}, slope of the last half of {span}",
        "figure": round(curve.slope_mb_h, 2),
        "unit": "MB/h",
        "baseline": None,
        "baseline_name": None,
        "ratio": None,
        "target": f"< {SLOPE_MB_H:.0f} MB/h",
    }
    growth: dict[str, object] = {
        "name": f"memory of the {curve.name}, last quarter of {span}",
        "figure": round(last, 1),
        "unit": "MB",
        "baseline": round(first, 1),
        "baseline_name": "its first quarter",
        "ratio": round(last / first, 3),
        "target": "<= 1.1x",
    }
    return [slope, growth]


def plot(curves: list[Curve], rates: Rates) -> None:
    """The curves as a picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(9, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for curve in curves:
        minutes = np.arange(len(curve.mb)) * SAMPLE_S / 60
        axes.plot(minutes, curve.mb, label=f"{curve.name}: {curve.slope_mb_h:+.1f} MB/h in the last half")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes")
    axes.set_ylabel("resident MB")
    axes.set_title(f"{rates.requests:.0f} requests/s, {rates.ticks:,.0f} ticks/s")
    axes.grid(alpha=0.3)
    axes.legend()
    PLOT.parent.mkdir(exist_ok=True)
    figure.savefig(PLOT, dpi=110)


async def _measure(seconds: float, live_s: float) -> tuple[list[Curve], Rates, Rates]:
    signer = LocalSigner.of(Ed25519PrivateKey.generate())
    with tempfile.TemporaryDirectory(prefix="chrono-bench-") as name:
        async with (
            migrated_server() as dsn,
            _simulator() as venues,
            served_core(Path(name), dsn, [signer]) as core,
            httpx.AsyncClient(trust_env=False) as client,
        ):
            async with _collector(core.url, venues, signer, 1):
                await asyncio.sleep(live_s)
                live = await _rates(client, core, venues, live_s)
            async with _collector(core.url, venues, signer, ASKED) as collector:
                await asyncio.sleep(WARM_S)
                assert collector.pid is not None
                curves = [Curve("core", core.pid), Curve("collector", collector.pid)]
                sampling = asyncio.create_task(_sample(curves, seconds))
                fast = await _rates(client, core, venues, seconds)
                await sampling
    return curves, live, fast


async def _sample(curves: list[Curve], seconds: float) -> None:
    processes = [psutil.Process(curve.pid) for curve in curves]
    began = time.monotonic()
    for turn in range(int(seconds / SAMPLE_S)):
        for curve, process in zip(curves, processes, strict=True):
            curve.mb.append(process.memory_info().rss / 2**20)
        if turn % 60 == 59:
            told = ", ".join(f"{curve.name} {curve.mb[-1]:.1f} MB" for curve in curves)
            print(f"memory: minute {(turn + 1) // 60}: {told}", file=sys.stderr, flush=True)
        await asyncio.sleep(max(0.0, began + (turn + 1) * SAMPLE_S - time.monotonic()))


async def _rates(client: httpx.AsyncClient, core: ServedCore, venues: int, seconds: float) -> Rates:
    before, began = await _totals(client, core, venues), time.monotonic()
    await asyncio.sleep(seconds)
    after, took_s = await _totals(client, core, venues), time.monotonic() - began
    return Rates(*((now - then) / took_s for now, then in zip(after, before, strict=True)))


async def _totals(client: httpx.AsyncClient, core: ServedCore, venues: int) -> tuple[float, float]:
    """Requests to all venues and ticks committed, since their processes' start."""
    requests = sum((await client.get(f"http://127.0.0.1:{venues}/_requests")).json().values())
    lines = (await client.get(f"{core.url}/metrics")).text.splitlines()
    ticks = next(line for line in lines if line.startswith("chrono_ingest_ticks_total "))
    return requests, float(ticks.rpartition(" ")[2])


# The processes


@asynccontextmanager
async def _simulator() -> AsyncIterator[int]:
    """The port of the venues."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    async with _process(_simulate, theirs):
        yield await asyncio.to_thread(ours.recv)


@asynccontextmanager
async def _collector(
    core_url: str, venues: int, signer: LocalSigner, factor: int
) -> AsyncIterator[BaseProcess]:
    key = signer.private_key.private_bytes_raw()
    async with _process(_collect, core_url, venues, key, factor) as process:
        yield process


@asynccontextmanager
async def _process(target: Callable[..., None], *arguments: object) -> AsyncIterator[BaseProcess]:
    process = multiprocessing.get_context("spawn").Process(target=target, args=arguments, daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.terminate()
        await asyncio.to_thread(process.join, 10)


def _simulate(ready: Connection) -> None:
    configure_logging("simulator", "WARNING", "text")

    async def main() -> None:
        app = build_simulator(RandomMarket(1), time.time, FaultBoard(), limit_factor=2.0 * ASKED)
        async with stop_on_signals() as stop:
            await serve(app, 0, stop, ready.send)

    uvloop.run(main())


def _collect(core_url: str, venues: int, key: bytes, factor: int) -> None:
    configure_logging("collector", "ERROR", "text")
    pace = Pace()
    pace = replace(
        pace,
        ticker_interval_s=pace.ticker_interval_s / factor,
        trade_interval_s=(pace.trade_interval_s or 0.25) / factor,
        in_flight_max=pace.in_flight_max * (1 if factor == 1 else 2),
        in_flight_per_venue=pace.in_flight_per_venue * (1 if factor == 1 else 2),
    )
    adapters = {
        venue: replace(adapter, limit=replace(adapter.limit, weight=adapter.limit.weight * factor))
        for venue, adapter in VENUE_ADAPTERS.items()
    }

    async def main() -> None:
        async with stop_on_signals() as stop:
            await collect(
                core_url=core_url,
                signer=LocalSigner.of(Ed25519PrivateKey.from_private_bytes(key)),
                stop=stop,
                venues=VENUES,
                base_urls=simulator_urls(venues),
                pace=pace,
                adapters=adapters,
            )

    uvloop.run(main())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES)
    for row in run(minutes=parser.parse_args().minutes):
        print(json.dumps(row))
