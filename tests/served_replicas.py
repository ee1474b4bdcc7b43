"""Replicas of the gateway beside a served core: `chrono gateway serve` in processes of their own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from core.net import answers, free_port
from tests.processes import environment
from tests.served_core import PATIENCE_S


@dataclass
class Replicas:
    """Running replicas behind `url`."""

    url: str
    process: asyncio.subprocess.Process

    def pids(self) -> list[int]:
        """The process of each replica that runs, in the order of their places."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.NoSuchProcess):  # a zombie is one too
                words = child.cmdline()
                if "replica" in words:
                    found[words[words.index("--place") + 1]] = child.pid
        return [found[place] for place in sorted(found)]

    def kill(self, place: int) -> int:
        """SIGKILL one of them; which one it was."""
        pid = self.pids()[place]
        psutil.Process(pid).kill()
        return pid


@asynccontextmanager
async def served_replicas(
    folder: Path, core_url: str, database: str, redis_url: str, processes: int, **settings: str
) -> AsyncIterator[Replicas]:
    """Replicas that answer, stopped at the end."""
    port = free_port("127.0.0.1", 0)
    variables = {
        "DATABASE_URL": database,
        "REDIS_URL": redis_url,
        "CHRONO_DATA_DIR": str(folder),
        "CHRONO_CORE_URL": core_url,
        "CHRONO_GATEWAY_PORT": str(port),
        **settings,
    }
    with (folder / "replicas.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "core", "gateway", "serve", "--processes", str(processes)),
            cwd=folder,
            env=environment(**variables),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=asyncio.subprocess.STDOUT,
        )
    replicas = Replicas(f"http://127.0.0.1:{port}", process)
    try:
        answered = answers(f"{replicas.url}/health")
        async with asyncio.timeout(PATIENCE_S):
            while not await answered() or len(replicas.pids()) < processes:
                assert process.returncode is None, (folder / "replicas.log").read_text()
                await asyncio.sleep(0.05)
        yield replicas
    finally:
        if process.returncode is None:
            process.terminate()
            async with asyncio.timeout(PATIENCE_S):
                await process.wait()
