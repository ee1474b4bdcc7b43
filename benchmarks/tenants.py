"""One tenant keeps to its limits while another misbehaves, on a whole `chrono up` with a simulated market.

The good one asks for all prices 50 times a second and follows a stream of ten feeds. It is measured alone,
and while the other does one bad thing after another, each from addresses of its own with a key of its own. No
network is allowed: loopback is limited and blocked as everybody is. The bad tenant's process takes its part
of the machine too, which a bad tenant elsewhere would not.

Addresses other than 127.0.0.1 are used, which Linux has without being asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import psutil
import uvloop
import websockets

from benchmarks.load import Answers, Schedule, asked, share
from chrono.feeds import FEEDS
from core.settings import Settings
from core.storage.server_folder import running_dsn
from tests.databases import open_folder
from tests.processes import chrono_up

GOOD_PER_S = 50
ALONE_S, BAD_S = 4.0, 8.0
QUICK_S = 1.5
SETTLED_S = 20.0
ADMIN = "a token of the benchmark, 32 long"
POINTS = 20_000
SLOW = 200
SUBSCRIBERS = 10
LABELS = (("p50", 0.50), ("p95", 0.95), ("p99", 0.99))
TARGET = ">= 0.33x"


@dataclass(frozen=True)
class Victim:
    """Where the bad tenant goes, and with which key. `since` is when the stored history begins."""

    port: int
    key: str
    seconds: float
    since: int

    def request(self, target: str, *, body: bytes = b"", announced: int | None = None) -> bytes:
        size = len(body) if announced is None else announced
        more = f"Content-Type: application/json\r\nContent-Length: {size}\r\n" if size else ""
        method = "POST" if size else "GET"
        head = f"{method} {target} HTTP/1.1\r\nHost: chrono\r\nX-API-Key: {self.key}\r\n{more}\r\n"
        return head.encode() + body


# What bad tenants do. Each returns what came of it.


async def flood(victim: Victim) -> str:
    wanted = [victim.request("/v1/prices")]
    return _told(await asked(victim.port, Schedule(wanted, 2_000, victim.seconds, 64, ["127.0.2.1"])))


async def flood_from_many_addresses(victim: Victim) -> str:
    origins = [f"127.0.3.{number}" for number in range(1, 251)]
    wanted = [victim.request("/v1/prices")]
    return _told(await asked(victim.port, Schedule(wanted, 2_000, victim.seconds, 250, origins)))


async def huge_ranges(victim: Victim) -> str:
    history = f"/v1/prices/history?feed=BTC/USD&from={victim.since}&limit=5000"
    wanted = [victim.request(f"{history}&interval=raw"), victim.request(f"{history}&interval=1m")]
    origins = [f"127.0.4.{number}" for number in range(1, 51)]
    return _told(await asked(victim.port, Schedule(wanted, 100, victim.seconds, 50, origins)))


async def oversized_bodies(victim: Victim) -> str:
    wanted = [victim.request("/feed-values/", body=b"x" * 66_000, announced=10_000_000)]
    return _told(await asked(victim.port, Schedule(wanted, 200, victim.seconds, 32, ["127.0.5.1"])))


async def malformed_json(victim: Victim) -> str:
    bodies = (b'{"feeds":' + b"[" * 60_000, b'{"feeds":[' + b'{"id":"0x01","x":1},' * 2_500 + b"]}")
    wanted = [victim.request("/feed-values/", body=body) for body in bodies]
    origins = [f"127.0.6.{number}" for number in range(1, 51)]
    return _told(await asked(victim.port, Schedule(wanted, 200, victim.seconds, 50, origins)))


async def slow_connections(victim: Victim) -> str:
    """A byte of a head a second on each of SLOW connections, opened again when they are cut."""
    cut = 0

    async def one() -> None:
        nonlocal cut
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", victim.port, local_addr=("127.0.7.1", 0))
            try:
                for byte in victim.request("/v1/prices"):
                    writer.write(bytes([byte]))
                    await writer.drain()
                    await asyncio.sleep(1)
            except OSError:
                cut += 1
            finally:
                writer.close()

    slow = [asyncio.create_task(one()) for _ in range(SLOW)]
    await asyncio.sleep(victim.seconds)
    for task in slow:
        task.cancel()
    ended = await asyncio.gather(*slow, return_exceptions=True)
    refused = sum(isinstance(each, OSError) for each in ended)
    return f"{SLOW} connections, {cut} cut, {refused} refused"


async def subscription_floods(victim: Victim) -> str:
    """Subscribe and unsubscribe without a pause on SUBSCRIBERS sockets, opened again when they are closed."""
    sent, ends = 0, Counter[str]()
    words = [json.dumps({"op": op, "feeds": ["*"]}) for op in ("subscribe", "unsubscribe")]

    async def one() -> None:
        nonlocal sent
        while True:
            try:
                async with websockets.connect(
                    f"ws://127.0.0.1:{victim.port}/v1/stream",
                    additional_headers={"X-API-Key": victim.key},
                    local_addr=("127.0.8.1", 0),
                ) as socket:
                    while True:
                        for word in words:
                            await socket.send(word)
                            sent += 1
                        await asyncio.sleep(0)
            except websockets.InvalidStatus as error:
                ends[str(error.response.status_code)] += 1
                await asyncio.sleep(0.02)
            except (websockets.WebSocketException, OSError, EOFError) as error:
                ends[str(getattr(getattr(error, "rcvd", None), "code", type(error).__name__))] += 1

    flooding = [asyncio.create_task(one()) for _ in range(SUBSCRIBERS)]
    await asyncio.sleep(victim.seconds)
    for task in flooding:
        task.cancel()
    await asyncio.gather(*flooding, return_exceptions=True)
    return f"{sent} messages; ends {dict(ends)}"


MISDEEDS: dict[str, tuple[str, Callable[[Victim], Awaitable[str]]]] = {
    "asks 2,000/s from one address": ("developer", flood),
    "asks 2,000/s from 250 addresses": ("developer", flood_from_many_addresses),
    "asks for 5,000 rows 100/s": ("premium", huge_ranges),
    "sends bodies of 10 MB, 200/s": ("premium", oversized_bodies),
    "sends broken JSON of 60 kB, 200/s": ("premium", malformed_json),
    f"holds {SLOW} slow connections": ("developer", slow_connections),
    "floods subscriptions": ("developer", subscription_floods),
}


def _told(answers: Answers) -> str:
    return f"{answers.total} asked, by status {dict(sorted(answers.statuses.items()))}"


def _misbehave(control: Connection, port: int, since: int) -> None:
    """The bad tenant's process: told what to do, it tells what came of it."""
    while True:
        wish = control.recv()
        if wish is None:
            return
        name, key, seconds = wish
        control.send(uvloop.run(_do(name, Victim(port, key, seconds, since))))


