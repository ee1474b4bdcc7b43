"""A chain in memory: transactions wait until a block is made, the relay checks weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chrono.feeds import FEEDS
from core.chain.blocks import Block, BlockIndex
from core.ftso.duties import EpochFacts
from core.ftso.feed_order import Feed
from core.ftso.finalization import Finalization
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.payload import decode_calldata
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.signing_policy import Signer, SigningPolicy
from core.ftso.submissions import Submission
from core.provider.ports import ChainUnavailable, Function, View
from core.provider.reward_epoch import Registration, RewardEpoch


@dataclass
class FakeWorld:
    """What all see. `wanted` is every transaction that was ever taken, in order."""

    epoch: RewardEpoch
    index: BlockIndex = field(default_factory=BlockIndex)
    results: dict[VotingRoundId, ProtocolMessage] = field(default_factory=dict)
    pool: list[tuple[Address, Function, bytes]] = field(default_factory=list)
    wanted: list[tuple[Address, Function, VotingRoundId, bytes]] = field(default_factory=list)
    known: dict[RewardEpochId, EpochFacts] = field(default_factory=dict)
    down: bool = False

    def facts(self) -> Mapping[RewardEpochId, EpochFacts]:
        return self.known

    @property
    def head_at(self) -> int:
        return 0 if self.index.last is None else self.index.last.at

    @property
    def reorganisations(self) -> int:
        return self.index.reorganisations

    def submissions(self, function: Function, start: int, end: int) -> Sequence[Submission]:
        return self.index.submissions(function, start, end)

    def covers(self, start: int) -> bool:
        return self.index.covers(start)

    def finalized(self, voting_round: VotingRoundId) -> ProtocolMessage | None:
        return self.results.get(voting_round)

    def reward_epoch_of(self, voting_round: VotingRoundId) -> RewardEpoch | None:
        return self.epoch if voting_round >= self.epoch.policy.first_round else None

    def newest_reward_epoch(self) -> RewardEpochId | None:
        return self.epoch.id

    def mine(self, at: int) -> None:
        """Put what waits into a block of that time."""
        number = 0 if self.index.last is None else self.index.last.number + 1
        found: dict[Function, list[Submission]] = {}
        for place, (sender, function, calldata) in enumerate(self.pool):
            if function is Function.RELAY:
                self._relay(Finalization.decode_calldata(calldata))
            else:
                submission = Submission(sender, at, number, place, decode_calldata(calldata))
                found.setdefault(function, []).append(submission)
        self.pool.clear()
        parent = b"" if self.index.last is None else self.index.last.hash
        block = Block(number, b"%d at %d" % (number, at), parent, at, {f: tuple(s) for f, s in found.items()})
        assert self.index.add(block)

    def _relay(self, finalization: Finalization) -> None:
        message = finalization.message
        assert isinstance(message, ProtocolMessage)
        if finalization.weight > self.epoch.policy.threshold:
            self.results.setdefault(message.voting_round, message)


class FakeChain:
    """One provider's Chain on the world."""

    def __init__(self, world: FakeWorld, sender: Address) -> None:
        self.world, self.sender = world, sender

    async def observe(self, since: int) -> View:
        if self.world.down:
            raise ChainUnavailable("the endpoint hangs")
        return self.world

    async def want(self, function: Function, voting_round: VotingRoundId, calldata: bytes, at: float) -> None:
        if self.world.down:
            raise ChainUnavailable("the endpoint hangs")
        self.world.wanted.append((self.sender, function, voting_round, calldata))
        self.world.pool.append((self.sender, function, calldata))


def reward_epoch(signers: Sequence[tuple[Address, Address, int]], feeds: int = 3) -> RewardEpoch:
    """A reward epoch from round 0 on: (signing policy address, submit address, weight) a voter."""
    policy = SigningPolicy(
        RewardEpochId(1),
        VotingRoundId(0),
        sum(weight for _, _, weight in signers) // 2,
        b"\x05" * 32,
        tuple(Signer(signing, weight) for signing, _, weight in signers),
    )
    registrations = tuple(
        Registration(signing, signing, submit, submit, weight) for signing, submit, weight in signers
    )
    return RewardEpoch(policy, registrations, tuple(Feed(feed.id, feed.decimals) for feed in FEEDS[:feeds]))
