"""`make edge-dev` as a developer runs it: the Worker on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import psutil

from core.keys import create_private_key
from infra.edge.prepare import ROOT, Prepared
from tests.edge.world import Key, open_world

END_S = 15.0


async def test_the_worker_runs_against_a_local_core_until_ctrl_c(prepared: Prepared, tmp_path: Path) -> None:
    signer = create_private_key(tmp_path / "collector.key")
    async with open_world() as world:
        world.core.keys.append(Key(signer.private_key))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "infra" / "edge" / "dev.py"), "--port", "0"),
            *("--core", world.core_url, "--simulator", world.venue_url),
            *("--key", str(tmp_path / "collector.key"), "--persist", str(tmp_path / "objects")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        try:
            await world.core.until(lambda: world.core.state("okx") == world.core.state("kraken") == "healthy")
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            async with asyncio.timeout(END_S):
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
    assert children
    assert not [child for child in children if child.is_running()]
    assert {batch.key_id for batch in world.core.batches} == {signer.key_id}
