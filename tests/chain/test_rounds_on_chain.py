"""Whole voting rounds with real, signed transactions on a local chain."""

from __future__ import annotations

from dataclasses import replace

from eth_abi.abi import decode

from chrono.feeds import FeedId
from core.chain.contracts import call
from core.ftso.epochs import local
from core.ftso.identities import RewardEpochId, VotingRoundId
from core.ftso.payload import selector
from tests.chain.stage import GENESIS, Stage, open_stage
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


async def test_reward_epochs_follow_each_other_and_values_are_published_with_proofs() -> None:
    network = replace(local(GENESIS + 1_000, reward_epoch_rounds=3), benching_rounds=2)
    async with open_stage(count=2, network=network) as stage:
        ledgers = FakeLedgers()
        providers = [
            stage.provider(voter, ledgers.take_over(voter.submit.address.text, "test"), publishes=True)
            for voter in stage.voters
        ]
        rounds, start = 7, network.first_round_at
        for at in range(start + 1, start + 10 * (rounds + 2)):
            if (at - start) % 30 == 20:
                following = (at - start) // 30 + 1
                await prepare(stage, RewardEpochId(following + 1), VotingRoundId(3 * following), at)
            for provider in providers:
                await provider.turn(float(at))
            await stage.mine(at)
        reader = await stage.reader()
        verdict = judge(reader, network, stage.voters, range(rounds), len(stage.feeds))
        assert verdict.clean
        assert (verdict.finalized, verdict.reveals) == (rounds, 2 * rounds)
        assert reader.newest_reward_epoch() == 4
        call_data = selector("getCurrentFeed(bytes21)") + bytes(stage.feeds[0].id).ljust(32, b"\0")
        raw = await call(stage.endpoints, stage.scene.addresses["FtsoFeedPublisher"], call_data)
        voting_round, feed_id, value, *_ = decode(["uint32", "bytes21", "int32", "uint16", "int8"], raw)
        book = ledgers.books[stage.voters[0].submit.address.text]
        published = book.scores[VotingRoundId(voting_round)].feeds
        assert value == next(feed.value for feed in published if feed.feed == FeedId(feed_id).name)
        assert voting_round >= rounds - 1


async def prepare(stage: Stage, number: RewardEpochId, first_round: VotingRoundId, at: int) -> None:
    """Prepare the next reward epoch in one second of the chain: all its transactions wait for one block."""
    await stage.endpoints.ask("anvil_setBlockTimestampInterval", 0)
    await stage.begin(number, first_round)
