"""`chrono check`: does everything that Chrono depends on work, here and now?

Tries the database and its migrations, TimescaleDB, Redis, the keys, the disk, the bucket of snapshots, the
port and every venue. Changes nothing, unless it is told to migrate, but one small object in the bucket.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

import asyncpg
import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from chrono.errors import ChronoError
from chrono.feeds import legs_of
from chrono.fetch import fetch
from chrono.http import Failure
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Parsed
from core.keys import KnownKeys, load_private_key
from core.net import PortTaken, free_port
from core.settings import Settings, masked_url
from core.shared_limits import WAIT_S
from core.snapshot.objects import Objects, Reason, StoreFailed
from core.snapshot.snapshot import OBJECT
from core.storage.embedded import EmbeddedPostgres
from core.storage.migrate import migrate, pending
from core.storage.pool import capabilities, unavailable_when_down
from core.storage.server_folder import running_dsn

Outcome = Literal["ok", "warning", "failed"]

TRY_S: Final = 5.0
FREE_BYTES_MIN: Final = 5 * 1024**3
SYNC_MS_MAX: Final = 50.0
LEGS_TRIED: Final = 5
PROBE: Final = "check"
SNAPSHOT_AGE_S_MAX: Final = 60.0
"""A core writes one every few seconds, unless it does not run or cannot write."""

_TROUBLE: Final[Mapping[Reason, str]] = {
    "credentials": "the key id or the secret is wrong, or its token may not do this",
    "unreachable": "the endpoint does not answer",
    "timeout": "the endpoint does not answer in time",
    "refused": "the store refuses, perhaps for the bucket's name",
    "contended": "somebody else writes at the same time",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one dependency."""

    name: str
    outcome: Outcome
    detail: str

    @property
    def failed(self) -> bool:
        return self.outcome == "failed"


async def check_everything(settings: Settings, *, migrate_now: bool) -> list[Finding]:
    """All findings, in a fixed order. Takes a few seconds at most per dependency."""
    database = await _database(settings, migrate_now)
    others = await asyncio.gather(
        _guarded("redis", _redis(settings)),
        _guarded("keys", _keys(settings)),
        _guarded("disk", asyncio.to_thread(_disk, settings.data_dir)),
        _guarded("snapshots", _snapshots(settings)),
        _guarded("port", _port(settings)),
        *(_guarded(venue, _venue(settings, venue)) for venue in settings.collected_venues),
    )
    return [*database, *others]


async def _guarded(name: str, work: Awaitable[Finding]) -> Finding:
    try:
        return await work
    except (ChronoError, OSError) as error:
        return Finding(name, "failed", str(error))


async def _database(settings: Settings, migrate_now: bool) -> list[Finding]:
    """The database; an embedded one that does not run is started for the check and stopped again."""
    try:
        async with AsyncExitStack() as stack:
            if settings.database_url is not None:
                dsn, kind = settings.database_url.get_secret_value(), "DATABASE_URL"
            elif (running := running_dsn(settings.postgres_dir)) is not None:
                dsn, kind = running, f"embedded in {settings.postgres_dir}, running"
            else:
                server = EmbeddedPostgres(settings.postgres_dir)
                dsn = await stack.enter_async_context(server.running())
                kind = f"embedded in {settings.postgres_dir}, started for this check"
            with unavailable_when_down():
                connection = await asyncpg.connect(dsn, timeout=TRY_S, command_timeout=60)
                try:
                    return await _ask_database(connection, kind, migrate_now)
                finally:
                    await connection.close()
    except (ChronoError, OSError) as error:
        return [Finding("database", "failed", str(error))]


async def _ask_database(connection: asyncpg.Connection, kind: str, migrate_now: bool) -> list[Finding]:
    found = await capabilities(connection)
    applied = await migrate(connection) if migrate_now else []
    waiting = await pending(connection)
    if found.timescale_installed:
        timescale = Finding("timescaledb", "ok", f"{found.timescale_installed} is used")
    elif found.timescale_available:
        timescale = Finding("timescaledb", "ok", f"{found.timescale_available} will be used")
    else:
        timescale = Finding("timescaledb", "warning", "not there: plain tables answer the same queries")
    if waiting:
        names = ", ".join(migration.name for migration in waiting)
        migrations = Finding("migrations", "warning", f"pending: {names}; `chrono up` applies them")
    else:
        told = f"{len(applied)} applied now" if applied else "none pending"
        migrations = Finding("migrations", "ok", told)
    return [Finding("database", "ok", f"PostgreSQL {found.server_version} ({kind})"), timescale, migrations]


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return Finding("redis", "ok", "not configured: the bus stays in the process")
    url = settings.redis_url.get_secret_value()
    client = Redis.from_url(url, socket_connect_timeout=TRY_S, socket_timeout=TRY_S)
    try:
        info = await client.info("server")
        began = time.perf_counter()
        await client.ping()
        took_s = time.perf_counter() - began
    except (RedisError, OSError) as error:
        return Finding("redis", "failed", f"{masked_url(url)} does not answer: {error}")
    finally:
        await client.aclose()
    told = f"Redis {info['redis_version']} at {masked_url(url)} answered in {took_s * 1000:.1f} ms"
    if took_s > WAIT_S:
        return Finding(
            "redis", "warning", f"{told}: limits are shared only where it takes {WAIT_S:g} s at most"
        )
    return Finding("redis", "ok", told)


