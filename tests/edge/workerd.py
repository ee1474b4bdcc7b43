"""The real Worker in real workerd: a subprocess that ends with the context, and how it is asked."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from infra.edge.prepare import HERE, ROOT, Prepared

START_S = 60.0
PATIENCE_S = 30.0
END_S = 10.0


@dataclass
class Workerd:
    """A Worker that runs. `lines` are what it printed."""

    process: asyncio.subprocess.Process
    web: httpx.AsyncClient
    lines: list[str]
    routed: asyncio.Event = field(default_factory=asyncio.Event)

    async def route(self, routes: Mapping[str, str | None]) -> None:
        """Replace where the Worker's requests go; None is an origin that is away."""
        assert self.process.stdin is not None
        self.routed.clear()
        self.process.stdin.write(json.dumps({"routes": dict(routes)}).encode() + b"\n")
        async with asyncio.timeout(PATIENCE_S):
            await self.routed.wait()

    @staticmethod
    def now_ms() -> int:
        return round(time.time() * 1000)

    async def tick_cron(self) -> None:
        answer = await self.web.get("/cdn-cgi/handler/scheduled")
        assert answer.status_code == 200, answer.text

    async def status(self) -> dict[str, Any]:
        answer = await self.web.get("/status")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def until(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The status once it is so; fails after PATIENCE_S with the last one."""
        told: dict[str, Any] = {}
        try:
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    told = await self.status()
                    if what(told):
                        return told
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"never so: {told} {self.lines[-30:]}") from None


async def until(what: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await what():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def running(
    prepared: Prepared,
    folder: Path,
    *,
    variables: Mapping[str, object] | None = None,
    secrets: Mapping[str, str] | None = None,
    routes: Mapping[str, str | None] | None = None,
    root: Path = ROOT,
    persist: Path | None = None,
) -> AsyncIterator[Workerd]:
    """The Worker of `root` from when it answers. What it asks goes to `routes` and nowhere else."""
    config = folder / "workerd.json"
    config.write_text(
        json.dumps(
            {
                "root": str(root),
                "pythonModules": str(prepared.modules),
                "vars": dict(variables or {}),
                "secrets": dict(secrets or {}),
                "routes": dict(routes or {}),
                "persist": str(persist) if persist else None,
            }
        ),
        "utf-8",
    )
    process = await asyncio.create_subprocess_exec(
        *(prepared.node, str(HERE / "run.mjs"), str(config)),
        env={**os.environ, "MINIFLARE_WORKERD_PATH": str(prepared.workerd)},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    lines: list[str] = []
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with httpx.AsyncClient(timeout=PATIENCE_S, trust_env=False) as web:
        workerd = Workerd(process, web, lines)
        reading = asyncio.create_task(_read(workerd, ready))
        try:
            async with asyncio.timeout(START_S):
                web.base_url = httpx.URL(await ready)
            yield workerd
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                async with asyncio.timeout(END_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
            await reading


async def _read(workerd: Workerd, ready: asyncio.Future[str]) -> None:
    assert workerd.process.stdout is not None
    async for raw in workerd.process.stdout:
        line = raw.decode("utf-8", "replace").rstrip()
        workerd.lines.append(line)
        if line.startswith("ready ") and not ready.done():
            ready.set_result(line.removeprefix("ready "))
        elif line == "routed":
            workerd.routed.set()
    if not ready.done():
        ready.set_exception(AssertionError("workerd did not start: " + "\n".join(workerd.lines[-30:])))
