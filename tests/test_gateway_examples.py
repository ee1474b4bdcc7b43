"""The examples of docs/gateway.md do what the page says, against a real core; its tables are the sources'."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from chrono.feeds import LEGS
from core.api.catalogue import CATALOGUE
from core.database import open_pool
from core.gateway.accounts import Order
from core.gateway.keys import DEFAULT_SCOPES, ENTROPY_BYTES, make_key
from core.gateway.tiers import LIMITS, Tier
from core.signed import prices as verifier
from core.storage.embedded import EmbeddedPostgres
from core.storage.gateway import PostgresAccounts
from tests.databases import fresh_database
from tests.gateway_page import Example, examples, table
from tests.house import House, open_house
from tests.processes import environment

PATIENCE_S = 60.0
LEGS_SHOWN = tuple(leg for leg in LEGS if leg.base in ("BTC", "ETH", "USDT", "USDC"))
"""What the page asks for, and what that is converted by."""

NODE = ("node", "--experimental-websocket", "--no-warnings")
"""Node 20 has its WebSocket behind this word; from 22 on it is there, and the word is still understood."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads the page: a folder with the verifier and `chrono` in it, two keys, and where the API is."""

    folder: Path
    url: str
    signer: str
    variables: Mapping[str, str]

    def run(self, example: Example) -> subprocess.CompletedProcess[str]:
        source = example.source.replace("https://api.example", self.url)
        source = source.replace("wss://api.example", self.url.replace("http", "ws"))
        file = self.folder / f"example.{'mjs' if example.language == 'javascript' else example.language}"
        file.write_text(source.replace("0xYOUR_SIGNER", self.signer))
        words = {"sh": ("sh",), "python": (sys.executable,), "javascript": NODE}[example.language]
        return subprocess.run(
            [*words, str(file)],
            cwd=self.folder,
            env=environment(**self.variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


@pytest.fixture(scope="module")
def reader(plain_server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """One core for all examples, in a loop of its own so that they may be run as a reader runs them."""
    folder = tmp_path_factory.mktemp("reader")
    found: list[Reader] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with (
            fresh_database(plain_server) as dsn,
            open_house(folder / "core", dsn, legs=LEGS_SHOWN) as house,
        ):
            found.append(await prepared(folder, dsn, house))
            ready.set()
            await asyncio.to_thread(stop.wait)

    def run() -> None:
        try:
            asyncio.run(serve())
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="core")
    thread.start()
    try:
        assert ready.wait(2 * PATIENCE_S)
        assert found
        yield found[0]
    finally:
        stop.set()
        thread.join(PATIENCE_S)


async def prepared(folder: Path, dsn: str, house: House) -> Reader:
    """A reader with keys that the core knows, when there are prices."""
    keys = {}
    async with open_pool(house.settings) as pool:
        for variable, scopes in (("CHRONO_KEY", DEFAULT_SCOPES), ("CHRONO_ADMIN_KEY", frozenset({"admin"}))):
            made = make_key(os.urandom(ENTROPY_BYTES))
            order = Order("reader" + variable.lower(), Tier.DEVELOPER, "page", scopes, None)
            await PostgresAccounts(pool).issue(order, made, time.time())
            keys[variable] = made.text

    async def accepted() -> bool:
        headers = {"X-API-Key": keys["CHRONO_ADMIN_KEY"]}
        return (await house.api.get("/admin/keys", headers=headers)).status_code == 200

    await house.until(accepted)
    await house.until_live("BTC/USD")
    await house.until_live("ETH/USD")
    shutil.copy(verifier.__file__, folder / "prices.py")
    (folder / "bin").mkdir()
    chrono = folder / "bin" / "chrono"
    chrono.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m core "$@"\n')
    chrono.chmod(chrono.stat().st_mode | stat.S_IXUSR)
    path = f"{chrono.parent}{os.pathsep}{os.environ['PATH']}"
    variables = {**keys, "PATH": path, "DATABASE_URL": dsn, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    url = str(house.api.base_url).rstrip("/")
    return Reader(folder, url, (await house.get("/v1/signer"))["address"], variables)


def missing(example: Example) -> str:
    """What this machine lacks to run an example, or nothing."""
    needed = ["node"] if example.language == "javascript" else []
    if example.language == "sh":
        needed = ["sh", *(["curl"] if "curl " in example.source else [])]
    absent = [name for name in needed if shutil.which(name) is None]
    if absent or example.language != "javascript":
        return f"no {' and '.join(absent)} here" if absent else ""
    told = subprocess.run([*NODE, "-p", "typeof WebSocket"], capture_output=True, text=True, check=False)
    return "" if told.stdout.strip() == "function" else "this node has no WebSocket: 20.10 or newer has"


@pytest.mark.timeout(180)
@pytest.mark.parametrize("example", examples(), ids=lambda example: f"line-{example.line}-{example.language}")
def test_an_example_of_the_page_prints_what_the_page_says(
    example: Example, request: pytest.FixtureRequest
) -> None:
    lack = missing(example)
    if lack:
        pytest.skip(lack)
    reader: Reader = request.getfixturevalue("reader")
    done = reader.run(example)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert example.prints(done.stdout), done.stdout


def test_every_language_has_examples() -> None:
    languages = [example.language for example in examples()]
    assert {name: languages.count(name) for name in set(languages)} == {
        "sh": 9,
        "python": 3,
        "javascript": 3,
    }


def test_the_page_has_the_tiers_as_they_are() -> None:
    limited = {
        limits.tier.value: [
            f"{limits.per_s:g}",
            str(limits.burst),
            f"{limits.per_day:,}",
            f"{limits.sockets:,}",
            str(limits.feeds),
        ]
        for limits in LIMITS.values()
        if limits.limited
    }
    told = {name: cells for name, *cells in table("tier")}
    internal = told.pop("internal")
    assert told == limited
    assert internal[:3] == ["no limit"] * 3


def test_the_page_lists_every_kind_of_problem() -> None:
    told = {name.strip("`"): (int(status), meaning) for name, status, meaning in table("name")}
    assert told == dict(CATALOGUE)
