"""A local EVM node: anvil, as a child process on a free port of loopback.

Anvil is Foundry's test node; npm's @foundry-rs/anvil brings its binary. Nothing here is for a real network.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from chrono.errors import ChronoError
from core.chain.endpoints import EndpointMetrics, Endpoints
from core.provider.ports import ChainUnavailable

START_S: Final = 20.0
STOP_S: Final = 2.0


class NodeFailed(ChronoError):
    """Anvil did not start, or ended."""


@asynccontextmanager
async def running_anvil(
    binary: Path, port: int, arguments: Sequence[str], metrics: EndpointMetrics
) -> AsyncIterator[Endpoints]:
    """A node that answers, until the context ends. Raises NodeFailed."""
    process = await asyncio.create_subprocess_exec(
        str(binary),
        *("--host", "127.0.0.1", "--port", str(port), "--silent", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    endpoints = Endpoints([f"http://127.0.0.1:{port}"], metrics, time.monotonic, timeout_s=10.0)
    try:
        await _until_it_answers(process, endpoints)
        yield endpoints
    finally:
        await endpoints.close()
        await _end(process)


async def _until_it_answers(process: asyncio.subprocess.Process, endpoints: Endpoints) -> None:
    try:
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                try:
                    await endpoints.ask("eth_chainId")
                    return
                except ChainUnavailable:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        raise NodeFailed(f"anvil did not answer within {START_S:.0f} s") from None
    raise NodeFailed(f"anvil ended with code {process.returncode}")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
