"""A whole Chrono in one event loop, every part real: simulated venues, a core, a collector, on loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from chrono.feeds import LEGS, VENUES, Leg
from chrono.polling import Pace
from chrono.signing import PublicKey
from core.app import run_core
from core.collect import collect
from core.keys import KnownKeys, LocalSigner, create_private_key
from core.settings import Settings
from core.simulation import run_simulator
from core.simulator.faults import FaultBoard, parse_fault
from core.simulator.market import RandomMarket
from core.simulator.source import MarketSource

PACE = Pace(ticker_interval_s=0.5, trade_interval_s=0.1)
PATIENCE_S = 30.0


@dataclass
class House:
    """What a test may ask and break. `collector_stop` ends the collector that is there from the start."""

    api: httpx.AsyncClient
    venues: httpx.AsyncClient
    faults: FaultBoard
    settings: Settings
    collector_stop: asyncio.Event

    async def get(self, path: str, **params: str) -> Any:
        answer = await self.api.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def price(self, feed: str) -> dict[str, Any]:
        return dict((await self.get("/v1/prices", feeds=feed))["prices"][0])

    async def legs(self, feed: str) -> dict[str, dict[str, Any]]:
        """The legs of a feed by `venue:symbol`."""
        sources = await self.get("/v1/prices/sources", feed=feed)
        return {f"{leg['venue']}:{leg['symbol']}": leg for leg in sources["sources"]}

    async def venue_state(self, venue: str) -> str:
        heard = (await self.get("/v1/venues"))["venues"]
        return next((str(each["state"]) for each in heard if each["venue"] == venue), "unheard")

    async def truth(self, feed: str) -> float:
        return float((await self.venues.get("/_truth")).json()["feeds"][feed])

    async def metric(self, sample: str) -> float:
        """The value of a sample as it is written in /metrics; 0 if it is not there."""
        lines = (await self.api.get("/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    async def routes(self) -> dict[str, dict[str, Any]]:
        """The collectors by name."""
        return {route["name"]: route for route in (await self.get("/v1/routes"))["routes"]}

    @asynccontextmanager
    async def second_collector(self, name: str, legs: Sequence[Leg] = LEGS) -> AsyncIterator[asyncio.Event]:
        """Another collector of the same venues with a key of its own; the event stops it."""
        signer = create_private_key(self.settings.data_dir / "keys" / f"{name}.key")
        KnownKeys(self.settings.known_keys_file).add(PublicKey(signer.public_key, name))
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                collect_here(str(self.api.base_url), str(self.venues.base_url), signer, stop, legs)
            )
            try:
                yield stop
            finally:
                stop.set()

    def inject(self, fault: str) -> None:
        self.faults.add(parse_fault(fault), time.time())

    async def until(self, what: Callable[[], Awaitable[bool]]) -> None:
        """Wait until something is so; fails after PATIENCE_S."""
        async with asyncio.timeout(PATIENCE_S):
            while not await what():
                await asyncio.sleep(0.05)

    async def until_live(self, feed: str = "BTC/USD") -> None:
        async def live() -> bool:
            price = await self.price(feed)
            return bool(price["state"] == "live" and price["venues_used"] == price["venues_listed"])

        await self.until(live)


async def collect_here(
    core_url: str, venue_url: str, signer: LocalSigner, stop: asyncio.Event, legs: Sequence[Leg]
) -> None:
    """Collect from simulated venues for a core, at the tests' pace."""
    await collect(
        core_url=core_url,
        signer=signer,
        stop=stop,
        venues=VENUES,
        legs=legs,
        base_urls={venue: f"{venue_url.rstrip('/')}/{venue}" for venue in VENUES},
        pace=PACE,
    )


@asynccontextmanager
async def open_house(
    folder: Path,
    database: str,
    *,
    source: MarketSource | None = None,
    legs: Sequence[Leg] = LEGS,
    redis_url: str | None = None,
) -> AsyncIterator[House]:
    """Open a house; everything in it ends with the context."""
    settings = Settings(
        market="simulated",
        data_dir=folder,
        port=0,
        database_url=database,  # type: ignore[arg-type]
        redis_url=redis_url,  # type: ignore[arg-type]
        estimate_interval_s=0.05,
        store_interval_s=0.2,
    )
    signer = LocalSigner.of(create_private_key(settings.private_key_file).private_key)
    KnownKeys(settings.known_keys_file).add(PublicKey(signer.public_key, "test"))
    loop = asyncio.get_running_loop()
    venue_port, core_port = loop.create_future(), loop.create_future()
    faults = FaultBoard()
    stops = [asyncio.Event() for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        group.create_task(
            run_simulator(source or RandomMarket(7), faults, 0, stops[0], venue_port.set_result)
        )
        group.create_task(run_core(settings, stops[1], core_port.set_result))
        venue_url = f"http://127.0.0.1:{await venue_port}"
        core_url = f"http://127.0.0.1:{await core_port}"
        group.create_task(collect_here(core_url, venue_url, signer, stops[2], legs))
        async with (
            httpx.AsyncClient(base_url=core_url, timeout=10, trust_env=False) as api,
            httpx.AsyncClient(base_url=venue_url, timeout=10, trust_env=False) as venues,
        ):
            try:
                yield House(api, venues, faults, settings, stops[2])
            finally:
                for stop in stops:
                    stop.set()
