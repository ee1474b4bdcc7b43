"""A simulator for the tests: a clock that is set by hand, a seeded market, real loopback HTTP."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from core.simulator.app import build_simulator
from core.simulator.faults import FaultBoard, Injected, parse_fault
from core.simulator.market import RandomMarket
from core.simulator.server import serve
from core.simulator.source import MarketSource

NOW = 1_790_000_000.0


@dataclass
class Simulated:
    """A running simulator. `client` speaks HTTP to it; `now` is the time it believes in."""

    client: httpx.AsyncClient
    faults: FaultBoard
    stop: asyncio.Event
    now: list[float] = field(default_factory=lambda: [NOW])

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path)

    def inject(self, text: str) -> Injected:
        return self.faults.add(parse_fault(text), self.now[0])


Run = Callable[..., Awaitable[Simulated]]


@asynccontextmanager
async def _running(source: MarketSource, limit_factor: float) -> AsyncIterator[Simulated]:
    now, faults, stop = [NOW], FaultBoard(), asyncio.Event()
    bound: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    app = build_simulator(source, lambda: now[0], faults, limit_factor=limit_factor)
    async with asyncio.TaskGroup() as group:
        group.create_task(serve(app, 0, stop, bound.set_result))
        base = f"http://127.0.0.1:{await bound}"
        async with httpx.AsyncClient(base_url=base, timeout=10, trust_env=False) as client:
            yield Simulated(client, faults, stop, now)
        stop.set()


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Starts a simulator on a free port; it is stopped when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(source: MarketSource | None = None, limit_factor: float = 1.0) -> Simulated:
            market = source or RandomMarket(7)
            return await stack.enter_async_context(_running(market, limit_factor))

        yield start


@pytest.fixture
async def simulated(run: Run) -> Simulated:
    """A simulator of the made market with generous limits."""
    return await run(limit_factor=1000.0)


@pytest.fixture
def shared() -> Path:
    """The folder of captured payloads and recorded markets; tests that need it skip without it."""
    beside = Path(__file__).parents[2].parent / "shared"
    folder = Path(os.environ.get("CHRONO_SHARED", beside))
    if not (folder / "payloads").is_dir():
        pytest.skip(f"no captured payloads in {folder}: set CHRONO_SHARED")
    return folder
