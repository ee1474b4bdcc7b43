"""Reading the chain: from any start, in any order of surprises."""

from __future__ import annotations

from core.chain.account import Account, Wish
from core.chain.reader import Reader
from core.ftso.identities import FTSO_PROTOCOL, RewardEpochId, VotingRoundId
from core.ftso.payload import Message, encode_messages, selector
from core.provider.ports import Function
from tests.chain.stage import Stage, open_stage

NOW = 1_700_001_000
LATER = 2_000_000_000


async def submit(stage: Stage, text: bytes) -> None:
    """Send a submit1 of the first voter with that payload."""
    calldata = selector("submit1()") + encode_messages([Message(FTSO_PROTOCOL, VotingRoundId(0), text)])
    key, scene = stage.voters[0].submit, stage.scene
    account = Account(key, stage.endpoints, stage.network.chain_id, scene.fees)
    await account.want(Wish(text, scene.addresses["Submission"], calldata, 200_000), 0.0)


def payloads(reader: Reader) -> list[bytes]:
    found = reader.submissions(Function.SUBMIT1, 0, LATER)
    return [message.payload for submission in found for message in submission.messages]


async def test_submissions_are_read_with_their_block_time_and_sender() -> None:
    async with open_stage(count=1) as stage:
        await submit(stage, b"one")
        await stage.mine(NOW + 7)
        (found,) = (await stage.reader()).submissions(Function.SUBMIT1, NOW, LATER)
        assert (found.sender, found.at) == (stage.voters[0].submit.address, NOW + 7)


async def test_reading_from_later_on_finds_the_reward_epoch_all_the_same() -> None:
    async with open_stage(count=2) as stage:
        await stage.mine(NOW + 100)
        await stage.mine(NOW + 200)
        reader = Reader(stage.endpoints, stage.scene.addresses, log_blocks=5)
        await reader.catch_up(NOW + 150)
        assert reader.covers(NOW + 150)
        assert not reader.covers(NOW)
        epoch = reader.reward_epoch_of(VotingRoundId(0))
        assert epoch is not None
        assert [each.submit for each in epoch.registrations] == [v.submit.address for v in stage.voters]
        assert [feed.id for feed in epoch.feeds] == sorted(feed.id for feed in stage.feeds)


async def test_a_reorganisation_takes_back_what_was_read_and_brings_what_came_instead() -> None:
    async with open_stage(count=1) as stage:
        reader = await stage.reader()
        snapshot = await stage.endpoints.ask("evm_snapshot")
        await submit(stage, b"gone")
        for second in range(1, 4):
            await stage.mine(NOW + second)
        await reader.catch_up(0)
        assert payloads(reader) == [b"gone"]
        await stage.endpoints.ask("evm_revert", snapshot)
        await submit(stage, b"instead")
        await stage.mine(NOW + 2)
        await reader.catch_up(0)
        assert payloads(reader) == [b"instead"]
        assert reader.reorganisations == 1
        assert reader.head_at == NOW + 2


async def test_a_longer_chain_replaces_a_shorter_one() -> None:
    async with open_stage(count=1) as stage:
        reader = await stage.reader()
        snapshot = await stage.endpoints.ask("evm_snapshot")
        await stage.begin(RewardEpochId(2), VotingRoundId(5))
        await reader.catch_up(0)
        assert reader.newest_reward_epoch() == 2
        await stage.endpoints.ask("evm_revert", snapshot)
        for second in range(1, 12):
            await stage.mine(NOW + second)
        await reader.catch_up(0)
        assert reader.newest_reward_epoch() == 1
        assert reader.reorganisations == 1


async def test_bytes_that_are_no_messages_are_passed_over() -> None:
    async with open_stage(count=1) as stage:
        calldata = selector("submit1()") + b"\x64\x00"
        account = Account(stage.voters[0].submit, stage.endpoints, stage.network.chain_id, stage.scene.fees)
        await account.want(Wish("x", stage.scene.addresses["Submission"], calldata, 200_000), 0.0)
        await stage.mine(NOW + 1)
        assert payloads(await stage.reader()) == []