async def _do(name: str, victim: Victim) -> str:
    return await MISDEEDS[name][1](victim)


# The good tenant, and the whole.


@dataclass
class Good:
    """What the good tenant saw: milliseconds of its requests, and from each pass to its stream."""

    answers: Answers = field(default_factory=Answers)
    stream: list[float] = field(default_factory=list)

    def add(self, other: Good) -> None:
        self.answers.ms += other.answers.ms
        self.stream += other.stream


class Tenant:
    """Asks by its schedule, and follows the stream all the while."""

    def __init__(self, port: int, key: str) -> None:
        self._port, self._key = port, key
        self._heard: list[float] = []

    @asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._follow())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def measured(self, seconds: float) -> Good:
        self._heard.clear()
        wanted = [f"GET /v1/prices HTTP/1.1\r\nHost: chrono\r\nX-API-Key: {self._key}\r\n\r\n".encode()]
        answers = await asked(self._port, Schedule(wanted, GOOD_PER_S, seconds, 8, ["127.0.1.1"]))
        if set(answers.statuses) != {200}:
            raise RuntimeError(f"the good tenant was turned away: {answers.statuses}")
        return Good(answers, list(self._heard))

    async def _follow(self) -> None:
        async with websockets.connect(
            f"ws://127.0.0.1:{self._port}/v1/stream",
            additional_headers={"X-API-Key": self._key},
            local_addr=("127.0.1.1", 0),
        ) as socket:
            await socket.send(json.dumps({"op": "subscribe", "feeds": [feed.name for feed in FEEDS[:10]]}))
            async for text in socket:
                message = json.loads(text)
                if message["type"] == "update":
                    self._heard.append((time.time() - message["at"]) * 1000)


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: the good tenant's quantiles during each misdeed, beside those without one."""
    alone, during = uvloop.run(_measure(quick))
    rows = []
    for name, good in during.items():
        rows += [
            _row(f"a tenant's {label} while another {name}", good.answers.ms, alone.answers.ms, part)
            for label, part in LABELS
        ]
        rows.append(_row(f"a tenant's stream, p95, while another {name}", good.stream, alone.stream, 0.95))
    return rows


