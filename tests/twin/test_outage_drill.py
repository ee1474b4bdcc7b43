"""The outage drill: a real core, a real bucket, the real handler; the core is killed and comes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from chrono.feeds import LEGS
from core.keys import LocalSigner, create_private_key
from core.signed.prices import NotFresh, verify_price
from core.simulation import run_simulator
from core.simulator.faults import FaultBoard
from core.simulator.market import RandomMarket
from tests.house import collect_here
from tests.s3_server import BUCKET, KEY_ID, SECRET, S3Server
from tests.served_core import served_core
from tests.twin.lambdas import Answer, Function, function

AGE_S_MAX = 12.0
PATIENCE_S = 60.0
FEED = "/v1/prices/BTC/USD"


async def until(twin: Function, source: str, state: str) -> dict[str, Any]:
    """The first answer from there in that state."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            answer = await twin.asked(FEED, "signed=true")
            if answer.status == 200 and answer.headers["x-chrono-source"] == source:
                told: dict[str, Any] = answer.json()
                if told["state"] == state:
                    return told
            await asyncio.sleep(0.1)


async def until_refused(twin: Function) -> Answer:
    async with asyncio.timeout(PATIENCE_S):
        while (answer := await twin.asked(FEED)).status == 200:
            assert answer.json()["state"] == "stale"
            assert int(answer.headers["age"]) <= AGE_S_MAX
            await asyncio.sleep(0.1)
    return answer


async def test_the_core_dies_the_twin_goes_on_honestly_and_the_core_comes_back(
    tmp_path: Path, database: str, s3_server: S3Server
) -> None:
    signer = LocalSigner.of(create_private_key(tmp_path / "collector.key").private_key)
    bucket = {
        "CHRONO_SNAPSHOT_ENDPOINT": s3_server.url,
        "CHRONO_SNAPSHOT_BUCKET": BUCKET,
        "CHRONO_SNAPSHOT_KEY_ID": KEY_ID,
        "CHRONO_SNAPSHOT_SECRET": SECRET,
        "CHRONO_SNAPSHOT_PREFIX": "drill/",
    }
    settings = {**bucket, "CHRONO_MARKET": "simulated", "CHRONO_SNAPSHOT_INTERVAL_S": "0.5"}
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with (
        served_core(tmp_path, database, [signer], **settings) as core,
        asyncio.TaskGroup() as group,
        httpx.AsyncClient(base_url=core.url, trust_env=False) as asking,
    ):
        group.create_task(run_simulator(RandomMarket(7), FaultBoard(), 0, stop, port.set_result))
        venues = f"http://127.0.0.1:{await port}"
        group.create_task(collect_here(core.url, venues, signer, stop, LEGS))
        trusted = (await asking.get("/v1/signer")).json()
        address, chain_id = trusted["address"], trusted["domain"]["chainId"]
        environment = {
            **bucket,
            "CHRONO_TWIN_CORE_URL": core.url,
            "CHRONO_TWIN_SIGNER": address,
            "CHRONO_TWIN_AGE_S_MAX": str(AGE_S_MAX),
        }
        with function(**environment) as twin:
            await until(twin, "core", "live")
            await until_snapshot(s3_server, time.time())

            await core.kill()
            old = await until(twin, "snapshot", "stale")
            assert "the core cannot be reached" in old["why"]
            price = verify_price(
                old["signed"], signer=address, chain_id=chain_id, at=time.time(), age_s_max=60
            )
            older = await until_older(twin, old["age_s"] + 1)
            assert older["signed"] == old["signed"]
            with pytest.raises(NotFresh):
                verify_price(older["signed"], signer=address, chain_id=chain_id, at=time.time(), age_s_max=1)

            refused = await until_refused(twin)
            assert (refused.status, refused.json()["limit_s"]) == (503, AGE_S_MAX)
            assert refused.json()["type"] == "urn:chrono:problem:snapshot-too-old"

            await core.start()
            async with asyncio.timeout(PATIENCE_S):
                again = price
                while again.observed_at_ms <= price.observed_at_ms:
                    fresh = await until(twin, "core", "live")
                    again = verify_price(fresh["signed"], signer=address, chain_id=chain_id, at=time.time())
        stop.set()


async def until_snapshot(server: S3Server, after: float) -> None:
    """A snapshot of a pass after that time is in the bucket."""
    objects = server.objects()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            standing = await asyncio.to_thread(objects.standing, "drill/latest.json")
            if standing and standing.order and standing.order[0] > after * 1000:
                return
            await asyncio.sleep(0.1)


async def until_older(twin: Function, age_s: float) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told: dict[str, Any] = (await twin.asked(FEED, "signed=true")).json()
            if told["age_s"] >= age_s:
                return told
            await asyncio.sleep(0.1)
