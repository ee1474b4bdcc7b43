"""The folder of an embedded server, and what it tells without asking the server.

folder/
    data/           PostgreSQL's own data directory
    password        of the role `chrono`, mode 0600
    lock            held while a launcher lives, so that no two share a server
    server.log      since the last start; the one before is server.log.1
"""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import IO, Final

import psutil  # type: ignore[import-untyped]

from core.storage.programs import EmbeddedPostgresError

HOST: Final = "127.0.0.1"
NAME: Final = "chrono"
"""The role and the database."""


def running_dsn(folder: Path) -> str | None:
    """The DSN of a server that runs in `folder` now, whoever started it, or None."""
    data = folder.resolve() / "data"
    if server_pid(data) is None:
        return None
    return dsn_of(folder.resolve(), int((data / "postmaster.pid").read_text().splitlines()[3]))


def dsn_of(folder: Path, port: int) -> str:
    """The address of the server of a folder, its password included: never log it."""
    password = (folder / "password").read_text().strip()
    return f"postgresql://{NAME}:{password}@{HOST}:{port}/{NAME}"


def server_pid(data: Path) -> int | None:
    """The pid in the pid file, if that process is a living PostgreSQL on this data directory."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE or "postgres" not in process.name():
            return None
        return pid if str(data) in process.cmdline() else None
    except (OSError, ValueError, IndexError, psutil.Error):
        return None


def take_lock(folder: Path) -> IO[str]:
    """Hold the folder until the file is closed or the process ends. Raises EmbeddedPostgresError if held."""
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise EmbeddedPostgresError(
            f"another Chrono uses {folder}: stop it, or give this one its own folder"
        ) from None
    return lock


def write_password(folder: Path) -> Path:
    """Make a password up, write it for its owner's eyes only, and return the file."""
    path = folder / "password"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(24) + "\n")
    return path
