"""The venue simulator as a process: its clock, its faults and its port."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from chrono.feeds import VENUES
from core.simulator.app import build_simulator
from core.simulator.faults import Fault, FaultBoard
from core.simulator.market import RandomMarket
from core.simulator.server import serve
from core.simulator.source import MarketSource

LIMIT_FACTOR: Final = 10.0
"""Venues' limits are wider here: a test may collect faster than anyone may live."""

log = structlog.get_logger()


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
