"""The duties of a reward epoch under faults: said once, sent until the chain shows it, and nothing twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import CollectorRegistry

from core.chain.keys import LocalKey
from core.ftso.claims import ClaimType, RewardClaim
from core.ftso.duties import Duty, EpochFacts, Owed, Vote
from core.ftso.epochs import local
from core.ftso.hashing import keccak
from core.ftso.identities import Address, RewardEpochId
from core.ftso.reward_data import RewardData
from core.ftso.round import Progress, Record
from core.ports import StoreUnavailable
from core.provider.dry import DrySystem
from core.provider.epoch_duties import PAUSES_S, UNPUBLISHED_S, EpochDuties
from core.provider.metrics import ProviderMetrics
from core.provider.ports import LeaseLost, System
from tests.fakes.chain import FakeWorld, reward_epoch
from tests.fakes.ledgers import FakeLedgers
from tests.fakes.system import FakeSystem

SIGNER, OTHER = LocalKey(keccak(b"own")), LocalKey(keccak(b"other"))
VOTER = Address(b"\x0a" * 20)
NETWORK = local(1_000, voting_epoch_s=90, reveal_deadline_s=45, reward_epoch_rounds=10)
PRESENT, LAST, NEXT = RewardEpochId(1), RewardEpochId(0), RewardEpochId(2)
EPOCH = reward_epoch([(SIGNER.address, VOTER, 60), (OTHER.address, VOTER, 40)])
SETTLED = Vote(frozenset({OTHER.address}), settled=True)
LIVED = EpochFacts(
    started=True,
    registration_opened=True,
    registered=frozenset({VOTER}),
    policy=EPOCH.policy,
    policy_vote=SETTLED,
)
OPEN = EpochFacts(registration_opened=True)
REGISTER = Owed(Duty.REGISTER, NEXT)
REWARDS = RewardData.of(LAST, "local", [RewardClaim(LAST, bytes(VOTER), 5, ClaimType.FEE)])


@dataclass
class Scene:
    """One voter's duties, over a system and ledgers that outlive it."""

    following: EpochFacts = OPEN
    last: EpochFacts = LIVED
    rewards: RewardData | None = None
    asked: int = 0
    ledgers: FakeLedgers = field(default_factory=FakeLedgers)
    metrics: ProviderMetrics = field(default_factory=lambda: ProviderMetrics(CollectorRegistry()))

    def __post_init__(self) -> None:
        world = FakeWorld(EPOCH)
        world.mine(1_000)
        world.known = {LAST: self.last, PRESENT: LIVED, NEXT: self.following}
        self.system = FakeSystem(world, VOTER, SIGNER.address)

    def duties(self, system: System | None = None) -> EpochDuties:
        """A new instance, which takes the lease."""

        async def published(_: RewardEpochId) -> RewardData | None:
            self.asked += 1
            return self.rewards

        return EpochDuties(
            network=NETWORK,
            signer=SIGNER,
            system=system or self.system,
            ledger=self.ledgers.take_over("own", "test"),
            metrics=self.metrics,
            rewards=published,
        )

    async def turns(self, duties: EpochDuties, times: Iterable[float]) -> None:
        for at in times:
            await duties.turn(at)

    @property
    def taken(self) -> list[Owed]:
        return [owed for owed, _ in self.system.taken]

    def count(self, owed: Owed, end: str) -> float:
        return self.metrics.duties.labels(owed.duty, end)._value.get()


async def test_a_registration_is_durable_before_it_is_sent_and_done_once_the_chain_shows_it() -> None:
    scene = Scene()
    duties, book = scene.duties(), scene.ledgers.books["own"]
    await duties.turn(1_000.0)
    assert scene.taken == [REGISTER]
    assert book.duties[REGISTER].progress is Progress.ATTEMPTED
    scene.system.mine()
    await scene.turns(duties, (1_010.0, 1_020.0))
    assert book.duties[REGISTER].progress is Progress.CONFIRMED
    assert (scene.taken, scene.count(REGISTER, "done")) == ([REGISTER], 1)


async def test_nothing_is_sent_that_is_not_durable() -> None:
    scene = Scene()
    duties, book = scene.duties(), scene.ledgers.books["own"]
    book.full = True
    await duties.turn(1_000.0)
    assert scene.system.tries == 0
    book.full = False
    await duties.turn(1_010.0)
    assert scene.taken == [REGISTER]


async def test_a_refused_registration_is_tried_again_after_growing_and_bounded_pauses() -> None:
    scene = Scene()
    duties = scene.duties()
    scene.system.refuses = "voter weight zero"
    tried = []
    for at in range(1_000, 1_400):
        before = scene.system.tries
        await duties.turn(float(at))
        if scene.system.tries > before:
            tried.append(at)
    pauses = [later - earlier for earlier, later in itertools.pairwise(tried)]
    assert pauses[: len(PAUSES_S)] == list(PAUSES_S)
    assert max(pauses) == PAUSES_S[-1]
    scene.system.refuses = None
    await duties.turn(1_500.0)
    assert scene.taken == [REGISTER]


async def test_who_is_registered_already_is_not_counted_as_a_failure() -> None:
    scene = Scene()
    duties = scene.duties()
    scene.system.refuses = "already registered"
    await duties.turn(1_000.0)
    assert scene.metrics.failures.labels(Duty.REGISTER, "Refused")._value.get() == 0
    scene.system.world.known[NEXT] = replace(OPEN, registered=frozenset({VOTER}))
    await duties.turn(1_010.0)
    assert (scene.taken, scene.count(REGISTER, "done")) == ([], 1)


