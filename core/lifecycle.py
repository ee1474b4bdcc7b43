"""How a process of Chrono ends: by SIGTERM, by SIGINT, or because its supervisor is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from typing import Final

PARENT_CHECK_S: Final = 1.0
SUPERVISED_BY: Final = "CHRONO_SUPERVISED_BY"


@contextlib.asynccontextmanager
async def stop_on_signals() -> AsyncIterator[asyncio.Event]:
    """An event that is set by SIGTERM or SIGINT, and by the supervisor's death if there is one.

    A supervised process leaves SIGINT to its supervisor, which stops all of them in their order.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    supervisor = os.environ.get(SUPERVISED_BY)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, (lambda: None) if supervisor else stop.set)
    watch = asyncio.create_task(_watch_parent(int(supervisor), stop)) if supervisor else None
    try:
        yield stop
    finally:
        if watch is not None:
            watch.cancel()
        loop.remove_signal_handler(signal.SIGTERM)
        loop.remove_signal_handler(signal.SIGINT)


async def _watch_parent(supervisor: int, stop: asyncio.Event) -> None:
    while os.getppid() == supervisor:
        await asyncio.sleep(PARENT_CHECK_S)
    stop.set()
