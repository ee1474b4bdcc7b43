"""What venues do to their collectors, done to the Worker: it says what it sees, and others go on."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from infra.edge.prepare import Prepared
from tests.edge.workerd import Workerd, running
from tests.edge.world import World, group_of, open_world, total, waiting

FAULTS = (
    {
        "binance:banned=418,retry_after=120": "banned",
        "bybit:banned=403": "forbidden",
        "okx:banned=429,retry_after=60": "rate_limited",
        "kraken:banned=451": "geo_blocked",
    },
    {
        "binance:dead=silent": "failing",
        "bybit:huge": "failing",
        "okx:malformed": "failing",
        "kraken:malformed=types": "failing",
    },
)
VARIABLES = {"INTERVAL_S": 1, "TIMEOUT_S": 2}


def states(world: World, faults: dict[str, str]) -> dict[str, str]:
    return {fault: world.core.state(fault.partition(":")[0]) for fault in faults}


@pytest.mark.parametrize("faults", FAULTS, ids=["refusals", "broken answers"])
async def test_a_venue_that_fails_is_told_by_its_state_and_the_others_go_on(
    prepared: Prepared, tmp_path: Path, faults: dict[str, str]
) -> None:
    async with (
        open_world() as world,
        running(
            prepared,
            tmp_path,
            variables=VARIABLES,
            secrets={"COLLECTOR_KEY": world.key.secret},
            routes=world.routes(),
        ) as worker,
    ):
        for fault in faults:
            world.inject(fault)
        await worker.tick_cron()
        await world.core.until(lambda: states(world, faults) == faults)
        begin = len(world.core.batches)
        await world.core.until(lambda: len(world.core.batches) >= begin + 8)
        status = await worker.until(lambda told: waiting(told) == 0)
    fresh = {tick.leg.venue for batch in world.core.batches[begin:] for tick in batch.ticks}
    assert "coinbase" in fresh
    assert (total(status, "dropped"), total(status, "refused_by_core")) == (0, 0)


async def test_a_ban_is_kept_to_by_the_next_worker_too(prepared: Prepared, tmp_path: Path) -> None:
    persist = tmp_path / "objects"
    async with open_world() as world:
        world.inject("okx:banned=418,retry_after=600")

        def starting() -> AbstractAsyncContextManager[Workerd]:
            return running(
                prepared,
                tmp_path,
                variables=VARIABLES,
                secrets={"COLLECTOR_KEY": world.key.secret},
                routes=world.routes(),
                persist=persist,
            )

        async with starting() as worker:
            await worker.tick_cron()
            await world.core.until(lambda: world.core.state("okx") == "banned")
        world.faults.clear()
        world.core.batches.clear()
        async with starting() as worker:
            await world.core.until(lambda: len(world.core.sequences("okx")) >= 4)
            asia = group_of(await worker.status(), "asia")
    assert world.core.state("okx") == "banned"
    assert not [tick for batch in world.core.batches for tick in batch.ticks if tick.leg.venue == "okx"]
    assert (
        next(venue for venue in asia["venues"] if venue["venue"] == "okx")["retry_at"] > asia["last_cycle_at"]
    )


async def test_a_venue_that_refuses_one_country_is_asked_from_another(
    prepared: Prepared, tmp_path: Path
) -> None:
    async with (
        open_world() as world,
        running(
            prepared,
            tmp_path,
            variables=VARIABLES,
            secrets={"COLLECTOR_KEY": world.key.secret},
            routes=world.routes(),
        ) as worker,
    ):
        world.inject("kraken:banned=451")
        await worker.tick_cron()
        await world.core.until(lambda: world.core.state("kraken") == "geo_blocked")
        await worker.until(lambda told: "kraken" in group_of(told, "america")["refused_until"])
        world.faults.clear()  # the simulator cannot tell one country from another
        await worker.tick_cron()
        await world.core.until(lambda: world.core.state("kraken") == "healthy")
        status = await worker.status()
    asked_by = [group["name"] for group in status["groups"] if "kraken" in group["assigned"]]
    assert asked_by == ["asia"]


async def test_a_host_that_is_away_is_replaced_by_the_next_one(prepared: Prepared, tmp_path: Path) -> None:
    async with open_world() as world:
        routes = world.routes()
        routes["https://api.binance.com"] = routes["https://data-api.binance.vision"]
        routes["https://data-api.binance.vision"] = None
        async with running(
            prepared,
            tmp_path,
            variables=VARIABLES,
            secrets={"COLLECTOR_KEY": world.key.secret},
            routes=routes,
        ) as worker:
            await worker.tick_cron()
            await world.core.until(lambda: world.core.state("binance") == "healthy")
            asia = group_of(await worker.status(), "asia")
    hosts = {venue["venue"]: venue["host"] for venue in asia["venues"]}
    assert hosts["binance"] == "https://api.binance.com"
