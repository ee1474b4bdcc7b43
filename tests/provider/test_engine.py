"""The provider on a chain in memory: its word is durable before it is public, and is kept."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.ftso.identities import VotingRoundId
from core.ftso.round import Progress, Record
from core.ftso.timings import Step
from core.provider.dry import DryChain
from core.provider.ports import ChainUnavailable, Function, LeaseLost
from tests.fakes.chain import FakeChain
from tests.provider.scene import EPOCH, OTHER, OTHER_SUBMIT, SUBMIT, Scene

FIRST = VotingRoundId(0)


async def test_a_round_is_committed_revealed_signed_and_finalized() -> None:
    scene = Scene()
    await scene.play(scene.provider(), scene.provider(name="other"))
    assert scene.kept_word() is True
    assert scene.world.results[FIRST].merkle_root == scene.book.scores[FIRST].merkle_root
    assert all(scene.book.steps[FIRST][step].progress is Progress.CONFIRMED for step in
               (Step.COMMIT, Step.REVEAL, Step.SIGN, Step.FINALIZE))  # fmt: skip


async def test_a_step_that_the_chain_shows_is_not_taken_again() -> None:
    scene = Scene()
    await scene.play(scene.provider(), scene.provider(name="other"))
    sent = {function: scene.sent(function) for function in Function if function is not Function.RELAY}
    assert sent == {
        Function.SUBMIT1: 1, Function.SUBMIT2: 1, Function.SUBMIT_SIGNATURES: 1, Function.PUBLISH: 0
    }  # fmt: skip


async def test_nothing_is_sent_while_the_disk_is_full() -> None:
    scene = Scene()
    provider = scene.provider()
    scene.book.full = True
    await scene.play(provider, until=91)
    assert scene.world.wanted == []


async def test_a_disk_that_is_full_for_a_moment_costs_no_round() -> None:
    scene = Scene()
    provider = scene.provider()
    scene.book.full = True
    await provider.turn(1_076.0)
    scene.book.full = False
    await scene.play(provider)
    assert scene.kept_word() is True


async def test_a_disk_that_is_full_after_the_commit_keeps_no_reveal_back() -> None:
    scene = Scene()
    provider = scene.provider()
    await scene.play(provider, until=80)
    scene.book.full = True
    await scene.play(provider, since=85, until=130)
    assert scene.kept_word() is True


async def test_a_database_that_dies_after_the_commit_keeps_no_reveal_back() -> None:
    scene = Scene()
    provider = scene.provider()
    await scene.play(provider, until=91)
    scene.ledgers.take_over("own", "nobody")
    with pytest.raises(LeaseLost):
        await provider.turn(1_110.0)
    await provider.keep_promises(1_111.0)
    scene.world.mine(1_111)
    assert scene.kept_word() is True
    assert len(scene.commits()) == 1


async def test_promises_alone_commit_to_nothing() -> None:
    scene = Scene()
    provider = scene.provider()
    await provider.keep_promises(1_076.0)
    assert scene.world.wanted == []


async def test_an_instance_that_lost_its_lease_says_nothing() -> None:
    scene = Scene()
    provider = scene.provider()
    scene.ledgers.take_over("own", "second")
    with pytest.raises(LeaseLost):
        await provider.turn(1_076.0)
    assert scene.world.wanted == []


async def test_a_standby_reveals_what_the_first_instance_committed() -> None:
    scene = Scene()
    first = scene.provider()
    await scene.play(first, until=85)
    second = scene.provider()
    await second.restore(1_090.0)
    for offset in (110, 116):
        await second.turn(1_000.0 + offset)
        scene.world.mine(1_000 + offset)
    assert scene.kept_word() is True
    assert len(scene.commits()) == 1


async def test_who_is_not_registered_commits_to_nothing() -> None:
    scene = Scene()
    strangers = tuple(each for each in EPOCH.registrations if each.submit != SUBMIT.address)
    policy = replace(EPOCH.policy, signers=EPOCH.policy.signers[1:])
    scene.world.epoch = replace(EPOCH, registrations=strangers, policy=policy)
    await scene.play(scene.provider())
    assert scene.world.wanted == []


async def test_a_chain_that_hangs_during_the_commit_delays_it_and_no_more() -> None:
    scene = Scene()
    provider = scene.provider()
    scene.world.down = True
    with pytest.raises(ChainUnavailable):
        await provider.turn(1_076.0)
    scene.world.down = False
    await scene.play(provider)
    assert scene.kept_word() is True


async def test_a_clock_that_is_early_reveals_nothing_before_the_chain_has_closed_the_commits() -> None:
    scene = Scene()
    provider = scene.provider()
    await scene.play(provider, until=85)
    await provider.turn(1_111.0)
    assert scene.sent(Function.SUBMIT2) == 0
    scene.world.mine(1_091)
    await provider.turn(1_112.0)
    assert scene.sent(Function.SUBMIT2) == 1


async def test_a_clock_that_is_in_another_round_than_the_chain_commits_to_nothing() -> None:
    scene = Scene()
    await scene.provider().turn(1_000.0 + 90 + 76)
    assert scene.world.wanted == []


async def test_a_commit_that_a_reorganisation_took_back_is_sent_again_unchanged() -> None:
    scene = Scene()
    provider = scene.provider()
    await scene.play(provider, until=80)
    taken = scene.world.index.last
    assert taken is not None
    scene.world.index.take_back(taken.number - 1)
    scene.world.mine(1_081)
    await scene.play(provider, since=85)
    assert scene.sent(Function.SUBMIT1) == 2
    assert len(scene.commits()) == 1
    assert scene.kept_word() is True


async def test_a_commit_that_is_not_seen_any_more_after_its_window_is_revealed_all_the_same() -> None:
    scene = Scene()
    provider = scene.provider()
    await scene.play(provider, until=91)
    last = scene.world.index.last
    assert last is not None
    scene.world.index.take_back(last.number - 3)
    scene.world.mine(1_092)
    await provider.turn(1_093.0)
    await provider.turn(1_110.0)
    assert scene.sent(Function.SUBMIT2) == 1


async def test_a_result_that_changes_after_it_was_signed_is_not_signed_a_second_time() -> None:
    scene = Scene()
    ours, theirs = scene.provider(), scene.provider(name="other")
    scene.book.steps[FIRST][Step.SIGN] = Record(Progress.ATTEMPTED, 1_135.0, b"another result".ljust(38))
    await scene.play(ours, theirs)
    assert scene.sent(Function.SUBMIT_SIGNATURES) == 0


async def test_a_dry_run_reads_and_records_and_sends_nothing() -> None:
    scene = Scene()
    dry = DryChain(FakeChain(scene.world, SUBMIT.address))
    await scene.play(scene.provider(chain=dry), scene.provider(name="other"))
    assert {who for who, *_ in scene.world.wanted} == {OTHER_SUBMIT.address}
    assert FIRST in scene.book.frozen


async def test_a_feed_without_a_price_is_empty_and_the_others_stand() -> None:
    scene = Scene()
    provider = scene.provider(prices={"FLR/USD": 0.02})
    await scene.play(provider, scene.provider(name="other"))
    assert scene.kept_word() is True
    assert [feed.ours is None for feed in scene.book.scores[FIRST].feeds].count(False) == 1


async def test_finalization_waits_for_weight_enough() -> None:
    scene = Scene()
    heavy = replace(EPOCH.policy, threshold=150)
    scene.world.epoch = replace(EPOCH, policy=heavy)
    await scene.play(scene.provider())
    assert scene.world.results == {}
    assert scene.sent(Function.RELAY) == 0
    assert OTHER.address in {signer.address for signer in heavy.signers}
