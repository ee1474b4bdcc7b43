"""The real command line for tests: a `chrono up` whose output is read, and its processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 90.0
_URL = re.compile(r"http://127\.0\.0\.1:\d+")


@dataclass
class Up:
    """A running `chrono up`."""

    process: asyncio.subprocess.Process
    lines: list[str] = field(default_factory=list)
    url: str = ""

    def child(self, name: str) -> psutil.Process:
        """The process of a part: serve, collect, simulate."""
        return next(child for child in psutil.Process(self.process.pid).children() if name in child.cmdline())

    def said(self, event: str) -> bool:
        return any(event in line for line in self.lines)

    async def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return await self.ended()

    async def ended(self) -> int:
        async with asyncio.timeout(PATIENCE_S):
            return await self.process.wait()

    async def until_live(self, feed: str = "BTC/USD") -> dict[str, object]:
        """The price of a feed once it is live."""
        async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(trust_env=False) as client:
            while True:
                try:
                    answer = await client.get(f"{self.url}/v1/prices", params={"feeds": feed})
                    price: dict[str, object] = answer.json()["prices"][0]
                    if price["state"] == "live":
                        return price
                except (httpx.HTTPError, KeyError, ValueError):
                    pass
                await asyncio.sleep(0.1)


def environment(**settings: str) -> dict[str, str]:
    """This environment without settings of a Chrono, with the sources on the path."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CHRONO_") and name not in {"DATABASE_URL", "REDIS_URL"}
    }
    return {**kept, "PYTHONPATH": f"{ROOT / 'edge'}{os.pathsep}{ROOT}", "COLUMNS": "200", **settings}


async def run_chrono(folder: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """A command that ends by itself: its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core", *arguments),
        cwd=folder,
        env=environment(**settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE_S):
        printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


@asynccontextmanager
async def chrono_up(folder: Path, *arguments: str, **settings: str) -> AsyncIterator[Up]:
    """`chrono up` or another command that serves, from when its URL is printed; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "core", *arguments, "--port", "0", "--data-dir", str(folder)),
        cwd=folder,
        env=environment(**settings),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    up = Up(process)
    reading = asyncio.create_task(_read(up))
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not up.url and process.returncode is None:
                await asyncio.sleep(0.05)
        assert up.url, "".join(up.lines)
        yield up
    finally:
        if process.returncode is None:
            for child in psutil.Process(process.pid).children(recursive=True):
                child.kill()
            process.kill()
        await process.wait()
        await reading


async def _read(up: Up) -> None:
    assert up.process.stdout is not None
    async for line in up.process.stdout:
        text = line.decode()
        up.lines.append(text)
        found = _URL.search(text)
        if found and "Chrono is up" in text:
            up.url = found.group()
