"""The core killed and the database stopped under load: what was acknowledged is stored, once, and exactly.

Everything is real: a core in a process of its own, PostgreSQL, HTTP, signatures, and the collector's own
spool that sends again. Every batch marks its ticks with a price of its own, so that the database is counted
batch by batch.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

import asyncpg
import httpx
import psutil
import pytest

from chrono.collector import Draft
from chrono.feeds import LEGS, Leg
from chrono.fetch import post_batch
from chrono.http import Answer, Failure
from chrono.spool import Delivery, Spool
from core.keys import LocalSigner
from core.storage.embedded import EmbeddedPostgres
from tests.fakes.batches import new_signer, quote, sealed_batch, trade
from tests.served_core import ServedCore, served_core

SENDERS = 4
WAITING = 5
BATCHES_BETWEEN_FAULTS = 60
PATIENCE_S = 60.0
LOAD_LEG = LEGS[-1]
PROBE_LEG = Leg("coinbase", "BTC", "USD")
COUNT_TICKS = """
select last, count(*) from ticks where leg = (select id from legs where name = $1) group by last
"""


@dataclass
class Sender:
    """One collector: its spool, one batch in flight, and the core's answers."""

    number: int
    signer: LocalSigner = field(default_factory=new_signer)
    ticks: Counter[int] = field(default_factory=Counter)
    accepted: dict[tuple[bytes, int], int] = field(default_factory=dict)
    answers: list[Answer | Failure] = field(default_factory=list)

    def __post_init__(self) -> None:
        entropy = random.Random(self.number)
        self.spool = Spool(self.signer.key_id, at=time.time(), random=entropy.random)

    def fill(self, at: float) -> None:
        """Keep a few batches waiting, of 1 to 40 ticks each."""
        while len(self.spool) < WAITING:
            mark = self.number * 1_000_000 + len(self.ticks) + 1
            count = 1 + mark % 40
            self.ticks[mark] = count
            ticks = (trade(LOAD_LEG, price=str(mark), at=at),) * count
            self.spool.put(Draft(ticks, (), 0), at)

    async def send(self, client: httpx.AsyncClient, url: str) -> None:
        """Send what is due, or wait until something is."""
        at = time.time()
        stamped = self.spool.due(at)
        if stamped is None:
            await asyncio.sleep(min(max(self.spool.next_due() - at, 0.01), 0.2))
            return
        answer = await post_batch(client, url, stamped + await self.signer.sign(stamped), 10.0)
        self.answers.append(answer)
        delivery = self.spool.settle(answer, time.time())
        assert delivery is not Delivery.REFUSED, answer
        if isinstance(answer, Answer) and delivery is Delivery.ACCEPTED:
            told = json.loads(answer.body)
            self.accepted[self.signer.key_id, told["sequence"]] = told["accepted"]


