"""The embedded server: laid out, started, stopped, killed and found again."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path

import asyncpg
import psutil
import pytest

from core.storage.embedded import EmbeddedPostgres
from core.storage.programs import EmbeddedPostgresError, find_programs
from core.storage.server_folder import running_dsn

LAUNCH_AND_WAIT = """
import asyncio, sys
from pathlib import Path
import structlog
from core.storage.embedded import EmbeddedPostgres

async def main():
    await EmbeddedPostgres(Path(sys.argv[1])).start()
    print("started", flush=True)
    await asyncio.Event().wait()

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
asyncio.run(main())
"""


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def test_what_was_stored_survives_a_restart(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    async with server.running() as dsn:
        await ask(dsn, "create table kept as select 42 as answer")
    async with EmbeddedPostgres(server_folder / "postgres").running() as dsn:
        assert await ask(dsn, "select answer from kept") == 42


async def test_a_stop_takes_less_than_three_seconds_with_clients_connected(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    client = await asyncpg.connect(await server.start())
    began = time.monotonic()
    await server.stop()
    assert time.monotonic() - began < 3
    assert server.pid is None
    client.terminate()


async def test_only_this_machine_with_the_password_gets_in(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder / "postgres").running() as dsn:
        password = server_folder / "postgres" / "password"
        assert stat.S_IMODE(password.stat().st_mode) == 0o600
        assert await ask(dsn, "select current_setting('listen_addresses')") == "127.0.0.1"
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(dsn, password="guessed")


async def test_a_server_that_was_killed_starts_again(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    await ask(await server.start(), "create table kept as select 42 as answer")
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    await server.stop()
    async with server.running() as dsn:
        assert await ask(dsn, "select answer from kept") == 42


async def test_a_server_that_is_started_again_keeps_its_port(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    first = await server.start()
    await server.stop()
    async with server.running() as again:
        assert again == first


async def test_a_folder_without_its_password_is_refused(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    async with server.running():
        pass
    (server_folder / "postgres" / "password").unlink()
    with pytest.raises(EmbeddedPostgresError, match="password is gone"):
        await server.start()


async def test_a_pid_file_that_names_a_stranger_is_no_obstacle(server_folder: Path) -> None:
    server = EmbeddedPostgres(server_folder / "postgres")
    await server.start()
    pid_file = server_folder / "postgres" / "data" / "postmaster.pid"
    stale = pid_file.read_text().splitlines()
    await server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")
    async with server.running() as dsn:
        assert await ask(dsn, "select 1") == 1


async def test_a_server_that_outlived_its_killed_launcher_is_taken_over(server_folder: Path) -> None:
    folder = server_folder / "postgres"
    launcher = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCH_AND_WAIT, str(folder)),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert launcher.stdout is not None
    assert await launcher.stdout.readline() == b"started\n"
    launcher.kill()
    await launcher.wait()
    dsn = running_dsn(folder)
    assert dsn is not None
    await ask(dsn, "create table kept as select 42 as answer")
    orphan = psutil.Process(EmbeddedPostgres(folder).pid)
    async with EmbeddedPostgres(folder).running() as dsn:
        assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
        assert await ask(dsn, "select answer from kept") == 42


async def test_a_second_launcher_on_the_same_folder_is_refused(server_folder: Path) -> None:
    async with EmbeddedPostgres(server_folder / "postgres").running() as dsn:
        with pytest.raises(EmbeddedPostgresError, match="another Chrono"):
            await EmbeddedPostgres(server_folder / "postgres").start()
        assert await ask(dsn, "select 1") == 1


async def test_a_lay_out_that_was_interrupted_is_begun_anew(server_folder: Path) -> None:
    unfinished = server_folder / "postgres" / "data.new"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(server_folder / "postgres").running() as dsn:
        assert await ask(dsn, "select 1") == 1


async def test_a_folder_of_another_major_version_is_refused_with_advice(server_folder: Path) -> None:
    data = server_folder / "postgres" / "data"
    data.mkdir(parents=True)
    (data / "PG_VERSION").write_text("15\n")
    (data.parent / "password").write_text("kept\n")
    with pytest.raises(EmbeddedPostgresError, match=r"written by PostgreSQL 15.*pg_dump"):
        await EmbeddedPostgres(server_folder / "postgres").start()


async def test_a_port_that_is_taken_is_told_with_the_servers_own_words(server_folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = EmbeddedPostgres(server_folder / "postgres", port=taken.getsockname()[1])
        with pytest.raises(EmbeddedPostgresError, match="Address already in use"):
            await server.start()


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="no PostgreSQL programs"):
        find_programs(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
async def test_root_may_keep_its_data_where_no_other_user_may_enter(server_folder: Path) -> None:
    closed = server_folder / "closed"
    closed.mkdir(mode=0o700)
    if find_programs(folder=closed).user is not None:
        pytest.skip("the server's user may enter everything here")
    for _ in range(2):
        async with EmbeddedPostgres(closed / "postgres").running() as dsn:
            connection = await asyncpg.connect(dsn)
            await connection.execute("create table if not exists kept ()")
            await connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
async def test_root_is_told_which_folder_the_servers_user_cannot_enter(
    server_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")  # no unshare
    closed = server_folder / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=rf"cannot enter /.* on the way to {closed}"):
        await EmbeddedPostgres(closed / "postgres").start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
def test_a_server_user_who_does_not_exist_is_named() -> None:
    with pytest.raises(EmbeddedPostgresError, match="no-such-user"):
        find_programs(user="no-such-user")
