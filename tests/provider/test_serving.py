"""`provider serve`: one answers, one stands by and takes over, and a lost lease ends the answering."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core.ftso.identities import VotingRoundId
from core.provider.answers import ProtocolAnswers
from core.provider.ports import LeaseLost, Ledger
from core.provider.serving import WatchedAnswers, serve_under_lease
from tests.fakes.chain import FakeChain
from tests.fakes.ledgers import FakeLedgers
from tests.provider.scene import NETWORK, PRICES, SUBMIT, Scene


class Server:
    """An instance: `serving` while it answers, until `stop` or until its lease is `lost`."""

    def __init__(self, ledgers: FakeLedgers, name: str) -> None:
        self.ledgers, self.name = ledgers, name
        self.serving, self.stop, self.lost = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.served = 0

    async def run(self) -> None:
        await serve_under_lease(
            ledgers=self.ledgers,
            provider="own",
            holder=self.name,
            work=self.work,
            stop=self.stop,
            standby_s=0.01,
        )

    async def work(self, ledger: Ledger) -> None:
        self.served += 1
        self.serving.set()
        ended = [asyncio.ensure_future(event.wait()) for event in (self.stop, self.lost)]
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        for each in ended:
            each.cancel()
        self.serving.clear()
        self.lost.clear()
        await ledger.load(VotingRoundId(0))


async def within(waited: Any) -> None:
    async with asyncio.timeout(10):
        await waited


async def test_a_standby_takes_over_when_the_first_ends_and_not_before() -> None:
    ledgers = FakeLedgers()
    first, second = Server(ledgers, "first"), Server(ledgers, "second")
    async with asyncio.TaskGroup() as group:
        group.create_task(first.run())
        await within(first.serving.wait())
        group.create_task(second.run())
        await asyncio.sleep(0)
        assert not second.serving.is_set()
        first.stop.set()
        await within(second.serving.wait())
        second.stop.set()
    assert (first.served, second.served) == (1, 1)


async def test_an_instance_whose_lease_is_lost_stands_by_again() -> None:
    ledgers = FakeLedgers()
    server = Server(ledgers, "first")
    async with asyncio.TaskGroup() as group:
        group.create_task(server.run())
        await within(server.serving.wait())
        ledgers.take_over("own", "another")
        server.lost.set()
        while server.serving.is_set():
            await asyncio.sleep(0)
        ledgers.books["own"].holder = None
        await within(server.serving.wait())
        server.stop.set()
    assert server.served == 2


async def test_answers_say_when_their_lease_is_lost() -> None:
    scene, ledgers = Scene(), FakeLedgers()

    async def values(voting_round: VotingRoundId, at: float) -> dict[str, float]:
        return PRICES

    answers = WatchedAnswers(
        ProtocolAnswers(
            network=NETWORK,
            submit_address=SUBMIT.address,
            chain=FakeChain(scene.world, SUBMIT.address),
            ledger=ledgers.take_over("own", "first"),
            values=values,
            entropy=bytes,
        )
    )
    assert await answers.submit1(VotingRoundId(0), SUBMIT.address, 1_076.0) is not None
    assert not answers.lost.is_set()
    ledgers.take_over("own", "second")
    with pytest.raises(LeaseLost):
        await answers.submit2(VotingRoundId(0), SUBMIT.address, 1_110.0)
    assert answers.lost.is_set()
