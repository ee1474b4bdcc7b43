"""A core alone in a process of its own, `chrono serve`: started, killed, started again on one database."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from chrono.signing import PublicKey
from core.keys import KnownKeys, LocalSigner
from core.net import answers, free_port
from tests.processes import environment

PATIENCE_S = 60.0


class ServedCore:
    """Keeps its port and its folder over restarts. What it logs is in `log`."""

    def __init__(self, folder: Path, database: str, signers: Sequence[LocalSigner], **settings: str) -> None:
        self.log = folder / "core.log"
        self.url = f"http://127.0.0.1:{free_port('127.0.0.1', 0)}"
        self._settings = {
            "DATABASE_URL": database,
            "CHRONO_DATA_DIR": str(folder),
            "CHRONO_PORT": self.url.rpartition(":")[2],
            **settings,
        }
        self._folder = folder
        self._process: asyncio.subprocess.Process | None = None
        known = KnownKeys(folder / "keys" / "collectors.keys")
        for signer in signers:
            known.add(PublicKey(signer.public_key, "test"))

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it and return when it answers."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "core", "serve"),
                cwd=self._folder,
                env=environment(**self._settings),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
            )
        answered = answers(f"{self.url}/health")
        async with asyncio.timeout(PATIENCE_S):
            while not await answered():
                assert self._process.returncode is None, self.log.read_text()
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """SIGKILL: nothing is drained, nothing is told."""
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL if that does not help."""
        if self._process is None or self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            await self.kill()


@asynccontextmanager
async def served_core(
    folder: Path, database: str, signers: Sequence[LocalSigner], **settings: str
) -> AsyncIterator[ServedCore]:
    """A core that answers, stopped at the end."""
    core = ServedCore(folder, database, signers, **settings)
    try:
        await core.start()
        yield core
    finally:
        await core.stop()
