"""The Worker through everything at once, and the exact count of what became of every tick.

Every part is real but the venues, which are simulated: the Worker in workerd, a core in a process of its own,
PostgreSQL. One venue after another fails in every way; meanwhile the core is killed and stays away for a
minute, then the Worker is deployed anew with another key. At the end no tick is on its way, and

    collected = delivered + dropped + refused by the core      as the Worker tells
    delivered = ticks stored + rows that the core refused      as the database tells

`python -m tests.edge.drill --minutes 10` runs it for as long as one likes.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from chrono.batch import decode
from chrono.feeds import LEGS
from core.keys import LocalSigner
from core.simulator.faults import FaultBoard, parse_fault
from infra.edge.prepare import Prepared, prepare
from station.config import SLOTS
from tests.databases import fresh_database
from tests.databases import serving as serving_database
from tests.edge.workerd import PATIENCE_S, Workerd, running
from tests.edge.world import CORE, VENUE_ORIGINS, Key, simulated_venues, total, waiting
from tests.loopback import Asked, response, serving
from tests.served_core import ServedCore, served_core

FAULTS = (
    "banned=429,retry_after=2",
    "banned=418,retry_after=3",
    "banned=451",
    "banned=403",
    "dead=silent",
    "dead",
    "malformed",
    "malformed=types",
    "huge",
    "server_error=502",
)
VENUES = ("binance", "kraken", "bybit", "coinbase", "okx")
OUTAGE_S = 60.0
INTERVAL_S = 1
# Fewer than a minute's batches, so that the outage goes through the queue as well.
VARIABLES = {"INTERVAL_S": INTERVAL_S, "TIMEOUT_S": 2, "STORED_BATCHES_MAX": 25, "QUEUE_RETRY_S": 1}
OCTETS = {"content-type": "application/octet-stream"}


@dataclass
class Door:
    """What stands before the core: hands batches on, and remembers those that the core took, in order."""

    core: ServedCore
    client: httpx.AsyncClient
    sequences: dict[tuple[bytes, int], list[int]] = field(default_factory=dict)
    last: bytes = b""

    async def hand_on(self, asked: Asked) -> bytes:
        try:
            answer = await self.client.post(f"{self.core.url}/ingest", content=asked.body, headers=OCTETS)
        except httpx.HTTPError:
            return response(b"", 502)
        if answer.status_code == 200:
            batch = decode(asked.body)
            self.last = asked.body
            self.sequences.setdefault((batch.key_id, batch.sequence % SLOTS), []).append(batch.sequence)
        return response(answer.content, answer.status_code)


@dataclass(frozen=True)
class Count:
    """What became of every tick, told by the Worker and by the database."""

    seconds: float
    collected: int
    delivered: int
    dropped: int
    refused_by_core: int
    stored: int
    rows_refused_by_core: int
    legs: int
    batches: int
    in_order: bool
    rows_refused_by_worker: Mapping[str, int]
    states: Mapping[str, int]
    replayed: int
    tampered: int
    keys: int

    @property
    def balanced(self) -> bool:
        told = self.delivered + self.dropped + self.refused_by_core
        return self.collected == told and self.delivered == self.stored + self.rows_refused_by_core


async def drill(prepared: Prepared, folder: Path, database: str, seconds: float) -> Count:
    """Run it for about that long, not counting two starts of the Worker, and count."""
    keys, admin = (Key(), Key()), Key()
    signers = [LocalSigner.of(key.private) for key in keys]
    async with (
        simulated_venues() as (venue_url, faults),
        served_core(folder, database, signers, CHRONO_MARKET="simulated") as core,
        httpx.AsyncClient(timeout=5, trust_env=False) as client,
    ):
        door = Door(core, client)
        async with serving(door.hand_on) as core_url:
            routes = {origin: f"{venue_url}/{venue}" for origin, venue in VENUE_ORIGINS.items()}
            routes[CORE] = core_url
            world = _World(prepared, folder, routes, admin, {})
            began, first = time.monotonic(), max(seconds / 2, OUTAGE_S + 20)
            async with world.deployed({"COLLECTOR_KEY": keys[0].secret}) as worker:
                async with _failing(faults, first / 2):
                    await asyncio.sleep(first - OUTAGE_S - 10)
                    await core.kill()
                    await asyncio.sleep(OUTAGE_S)
                    await core.start()
                    await asyncio.sleep(10)
                before = await world.drained(worker)
            secrets = {"COLLECTOR_KEY": keys[1].secret, "COLLECTOR_KEY_FORMER": keys[0].secret}
            async with world.deployed(secrets) as worker:
                begin = await worker.status()
                await world.tell(worker, "resume")
                left = max(seconds - (time.monotonic() - began), 15)
                async with _failing(faults, left):
                    await asyncio.sleep(left)
                after = await world.drained(worker)
            replayed = await client.post(f"{core.url}/ingest", content=door.last, headers=OCTETS)
            tampered = door.last[:-100] + bytes([door.last[-100] ^ 1]) + door.last[-99:]
            refused = await client.post(f"{core.url}/ingest", content=tampered, headers=OCTETS)
        took_s = time.monotonic() - began
        stored = await _stored(database)
    lives = {
        what: total(before, what) + total(after, what) - total(begin, what)
        for what in ("collected", "delivered", "dropped", "refused_by_core")
    }
    return Count(
        seconds=round(took_s, 1),
        **lives,
        **stored,
        in_order=all(list(dict.fromkeys(each)) == sorted(set(each)) for each in door.sequences.values()),
        rows_refused_by_worker=_refused_rows([before, after]),
        states=world.states,
        replayed=replayed.status_code if "chrono-duplicate" in replayed.headers else 0,
        tampered=refused.status_code,
    )


@dataclass
class _World:
    """What two deployments of one Worker share."""

    prepared: Prepared
    folder: Path
    routes: Mapping[str, str | None]
    admin: Key
    states: dict[str, int]

    @asynccontextmanager
    async def deployed(self, secrets: Mapping[str, str]) -> AsyncIterator[Workerd]:
        async with running(
            self.prepared,
            self.folder,
            variables={**VARIABLES, "ADMIN_KEYS": [self.admin.text]},
            secrets=secrets,
            routes=self.routes,
            persist=self.folder / "objects",
        ) as worker:
            watching = asyncio.create_task(self._watch(worker))
            try:
                yield worker
            finally:
                watching.cancel()

    async def _watch(self, worker: Workerd) -> None:
        """Fire the cron every few seconds, and note which states venues were seen in."""
        while True:
            await worker.tick_cron()
            for group in (await worker.status())["groups"]:
                for venue in group["venues"]:
                    self.states[venue["state"]] = self.states.get(venue["state"], 0) + 1
            await asyncio.sleep(2)

    async def tell(self, worker: Workerd, action: str) -> None:
        answer = await worker.web.post("/admin", json=self.admin.command(action, worker.now_ms()))
        assert answer.status_code == 200, answer.text

    async def drained(self, worker: Workerd) -> dict[str, Any]:
        """The status when nothing is asked any more and nothing waits."""
        await self.tell(worker, "pause")
        until = time.monotonic() + 2 * PATIENCE_S
        while waiting(status := await worker.status()) or any(
            group["silent_s"] < 2 * INTERVAL_S for group in status["groups"] if group["assigned"]
        ):
            assert time.monotonic() < until, f"never delivered: {status}"
            await asyncio.sleep(0.5)
        return status


@asynccontextmanager
async def _failing(faults: FaultBoard, seconds: float) -> AsyncIterator[None]:
    """One fault after another, in turn at each venue, for that long or until the context ends."""

    async def inject() -> None:
        pause_s = seconds / len(FAULTS)
        for fault, venue in zip(FAULTS, itertools.cycle(VENUES), strict=False):
            faults.add(parse_fault(f"{venue}:{fault},for={pause_s:.1f}"), time.time())
            await asyncio.sleep(pause_s)

    task = asyncio.create_task(inject())
    try:
        yield
    finally:
        task.cancel()
        faults.clear()


async def _stored(database: str) -> dict[str, int]:
    connection = await asyncpg.connect(database)
    try:
        batches = await connection.fetch("select key_id, accepted, refused from batches")
        ticks = await connection.fetchval("select count(*) from ticks")
        legs = await connection.fetchval("select count(distinct leg) from ticks")
    finally:
        await connection.close()
    assert ticks == sum(row["accepted"] for row in batches)
    return {
        "stored": ticks,
        "rows_refused_by_core": sum(sum(json.loads(row["refused"]).values()) for row in batches),
        "legs": legs,
        "batches": len(batches),
        "keys": len({row["key_id"] for row in batches}),
    }


def _refused_rows(statuses: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    refused: Counter[str] = Counter()
    for status in statuses:
        for group in status["groups"]:
            for venue in group["venues"]:
                refused.update(venue["refused_rows"])
    return dict(refused)


def main() -> None:
    """Run the drill with a database of its own, and print the count."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    seconds = parser.parse_args().minutes * 60

    async def run() -> Count:
        with serving_database(None) as server, tempfile.TemporaryDirectory() as folder:
            async with fresh_database(server) as database:
                return await drill(prepare(), Path(folder), database, seconds)

    count = asyncio.run(run())
    print(json.dumps(asdict(count), indent=1))
    print(f"of {len(LEGS)} legs; {'balanced' if count.balanced else 'NOT BALANCED'}")


if __name__ == "__main__":
    main()
