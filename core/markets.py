"""Where prices come from: the venues themselves, or a simulator that stands in for them.

Each market opens right before the collector starts and says at which base URLs its venues are.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

import structlog

from chrono.errors import ChronoError
from chrono.feeds import LEGS, VENUES
from core.net import answers, free_port
from core.simulator.app import build_simulator
from core.simulator.candles import Candles, open_candles
from core.simulator.faults import Fault, FaultBoard
from core.simulator.market import RandomMarket
from core.simulator.replay import CandleMarket, ReplayProgress
from core.simulator.server import serve
from core.simulator.source import MarketSource
from core.supervisor import Child, Supervisor

SIMULATOR_GRACE_S: Final = 0.4
LIMIT_FACTOR: Final = 10.0

log = structlog.get_logger()


class NothingToReplay(ChronoError):
    """A file of candles has no row that can be replayed."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The venues' base URLs (empty: their own) and the legs to collect (empty: all)."""

    venue_urls: Mapping[str, str] = field(default_factory=dict)
    legs: tuple[str, ...] = ()


class Market(Protocol):
    """A market that can be opened once."""

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened: ...


class LiveMarket:
    """The venues themselves."""

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened:  # noqa: ARG002
        return Opened()


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """A simulator in a process of its own. `arguments` go to `chrono simulate`."""

    arguments: Sequence[str]
    environment: Mapping[str, str]

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened:  # noqa: ARG002
        port = free_port("127.0.0.1", 0)
        arguments = ["simulate", *self.arguments, "--port", str(port)]
        ready = answers(f"http://127.0.0.1:{port}/_truth")
        await supervisor.start(
            Child("simulator", arguments, self.environment, ready, grace_s=SIMULATOR_GRACE_S)
        )
        log.info("venues_simulated", url=f"http://127.0.0.1:{port}")
        return Opened(_urls(port))


@dataclass(slots=True)
class RecordedMarket:
    """Candles of a file through the simulator, in this process. `market` stands once it is open."""

    candles: Candles
    speed: float
    market: CandleMarket | None = None

    @classmethod
    def read(cls, path: Path, speed: float) -> RecordedMarket:
        """Read a file; raises CandleError, or NothingToReplay if no row of it is of a known leg."""
        candles = open_candles(path)
        for reason, count in candles.refused.items():
            log.warning("candles_refused", reason=reason, rows=count)
        if not len(candles):
            raise NothingToReplay(f"{path} has no candle of a leg in the feed table")
        return cls(candles, speed)

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened:  # noqa: ARG002
        self.market = CandleMarket(self.candles, start=time.time(), speed=self.speed)
        stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
        serving = asyncio.create_task(
            run_simulator(self.market, FaultBoard(), 0, stop, ready.set_result), name="replay-venues"
        )

        async def close() -> None:
            stop.set()
            await serving

        stack.push_async_callback(close)
        legs = tuple(str(LEGS[leg]) for leg in sorted(set(self.candles.leg.tolist())))
        return Opened(_urls(await ready), legs)

    def progress(self, at: float) -> ReplayProgress | None:
        """How far the replay is; None before it is open."""
        return None if self.market is None else self.market.progress(at)


async def run_simulator(
    source: MarketSource,
    faults: FaultBoard,
    port: int,
    stop: asyncio.Event,
    ready: Callable[[int], None],
) -> None:
    """Serve simulated venues on loopback until `stop` is set."""
    app = build_simulator(source, time.time, faults, limit_factor=LIMIT_FACTOR)
    await serve(app, port, stop, ready)


async def run_random_market(seed: int, faults: Sequence[Fault], port: int, stop: asyncio.Event) -> None:
    """Serve a random-walk market on loopback until `stop` is set."""
    board = FaultBoard()
    for fault in faults:
        board.add(fault, time.time())
    await run_simulator(RandomMarket(seed), board, port, stop, _say_ready)


def _say_ready(port: int) -> None:
    log.info("simulator_ready", url=f"http://127.0.0.1:{port}", venues=[f"/{venue}" for venue in VENUES])


def _urls(port: int) -> dict[str, str]:
    return {venue: f"http://127.0.0.1:{port}/{venue}" for venue in VENUES}
