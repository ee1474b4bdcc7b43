"""Who is refused again and again waits for each refusal; nobody else does."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
from prometheus_client import CollectorRegistry

from core.api.app import create_api
from core.api.holds import AT_ONCE, HELD_MAX, Holds
from core.gateway.tiers import LIMITS, Tier
from tests.fakes.services import NOW, World

FOR_EVER = 3_600.0
BURST = LIMITS[Tier.FREE].burst


async def told_at_once(holds: Holds, *callers: str, at: float = NOW) -> list[asyncio.Task[None]]:
    """The refusals of these callers; those that are told at once are done."""
    tasks = [asyncio.create_task(holds.hold(who, at)) for who in callers]
    await asyncio.sleep(0)
    return tasks


async def end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_few_refusals_a_second_are_told_at_once() -> None:
    holds = Holds(FOR_EVER)
    tasks = await told_at_once(holds, *["acme"] * (AT_ONCE + 5), "other")
    assert [task.done() for task in tasks] == [*[True] * AT_ONCE, *[False] * 5, True]
    (later,) = await told_at_once(holds, "acme", at=NOW + 1)
    assert later.done()
    await end(tasks)
    assert holds.held == 0


async def test_so_many_are_held_and_no_more() -> None:
    holds = Holds(FOR_EVER)
    tasks = await told_at_once(holds, *["acme"] * (AT_ONCE + HELD_MAX + 3))
    assert sum(not task.done() for task in tasks) == holds.held == HELD_MAX
    await end(tasks)


async def test_a_flood_from_one_caller_waits_while_others_are_answered() -> None:
    world = World()
    gateway = replace(world.gateway, hold_s=FOR_EVER)
    app = create_api(replace(world.services(), registry=CollectorRegistry(), gateway=gateway))

    def asking(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://chrono")

    async with asking("203.0.113.7") as flooding, asking("198.51.100.1") as other:
        asked = [asyncio.create_task(flooding.get("/v1/prices")) for _ in range(BURST + AT_ONCE + 20)]
        async with asyncio.timeout(10):
            while sum(task.done() for task in asked) < BURST + AT_ONCE:
                await asyncio.sleep(0)
        held = [task for task in asked if not task.done()]
        assert len(held) == 20
        assert (await other.get("/v1/prices")).status_code == 200
        for task in held:
            task.cancel()
        await asyncio.wait(held)
