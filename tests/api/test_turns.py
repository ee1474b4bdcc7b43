"""What one caller sends at once is worked on in turns with everybody else's."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from core.api.app import create_api
from core.api.turns import AT_ONCE, Turns
from core.ports import Point
from tests.fakes.services import FakeEstimateStore, World


async def test_a_caller_has_so_many_turns_at_once_and_the_others_wait_in_their_order() -> None:
    turns, begun = Turns(), list[int]()

    async def ask(number: int) -> None:
        turn = await turns.begin("acme")
        begun.append(number)
        await asyncio.sleep(0)
        turn.end()
        turn.end()

    asking = [asyncio.create_task(ask(number)) for number in range(7)]
    await asyncio.sleep(0)
    assert begun == list(range(AT_ONCE))
    other = await turns.begin("other")
    await asyncio.gather(*asking)
    assert begun == list(range(7))
    other.end()
    assert len(turns) == 0


async def test_who_leaves_while_he_waits_takes_nobodys_turn() -> None:
    turns = Turns()
    held = [await turns.begin("acme") for _ in range(AT_ONCE)]
    waiting = asyncio.create_task(turns.begin("acme"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    for turn in held:
        turn.end()
    assert len(turns) == 0


class SlowStore(FakeEstimateStore):
    """Answers when it is told to, and counts who waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.go_on = asyncio.Event()

    async def points(self, feed: str, start: float, end: float, limit: int) -> list[Point]:
        self.asked += 1
        await self.go_on.wait()
        return []


async def test_a_slow_question_of_one_caller_delays_his_own_and_nobody_elses() -> None:
    world = World(store=(store := SlowStore()))
    app = create_api(world.services())

    def asking(address: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app, client=(address, 40_000))
        return httpx.AsyncClient(transport=transport, base_url="http://chrono")

    async with asking("203.0.113.7") as many, asking("198.51.100.1") as other:
        history = "/v1/prices/history?feed=BTC/USD&interval=raw&limit=1"
        asked = [asyncio.create_task(many.get(history)) for _ in range(5)]
        async with asyncio.timeout(10):
            while store.asked < AT_ONCE:
                await asyncio.sleep(0)
            assert (await other.get("/v1/prices")).status_code == 200
        assert store.asked == AT_ONCE
        store.go_on.set()
        answers = await asyncio.gather(*asked)
    assert [answer.status_code for answer in answers] == [200] * 5
