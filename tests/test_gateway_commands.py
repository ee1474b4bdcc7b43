"""`chrono gateway` as an operator types it, on an embedded database."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.processes import run_chrono


@pytest.mark.timeout(300)
async def test_keys_are_made_listed_rotated_and_revoked(database: str, tmp_path: Path) -> None:
    async def gateway(*words: str) -> tuple[int, str]:
        return await run_chrono(tmp_path, "gateway", *words, DATABASE_URL=database)

    code, printed = await gateway("keys", "new", "acme", "--tier", "premium", "--days", "30")
    assert code == 0, printed
    key, prefix = printed.split()[1], printed.split()[3]
    assert key.startswith(f"chr_{prefix}_")
    code, printed = await gateway("keys", "rotate", prefix, "--overlap-hours", "0")
    new = printed.split()[3]
    assert (await gateway("keys", "revoke", new))[0] == 0
    code, printed = await gateway("keys", "list")
    assert key not in printed
    states = {line.split()[0]: line.split()[1:4] for line in printed.splitlines()}
    assert states == {
        prefix: ["expired", "premium", "acme/key"],
        new: ["revoked", "premium", "acme/key"],
    }
    code, printed = await gateway("usage", "--csv")
    assert list(csv.reader(io.StringIO(printed))) == [["account", "key", "endpoint", "day", "requests"]]
    code, printed = await gateway("blocks", "list")
    assert (code, printed) == (0, "")
    code, printed = await gateway("blocks", "remove", "203.0.113.7")
    assert (code, "there is no block of 203.0.113.7" in printed) == (1, True)
    code, printed = await gateway("keys", "revoke", "nothing")
    assert (code, "there is no key nothing" in printed, "Traceback" in printed) == (1, True, False)