class Load:
    """All senders, and what they were told."""

    def __init__(self) -> None:
        self.senders = [Sender(number) for number in range(SENDERS)]
        self._ending = False

    @property
    def signers(self) -> list[LocalSigner]:
        return [sender.signer for sender in self.senders]

    @property
    def accepted(self) -> dict[tuple[bytes, int], int]:
        return {key: ticks for sender in self.senders for key, ticks in sender.accepted.items()}

    def unavailable(self) -> list[Answer]:
        return [
            answer
            for sender in self.senders
            for answer in sender.answers
            if isinstance(answer, Answer) and answer.status == 503
        ]

    @asynccontextmanager
    async def sending(self, url: str) -> AsyncIterator[None]:
        """Send without a pause; at the end, until everything is acknowledged."""
        async with asyncio.timeout(4 * PATIENCE_S), asyncio.TaskGroup() as group:
            for sender in self.senders:
                group.create_task(self._send(sender, url))
            yield
            self._ending = True

    async def more_accepted(self) -> None:
        wanted = len(self.accepted) + BATCHES_BETWEEN_FAULTS
        await until(lambda: len(self.accepted) >= wanted)

    async def assert_stored_exactly(self, dsn: str) -> None:
        """Every acknowledged (key, sequence) once, with its number of ticks, and every tick once."""
        connection = await asyncpg.connect(dsn)
        try:
            batches = await connection.fetch("select key_id, sequence, accepted from batches")
            ticks = await connection.fetch(COUNT_TICKS, str(LOAD_LEG))
        finally:
            await connection.close()
        wanted: Counter[int] = Counter()
        for sender in self.senders:
            wanted += sender.ticks
        assert {(row["key_id"], row["sequence"]): row["accepted"] for row in batches} == self.accepted
        assert sum(self.accepted.values()) == wanted.total()
        assert {row["last"]: row["count"] for row in ticks} == wanted

    async def _send(self, sender: Sender, url: str) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            while not self._ending or len(sender.spool):
                if not self._ending:
                    sender.fill(time.time())
                await sender.send(client, f"{url}/ingest")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_core_killed_under_load_loses_nothing_and_stores_nothing_twice(
    tmp_path: Path, database: str
) -> None:
    load = Load()
    async with served_core(tmp_path, database, load.signers) as core, load.sending(core.url):
        for _ in range(3):
            await load.more_accepted()
            await core.kill()
            await core.start()
        await load.more_accepted()
    await load.assert_stored_exactly(database)
    assert any(isinstance(answer, Failure) for sender in load.senders for answer in sender.answers)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_database_stopped_under_load_loses_nothing_and_prices_go_on(
    tmp_path: Path, server_folder: Path
) -> None:
    load, server = Load(), EmbeddedPostgres(server_folder / "postgres")
    probe = new_signer()
    async with server.running() as dsn:
        async with served_core(tmp_path, dsn, [*load.signers, probe]) as core, load.sending(core.url):
            for price in ("70001", "71001"):
                await load.more_accepted()
                await stop_at_once(server)
                refused = len(load.unavailable())
                await assert_prices_go_on(core, probe, price)
                await until(lambda before=refused: len(load.unavailable()) > before)
                await server.start()
            await load.more_accepted()
        await load.assert_stored_exactly(dsn)
    for answer in load.unavailable():
        assert json.loads(answer.body)["type"] == "urn:chrono:problem:store-unavailable"
        assert answer.retry_after_s is not None
        assert 1 <= answer.retry_after_s <= 5


async def stop_at_once(server: EmbeddedPostgres) -> None:
    """PostgreSQL's immediate stop: every connection is cut, nothing is finished."""
    assert server.pid is not None
    process = psutil.Process(server.pid)
    os.kill(process.pid, signal.SIGQUIT)
    await until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
    await server.stop()


async def assert_prices_go_on(core: ServedCore, probe: LocalSigner, price: str) -> None:
    """While the database is away: a new price is refused with 503 and told all the same, pass after pass."""
    async with httpx.AsyncClient(base_url=core.url, trust_env=False, timeout=10) as client:
        first = (await client.get("/v1/prices")).json()["sequence"]
        at = time.time()
        bid, ask = str(Decimal(price) - 1), str(Decimal(price) + 1)
        sealed = await sealed_batch(
            probe, quote(PROBE_LEG, bid=bid, ask=ask, at=at), sequence=int(at * 1000), sent_at=at
        )
        octets = {"Content-Type": "application/octet-stream"}
        answer = await client.post("/ingest", content=sealed, headers=octets)
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        async with asyncio.timeout(PATIENCE_S):
            while (await client.get("/v1/prices")).json()["sequence"] < first + 5:
                await asyncio.sleep(0.05)
        told = (await client.get("/v1/prices/sources", params={"feed": "BTC/USD"})).json()
        probed = [leg for leg in told["sources"] if (leg["venue"], leg["symbol"]) == ("coinbase", "BTC/USD")]
        assert [float(leg["price"]) for leg in probed] == [float(price)]
        ready = await client.get("/ready")
        assert (ready.status_code, ready.json()["checks"]["database"]["ok"]) == (503, False)