async def test_endpoints_that_are_away_in_the_window_cost_no_registration() -> None:
    scene = Scene()
    duties = scene.duties()
    await duties.turn(1_000.0)
    scene.system.taken.clear()
    scene.system.waits.clear()  # it was dropped
    scene.system.down = True
    await scene.turns(duties, (1_010.0, 1_020.0, 1_030.0))
    scene.system.down = False
    await duties.turn(1_100.0)
    scene.system.mine()
    await duties.turn(1_200.0)
    assert scene.taken == [REGISTER]


async def test_a_restart_in_between_says_the_same_and_a_restart_afterwards_says_nothing() -> None:
    scene = Scene()
    first = scene.duties()
    await first.turn(1_000.0)
    second = scene.duties()
    await second.restore(1_001.0)
    await second.turn(1_001.0)
    (_, one), (_, other) = scene.system.taken
    assert one == other
    scene.system.mine()
    third = scene.duties()
    await third.restore(1_010.0)
    await scene.turns(third, (1_010.0, 1_020.0))
    assert len(scene.system.taken) == 2
    assert scene.count(REGISTER, "done") == 1


async def test_an_instance_that_was_overtaken_sends_nothing() -> None:
    scene = Scene()
    old = scene.duties()
    scene.duties()
    with pytest.raises(LeaseLost):
        await old.turn(1_000.0)
    assert scene.system.tries == 0


async def test_a_duty_never_says_a_second_thing() -> None:
    scene = Scene()
    scene.ledgers.books["own"].duties[REGISTER] = Record(Progress.ATTEMPTED, 990.0, b"something else")
    duties = scene.duties()
    await duties.turn(1_000.0)
    assert scene.system.tries == 0
    assert scene.metrics.failures.labels(Duty.REGISTER, "DutyContradiction")._value.get() == 1


async def test_a_missed_registration_is_told_once() -> None:
    scene = Scene(following=replace(OPEN, policy=EPOCH.policy, policy_vote=SETTLED))
    await scene.turns(scene.duties(), (1_000.0, 1_010.0, 1_020.0))
    assert scene.count(REGISTER, "missed") == 1


UPTIME_VOTED = replace(LIVED, uptime_opened=True, uptime_vote=SETTLED)
PAID = replace(UPTIME_VOTED, rewards_vote=SETTLED, rewards=REWARDS.root)
QUIET = replace(OPEN, registered=frozenset({VOTER}))


async def test_rewards_that_are_not_published_are_looked_for_again_later() -> None:
    scene = Scene(following=QUIET, last=UPTIME_VOTED)
    duties = scene.duties()
    await scene.turns(duties, (1_000.0, 1_010.0, 1_020.0))
    assert scene.asked == 1
    scene.rewards = REWARDS
    await duties.turn(1_000.0 + UNPUBLISHED_S)
    assert scene.taken == [Owed(Duty.SIGN_REWARDS, LAST)]


@pytest.mark.parametrize(
    "rewards",
    [
        RewardData.of(LAST, "flare", REWARDS.claims),
        RewardData.of(PRESENT, "local", REWARDS.claims),
        RewardData.of(LAST, "local", [RewardClaim(LAST, b"\x0b" * 20, 5, ClaimType.FEE)]),
    ],
)
async def test_rewards_of_another_network_or_epoch_or_without_us_are_not_signed(rewards: RewardData) -> None:
    scene = Scene(following=QUIET, last=UPTIME_VOTED, rewards=rewards)
    await scene.duties().turn(1_000.0)
    assert scene.system.tries == 0
    assert scene.metrics.failures.labels(Duty.SIGN_REWARDS, "UntrustedRewards")._value.get() == 1


async def test_rewards_are_claimed_until_nothing_is_left_and_never_again() -> None:
    scene = Scene(following=QUIET, last=PAID, rewards=REWARDS)
    scene.system.pays = 5
    duties = scene.duties()
    await duties.turn(1_000.0)
    scene.system.mine()
    await scene.turns(duties, (1_010.0, 1_020.0))
    assert scene.taken == [Owed(Duty.CLAIM, LAST)]
    later = scene.duties()
    await later.restore(1_030.0)
    await scene.turns(later, (1_030.0, 1_040.0))
    assert scene.taken == [Owed(Duty.CLAIM, LAST)]


async def test_nothing_is_claimed_with_rewards_that_voters_did_not_sign() -> None:
    other = RewardData.of(LAST, "local", [RewardClaim(LAST, bytes(VOTER), 6, ClaimType.FEE)])
    scene = Scene(following=QUIET, last=PAID, rewards=other)
    scene.system.pays = 6
    await scene.duties().turn(1_000.0)
    assert scene.system.tries == 0


async def test_a_dry_run_sends_nothing() -> None:
    scene = Scene(last=PAID, rewards=REWARDS)
    scene.system.pays = 5
    await scene.turns(scene.duties(DrySystem(scene.system)), (1_000.0, 1_010.0, 1_100.0))
    assert scene.system.tries == 0


async def test_a_signer_of_no_voter_owes_nothing() -> None:
    scene = Scene()
    scene.system.signer = OTHER.address
    await scene.duties().turn(1_000.0)
    assert scene.system.tries == 0


async def test_a_ledger_that_cannot_be_read_is_told_to_the_caller() -> None:
    scene = Scene()
    scene.ledgers.books["own"].full = True
    with pytest.raises(StoreUnavailable):
        await scene.duties().restore(1_000.0)
