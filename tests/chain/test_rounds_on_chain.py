"""Whole voting rounds with real, signed transactions on a local chain."""

from __future__ import annotations

from core.ftso.identities import VotingRoundId
from tests.chain.stage import open_stage
from tests.chain.witness import judge
from tests.fakes.ledgers import FakeLedgers


async def test_four_providers_of_unequal_weight_finalize_every_round_with_one_root() -> None:
    async with open_stage() as stage:
        ledgers = FakeLedgers()
        providers = [
            stage.provider(voter, ledgers.take_over(voter.submit.address.text, "test"))
            for voter in stage.voters
        ]
        rounds, start = 4, stage.network.first_round_at
        for at in range(start + 1, start + 10 * (rounds + 2)):
            for provider in providers:
                await provider.turn(float(at))
            await stage.mine(at)
        verdict = judge(await stage.reader(), stage.network, stage.voters, range(rounds), len(stage.feeds))
        assert verdict.clean
        assert (verdict.finalized, verdict.commits, verdict.reveals) == (rounds, 16, 16)
        for number in map(VotingRoundId, range(rounds)):
            assert len({book.scores[number].merkle_root for book in ledgers.books.values()}) == 1
