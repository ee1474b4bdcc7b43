"""From venues' JSON through the Worker in workerd to /v1/prices of a real core, and what a core refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from chrono.signing import PublicKey
from core.app import run_core
from core.keys import KnownKeys
from core.settings import Settings
from infra.edge.prepare import Prepared
from tests.edge.workerd import running
from tests.edge.world import Key, group_of, simulated_venues, total, waiting
from tests.edge.world import World as Recorded
from tests.loopback import Asked, response, serving

ACCEPTED = 'chrono_ingest_batches_total{outcome="accepted"}'
DUPLICATE = 'chrono_ingest_batches_total{outcome="duplicate"}'
TICKS = "chrono_ingest_ticks_total"
OCTETS = {"content-type": "application/octet-stream"}
BOUND_S = 40.0


@dataclass
class Core:
    """A real core behind a door that a test may shut. `bodies` are the batches that went through it."""

    api: httpx.AsyncClient
    url: str
    bodies: list[bytes]
    is_open: bool = True

    async def door(self, asked: Asked) -> bytes:
        if not self.is_open:
            return response(b"", 502)
        answer = await self.api.post(asked.path, content=asked.body, headers=OCTETS)
        self.bodies.append(asked.body)
        return response(answer.content, answer.status_code)

    async def metric(self, sample: str) -> float:
        lines = (await self.api.get("/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    async def price(self, feed: str) -> dict[str, object]:
        answer = await self.api.get("/v1/prices", params={"feeds": feed})
        return dict(answer.json()["prices"][0])

    async def until_live(self, feed: str) -> dict[str, object]:
        async with asyncio.timeout(BOUND_S):
            while (price := await self.price(feed))["state"] != "live" or price["venues_used"] != 5:
                await asyncio.sleep(0.1)
        return price


@asynccontextmanager
async def real_core(folder: Path, database: str, key: Key) -> AsyncIterator[Core]:
    settings = Settings(
        market="simulated",
        data_dir=folder,
        port=0,
        database_url=database,  # type: ignore[arg-type]
        estimate_interval_s=0.05,
    )
    KnownKeys(settings.known_keys_file).add(PublicKey(key.public, "edge"))
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_core(settings, stop, port.set_result))
        url = f"http://127.0.0.1:{await port}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10, trust_env=False) as api:
                core = Core(api, "", [])
                async with serving(core.door) as core.url:
                    yield core
        finally:
            stop.set()


async def test_what_the_worker_collects_becomes_prices_and_every_tick_is_stored_once(
    prepared: Prepared, tmp_path: Path, database: str
) -> None:
    """The core goes away in between; then a batch is replayed, tampered with, and signed by a stranger."""
    key, admin = Key(), Key()
    async with (
        simulated_venues() as (venue_url, faults),
        real_core(tmp_path, database, key) as core,
        running(
            prepared,
            tmp_path,
            variables={"INTERVAL_S": 1, "ADMIN_KEYS": [admin.text]},
            secrets={"COLLECTOR_KEY": key.secret},
            routes=Recorded(venue_url, core.url, faults, None, key).routes(),  # type: ignore[arg-type]
        ) as worker,
    ):
        await worker.tick_cron()
        price = await core.until_live("BTC/USD")
        async with httpx.AsyncClient(base_url=venue_url, trust_env=False) as venues:
            truth = (await venues.get("/_truth")).json()["feeds"]["BTC/USD"]
        assert float(str(price["price"])) == pytest.approx(truth, rel=0.005)

        core.is_open = False
        await worker.until(
            lambda told: all(group_of(told, name)["backlog"]["stored"] >= 3 for name in ("asia", "america"))
        )
        core.is_open = True
        await worker.until(
            lambda told: all(not group_of(told, name)["backlog"]["stored"] for name in ("asia", "america"))
        )
        await worker.web.post("/admin", json=admin.command("pause", worker.now_ms()))
        status = await worker.until(lambda told: waiting(told) == 0)
        assert await core.metric(TICKS) == total(status, "delivered") > 0
        assert (total(status, "dropped"), total(status, "refused_by_core")) == (0, 0)
        assert await core.metric(DUPLICATE) == 0

        ticks, last = await core.metric(TICKS), core.bodies[-1]
        replayed = await core.api.post("/ingest", content=last, headers=OCTETS)
        assert (replayed.status_code, replayed.headers["chrono-duplicate"]) == (200, "true")
        tampered = last[:-100] + bytes([last[-100] ^ 1]) + last[-99:]
        assert (await core.api.post("/ingest", content=tampered, headers=OCTETS)).status_code == 401
        forged = last[:-64] + Key().private.sign(last[:-64])
        assert (await core.api.post("/ingest", content=forged, headers=OCTETS)).status_code == 401
        assert await core.metric(TICKS) == ticks
