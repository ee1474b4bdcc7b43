"""One group of processes: started in order, restarted when they die, stopped in the opposite order.

Knows processes and signals, nothing of what they do.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from chrono.errors import ChronoError
from core.lifecycle import SUPERVISED_BY

BACKOFF_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
STEADY_S: Final = 30.0
"""A process that lived this long begins again with the shortest back-off."""

log = structlog.get_logger()


class ChildFailed(ChronoError):
    """A process ended before it was ready; its own log says why."""

    def __init__(self, name: str, detail: str) -> None:
        self.name = name
        super().__init__(f"{name} did not start: {detail}")


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep alive. `ready` waits until it serves; `grace_s` is its time to drain on a stop.

    `descriptors` are those of open files that it inherits, under their numbers.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    ready: Callable[[], Awaitable[bool]]
    ready_within_s: float = 30.0
    grace_s: float = 2.5
    descriptors: Sequence[int] = ()


@dataclass(slots=True)
class _Running:
    child: Child
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    restarts: int = field(default=0)


class Supervisor:
    """Keeps children alive between `start` and `stop`."""

    def __init__(self) -> None:
        self._running: list[_Running] = []
        self._stopping = False

    async def start(self, child: Child) -> None:
        """Start a process and return when it is ready; raises ChildFailed. From then on it is kept alive."""
        running = _Running(child)
        self._running.append(running)
        running.process = await _spawn(child)
        ended = asyncio.create_task(running.process.wait())
        ready = asyncio.create_task(_until_ready(child))
        try:
            await asyncio.wait({ended, ready}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                raise ChildFailed(child.name, f"it ended with code {ended.result()}")
            if not ready.result():
                raise ChildFailed(child.name, f"it was not ready within {child.ready_within_s:.0f} s")
        finally:
            ready.cancel()
            ended.cancel()
        running.keeper = asyncio.create_task(self._keep(running))

    async def stop(self) -> None:
        """Stop all, the last started first: SIGTERM, time to drain, then SIGKILL."""
        self._stopping = True
        for running in reversed(self._running):
            if running.keeper is not None:
                running.keeper.cancel()
                await asyncio.gather(running.keeper, return_exceptions=True)
            await _end(running)
        self._running.clear()

    def pids(self) -> dict[str, int]:
        """The present process ids by name."""
        return {
            running.child.name: running.process.pid
            for running in self._running
            if running.process is not None
        }

    async def _keep(self, running: _Running) -> None:
        """Restart the process whenever it ends, with growing pauses, until cancelled."""
        loop = asyncio.get_running_loop()
        attempt = 0
        while running.process is not None:
            began = loop.time()
            code = await running.process.wait()
            if self._stopping:
                return
            attempt = 0 if loop.time() - began > STEADY_S else min(attempt + 1, len(BACKOFF_S) - 1)
            running.restarts += 1
            pause_s = BACKOFF_S[attempt]
            log.error("process_ended", name=running.child.name, code=code, restart_in_s=pause_s)
            await asyncio.sleep(pause_s)
            running.process = await _spawn(running.child)
            log.info("process_restarted", name=running.child.name, pid=running.process.pid)


async def _spawn(child: Child) -> asyncio.subprocess.Process:
    """In a session of its own, so that Ctrl-C reaches the supervisor only, which knows the order."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "core",
        *child.arguments,
        env={**os.environ, **child.environment, SUPERVISED_BY: str(os.getpid())},
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=child.descriptors,
    )


async def _until_ready(child: Child) -> bool:
    try:
        async with asyncio.timeout(child.ready_within_s):
            while not await child.ready():
                await asyncio.sleep(0.05)
    except TimeoutError:
        return False
    return True


async def _end(running: _Running) -> None:
    process = running.process
    if process is None or process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(running.child.grace_s):
            await process.wait()
    except TimeoutError:
        log.warning("process_killed", name=running.child.name, after_s=running.child.grace_s)
        process.kill()
        await process.wait()