def _row(name: str, figures: Sequence[float], alone: Sequence[float], part: float) -> dict[str, object]:
    figure, baseline = share(figures, part), share(alone, part)
    return {
        "name": name,
        "figure": round(figure, 2),
        "unit": "ms",
        "baseline": round(baseline, 2),
        "baseline_name": "without",
        "ratio": round(baseline / figure, 2),
        "target": TARGET if part == 0.95 else None,
    }


async def _measure(quick: bool) -> tuple[Good, dict[str, Good]]:
    alone, during = Good(), dict[str, Good]()
    with open_folder() as folder:
        async with chrono_up(
            folder,
            *("up", "--market", "simulated"),
            CHRONO_ALLOWED_NETWORKS="192.0.2.0/24",
            CHRONO_ADMIN_TOKEN=ADMIN,
            CHRONO_LOG_LEVEL="WARNING",
        ) as up:
            await up.until_live()
            since = await _store_history(folder)
            port = urlsplit(up.url).port or 0
            tenant = Tenant(port, await _key(up.url, "good", "premium"))
            async with _bad_tenant(port, since) as control, tenant.following():
                await asyncio.sleep(1 if quick else SETTLED_S)
                for name, (tier, _) in MISDEEDS.items():
                    key = await _key(up.url, f"bad-{len(during)}", tier)
                    alone.add(await tenant.measured(QUICK_S if quick else ALONE_S))
                    seconds = QUICK_S if quick else BAD_S
                    control.send((name, key, seconds))
                    with _busy(up.child("serve")) as busy:
                        during[name] = await tenant.measured(seconds)
                    told = await asyncio.to_thread(control.recv)
                    print(f"tenants: {name}: {told}; core {busy()}", file=sys.stderr, flush=True)
    return alone, during


@contextmanager
def _busy(process: psutil.Process) -> Iterator[Callable[[], str]]:
    """How much of one processor the process took meanwhile."""
    began, before = time.monotonic(), process.cpu_times()
    shares: list[float] = []
    yield lambda: f"{shares[0]:.0%} of a processor"
    after = process.cpu_times()
    shares.append((after.user + after.system - before.user - before.system) / (time.monotonic() - began))


@asynccontextmanager
async def _bad_tenant(port: int, since: int) -> AsyncIterator[Connection]:
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_misbehave, args=(theirs, port, since), daemon=True)
    process.start()
    try:
        yield ours
        ours.send(None)
    finally:
        await asyncio.to_thread(process.join, 15)
        process.kill()


async def _key(url: str, account: str, tier: str) -> str:
    async with httpx.AsyncClient(trust_env=False, base_url=url) as client:
        order = {"account": account, "tier": tier, "name": "load"}
        answer = await client.post("/admin/keys", json=order, headers={"X-API-Key": ADMIN})
        return str(answer.raise_for_status().json()["key"])


async def _store_history(folder: Path) -> int:
    """Give BTC/USD a past of POINTS estimates; when it begins."""
    dsn = running_dsn(Settings(market="simulated", data_dir=folder).postgres_dir)
    assert dsn is not None
    since = int(time.time()) - POINTS // 4 - 60
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "insert into estimates (feed, at, price, band_low, band_high, median, vwap, twap, volume, notional,"
        " venues_used) select feeds.id, to_timestamp($1::double precision + n / 4.0), 64000 + n % 100, 63900,"
        " 64200, 64000, 64000.5, 64000.25, 1, 64000, 5 from feeds, generate_series(1, $2::int) n"
        " where name = 'BTC/USD' on conflict do nothing",
        *(float(since), POINTS),
    )
    await connection.close()
    return since


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
