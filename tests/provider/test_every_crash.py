"""A provider is killed at every instant at which it touches the world, and its word is kept all the same."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import pytest

from core.ftso.identities import VotingRoundId
from core.ftso.round import Record
from core.ftso.timings import Step
from core.provider.engine import Provider
from core.provider.ports import Frozen, Function, Kept, View
from core.provider.score import RoundScore
from tests.fakes.chain import FakeChain
from tests.fakes.ledgers import FakeLedger
from tests.provider.scene import SUBMIT, TICKS, Scene

INSTANTS = 16
FIRST_ROUND = VotingRoundId(0)


class Killed(BaseException):
    """The process is gone: nothing in it may catch this."""


class Doom:
    """Counts touches of the world; kills before or after the one that is due."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._left, self._after, self.struck = at, after, False

    def before(self) -> None:
        self._left -= 1
        if self._left == 0 and not self._after:
            self.struck = True
            raise Killed

    def then(self) -> None:
        if self._left == 0 and self._after:
            self.struck = True
            raise Killed


class DoomedLedger:
    """A Ledger whose writes are instants to die at."""

    def __init__(self, ledger: FakeLedger, doom: Doom) -> None:
        self._ledger, self._doom = ledger, doom

    async def load(self, since: VotingRoundId) -> Sequence[Kept]:
        return await self._ledger.load(since)

    async def freeze(self, voting_round: VotingRoundId, at: float, frozen: Frozen) -> Frozen:
        self._doom.before()
        standing = await self._ledger.freeze(voting_round, at, frozen)
        self._doom.then()
        return standing

    async def note(self, voting_round: VotingRoundId, step: Step, record: Record) -> bytes:
        self._doom.before()
        standing = await self._ledger.note(voting_round, step, record)
        self._doom.then()
        return standing

    async def keep_score(self, score: RoundScore) -> None:
        self._doom.before()
        await self._ledger.keep_score(score)
        self._doom.then()


class DoomedChain(FakeChain):
    """A Chain whose transactions are instants to die at."""

    def __init__(self, scene: Scene, doom: Doom) -> None:
        super().__init__(scene.world, SUBMIT.address)
        self._doom = doom

    async def observe(self, since: int) -> View:
        return self.world

    async def want(self, function: Function, voting_round: VotingRoundId, calldata: bytes, at: float) -> None:
        self._doom.before()
        await super().want(function, voting_round, calldata, at)
        self._doom.then()


def doomed(scene: Scene, doom: Doom) -> Provider:
    ledger = DoomedLedger(scene.ledgers.take_over("own", "doomed"), doom)
    return scene.provider(ledger=ledger, chain=DoomedChain(scene, doom))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("instant", range(1, INSTANTS + 1))
async def test_whatever_was_committed_is_revealed_after_a_kill(instant: int, after: bool) -> None:
    scene, doom = Scene(), Doom(instant, after=after)
    ours, theirs = doomed(scene, doom), scene.provider(name="other")
    for offset in TICKS:
        at = 1_000 + offset
        try:
            await ours.turn(float(at))
        except Killed:
            ours = scene.provider()
            await ours.restore(float(at))
            await ours.turn(float(at))
        await theirs.turn(float(at))
        scene.world.mine(at)
    assert scene.kept_word() is True
    assert len(scene.commits()) == 1
    assert FIRST_ROUND in scene.world.results


async def test_the_instants_reach_to_the_end_of_the_round() -> None:
    scene, doom = Scene(), Doom(INSTANTS, after=False)
    theirs = scene.provider(name="other")
    ours = doomed(scene, doom)
    with suppress(Killed):
        await scene.play(ours, theirs)
    assert not doom.struck
