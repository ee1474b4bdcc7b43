"""Recorded candles as a market: a file through the venue simulator, in this process."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog

from chrono.errors import ChronoError
from core.markets import Opened, simulator_urls
from core.simulation import run_simulator
from core.simulator.candles import Candles, open_candles
from core.simulator.faults import FaultBoard
from core.simulator.replay import CandleMarket, ReplayProgress
from core.supervisor import Supervisor

log = structlog.get_logger()


class NothingToReplay(ChronoError):
    """A file of candles has no row that can be replayed."""


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
        legs = tuple(map(str, self.market.legs))
        return Opened(simulator_urls(await ready), legs)

    def progress(self, at: float) -> ReplayProgress | None:
        """How far the replay is; None before it is open."""
        return None if self.market is None else self.market.progress(at)