async def _snapshots(settings: Settings) -> Finding:
    """Whether the bucket is written and read, and how old what the twin would tell is."""
    access = settings.snapshot_access
    if access is None:
        return Finding("snapshots", "ok", "not configured: there is nothing for a serverless twin to tell")
    from core.snapshot.s3 import S3Objects  # noqa: PLC0415 - slow to load, and of use with a bucket only

    objects = await asyncio.to_thread(S3Objects, *access)
    found = await asyncio.to_thread(try_bucket, objects, settings.snapshot_prefix, time.time())
    return replace(found, detail=f"{access[1]} at {urlsplit(access[0]).netloc}: {found.detail}")


def try_bucket(objects: Objects, prefix: str, at: float) -> Finding:
    """Write an object beside the snapshots, read it, and look at the newest of them."""
    probe, body = prefix + PROBE, f"chrono check {at:.3f}".encode()
    trying = "read"
    try:
        standing, newest = objects.standing(probe), objects.standing(prefix + OBJECT)
        trying = "written"
        objects.put(probe, body, (round(at * 1000), 0), None if standing is None else standing.mark)
        if objects.get(probe) != body:
            return Finding("snapshots", "failed", "what is read is not what was written")
    except StoreFailed as error:
        return Finding(
            "snapshots", "failed", f"cannot be {trying}: {_TROUBLE[error.reason]} ({error.detail})"
        )
    if newest is None or newest.order is None:
        return Finding("snapshots", "warning", "can be written and read; no snapshot is there yet")
    age_s = at - newest.order[0] / 1000
    told = f"can be written and read; the newest snapshot is {age_s:.0f} s old"
    return Finding("snapshots", "warning" if age_s > SNAPSHOT_AGE_S_MAX else "ok", told)


async def _keys(settings: Settings) -> Finding:
    known = list(KnownKeys(settings.known_keys_file).ring())
    valid = sum(not key.revoked for key in known)
    told = f"{valid} collectors accepted, {len(known) - valid} revoked"
    if not settings.private_key_file.exists():
        return Finding("keys", "warning", f"{told}; no local collector's key yet: `chrono up` makes one")
    signer = load_private_key(settings.private_key_file)
    return Finding("keys", "ok", f"{told}; the local collector is {signer.key_id.hex()}")


async def heard_routes(settings: Settings) -> tuple[dict[str, float] | None, str]:
    """How long the running core has not heard each key, by key id; or None and why it could not be asked."""
    url = settings.core_url or f"http://{settings.host}:{settings.port}"
    try:
        async with httpx.AsyncClient(timeout=TRY_S, trust_env=False) as client:
            answer = await client.get(f"{url.rstrip('/')}/v1/routes")
            answer.raise_for_status()
            return {route["key_id"]: float(route["silent_s"]) for route in answer.json()["routes"]}, ""
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError) as error:
        return None, f"the core at {url} does not tell its routes: {error or type(error).__name__}"


def _disk(folder: Path) -> Finding:
    """Free space, and how long one durable write takes."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    probe = folder / ".check"
    began = time.perf_counter()
    descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, b"chrono")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
        probe.unlink()
    sync_ms = (time.perf_counter() - began) * 1000
    told = f"{free / 1024**3:.0f} GiB free, a durable write takes {sync_ms:.1f} ms"
    short = free < FREE_BYTES_MIN or sync_ms > SYNC_MS_MAX
    return Finding("disk", "warning" if short else "ok", told)


async def _port(settings: Settings) -> Finding:
    address = f"{settings.host}:{settings.port}"
    try:
        free_port(settings.host, settings.port)
    except PortTaken:
        url = f"http://{address}/health"
        async with httpx.AsyncClient(timeout=TRY_S, trust_env=False) as client:
            try:
                about = (await client.get(url)).json()
                return Finding("port", "ok", f"{address} serves Chrono {about['version']}, {about['market']}")
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                return Finding("port", "failed", f"{address} is taken by another program")
    return Finding("port", "ok", f"{address} is free")


async def _venue(settings: Settings, venue: str) -> Finding:
    """Ask the venue for a few legs, as the collector would."""
    adapter = VENUE_ADAPTERS[venue]
    base_url = settings.venue_urls.get(venue, adapter.base_url)
    request = adapter.tickers(legs_of(venue)[:LEGS_TRIED])
    async with httpx.AsyncClient(timeout=TRY_S) as client:
        began = time.perf_counter()
        answer = await fetch(client, base_url, request, timeout_s=TRY_S, clock=time.time)
        took_ms = (time.perf_counter() - began) * 1000
    if isinstance(answer, Failure):
        return Finding(venue, "failed", f"{base_url}: {answer.detail}")
    outcome = adapter.parse(request, answer)
    if not isinstance(outcome, Parsed):
        return Finding(venue, "failed", f"{base_url} refuses: {outcome}")
    told = f"{base_url} answered {len(outcome.quotes)} of {len(request.legs)} legs in {took_ms:.0f} ms"
    return Finding(venue, "ok" if len(outcome.quotes) == len(request.legs) else "warning", told)
