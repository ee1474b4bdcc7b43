"""A PostgreSQL of our own: programs from a PyPI wheel, data in a folder, open to this machine only.

Knows how to lay out, start and stop one server, and how to recover when everything was killed. Does not know
what is stored in it. The folder's files are drawn in `server_folder`.
"""

from __future__ import annotations

import asyncio
import shlex
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Final

import asyncpg
import structlog

from core.net import free_port
from core.storage.programs import EmbeddedPostgresError, Programs, find_programs
from core.storage.server_folder import HOST, NAME, dsn_of, server_pid, take_lock, write_password

log = structlog.get_logger()

INIT_S: Final = 120
START_S: Final = 120
STOP_FAST_S: Final = 2
START_ATTEMPTS: Final = 4
START_PAUSE_S: Final = 0.5
CONNECT_S: Final = 10

SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "listen_addresses": HOST,
        "unix_socket_directories": "",
        "max_connections": "60",
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "wal_compression": "on",
        "jit": "off",
        "log_checkpoints": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
    }
)
TIMESCALE_SETTINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "shared_preload_libraries": "timescaledb",
        "timescaledb.telemetry_level": "off",
        "timescaledb.max_background_workers": "8",
        "max_worker_processes": "19",
    }
)
_NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})


class EmbeddedPostgres:
    """One embedded server in `folder`, started and stopped in turns.

    `bin_dir` names the programs of another PostgreSQL than the wheel's; `port` 0 takes a free one; `user` is
    whom the server runs as if we are root; `settings` go over the defaults.
    """

    def __init__(
        self,
        folder: Path,
        *,
        bin_dir: Path | None = None,
        port: int = 0,
        user: str | None = None,
        settings: Mapping[str, str] = _NO_SETTINGS,
    ) -> None:
        self._folder = folder.resolve()
        self._data = self._folder / "data"
        self._bin_dir, self._wanted_port, self._user = bin_dir, port, user
        self._settings = settings
        self._programs: Programs | None = None
        self._lock: IO[str] | None = None
        self._port = 0

    @property
    def dsn(self) -> str:
        """The address of the running server, password included: never log it."""
        return dsn_of(self._folder, self._port)

    @property
    def pid(self) -> int | None:
        """The server's process, or None when it does not run."""
        return server_pid(self._data)

    async def start(self) -> str:
        """Start the server, laying out its folder if it is new, and return its DSN.

        A server that outlived its killed launcher is stopped first, a stale pid file is removed. Raises
        EmbeddedPostgresError with what can be done.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        programs = self._programs = find_programs(self._bin_dir, self._user, self._folder)
        programs.give(self._folder)
        self._lock = take_lock(self._folder)
        try:
            await self._lay_out(programs)
            await self._check_folder(programs)
            await self._clear_remains(programs)
            await self._start(programs)
            await _create_database(self.dsn)
        except BaseException:
            await self.stop()
            raise
        log.info("postgres_started", port=self._port, folder=str(self._folder))
        return self.dsn

    async def stop(self) -> None:
        """Stop the server within 3 s: without waiting for clients, at the worst without a checkpoint."""
        if self._programs is not None and self.pid is not None:
            await self._stop(self._programs)
            log.info("postgres_stopped", folder=str(self._folder))
        self._release()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Start, give the DSN, and stop at the end."""
        dsn = await self.start()
        try:
            yield dsn
        finally:
            await self.stop()

    async def _lay_out(self, programs: Programs) -> None:
        """Make the data directory unless it is there; a half made one of a killed start is begun anew."""
        if (self._data / "PG_VERSION").exists():
            return
        unfinished = self._folder / "data.new"
        await asyncio.to_thread(shutil.rmtree, unfinished, ignore_errors=True)
        programs.give(write_password(self._folder))
        done = await programs.run(
            "initdb",
            f"--pgdata={unfinished}",
            f"--username={NAME}",
            f"--pwfile={self._folder / 'password'}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            timeout_s=INIT_S,
        )
        if done.returncode:
            raise EmbeddedPostgresError(f"initdb failed: {done.stdout.strip()[-2000:]}")
        unfinished.rename(self._data)

    async def _check_folder(self, programs: Programs) -> None:
        ours = await programs.major_version()
        theirs = int((self._data / "PG_VERSION").read_text().strip().partition(".")[0])
        if not (self._folder / "password").exists():
            raise EmbeddedPostgresError(f"the file {self._folder / 'password'} is gone: restore it")
        if ours != theirs:
            raise EmbeddedPostgresError(
                f"{self._data} was written by PostgreSQL {theirs}, but these programs are PostgreSQL {ours}."
                f" Use PostgreSQL {theirs} to dump it (pg_dump) and load the dump into a new folder,"
                " or move the folder away to begin anew."
            )

    async def _clear_remains(self, programs: Programs) -> None:
        """Stop a server that outlived its launcher, and forget the pid of one that did not.

        We hold the lock, so a server on this folder has no living owner. PostgreSQL itself refuses to start
        when its pid file names any living process, which after a reboot is often a stranger.
        """
        if self.pid is not None:
            log.warning("postgres_orphan_stopped", pid=self.pid)
            await self._stop(programs)
        elif (self._data / "postmaster.pid").exists():
            log.warning("postgres_stale_pid_removed", folder=str(self._folder))
            (self._data / "postmaster.pid").unlink()

    async def _start(self, programs: Programs) -> None:
        """Start; again with another port, or when a killed server's last children were still leaving."""
        settings = {**SETTINGS, **self._settings}
        if await programs.has_timescale():
            settings = {**TIMESCALE_SETTINGS, **settings}
        for attempt in range(START_ATTEMPTS):
            await asyncio.sleep(START_PAUSE_S * attempt)
            # A server that is started again keeps its port, for the sake of those who reconnect.
            self._port = self._wanted_port or (self._port if attempt == 0 else 0) or free_port(HOST, 0)
            told = await self._start_once(programs, {**settings, "port": str(self._port)})
            if told is None:
                return
            log.warning("postgres_start_failed", attempt=attempt + 1, port=self._port)
        raise EmbeddedPostgresError(f"PostgreSQL did not start in {self._folder}: {told}")

    async def _start_once(self, programs: Programs, settings: Mapping[str, str]) -> str | None:
        """None if the server runs now, else the end of its log."""
        server_log = self._folder / "server.log"
        if server_log.exists():
            server_log.replace(self._folder / "server.log.1")
        options = " ".join(f"-c {name}={shlex.quote(value)}" for name, value in settings.items())
        done = await programs.run(
            "pg_ctl",
            "start",
            "-w",
            *("-t", str(START_S)),
            *("-D", str(self._data)),
            *("-l", str(server_log)),
            *("-o", options),
            timeout_s=START_S + 10,
        )
        if done.returncode == 0:
            return None
        told = server_log.read_text(errors="replace") if server_log.exists() else ""
        return (done.stdout + told).strip()[-2000:]

    async def _stop(self, programs: Programs) -> None:
        arguments = ("stop", "-w", "-D", str(self._data))
        done = await programs.run("pg_ctl", *arguments, "-m", "fast", "-t", str(STOP_FAST_S), timeout_s=10)
        if done.returncode:
            # Nothing committed is lost: the next start replays the write-ahead log.
            await programs.run("pg_ctl", *arguments, "-m", "immediate", "-t", "10", timeout_s=20)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


async def _create_database(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, database="postgres", timeout=CONNECT_S)
    try:
        if not await connection.fetchval("select true from pg_database where datname = $1", NAME):
            await connection.execute(f"create database {NAME}")
    finally:
        await connection.close()
