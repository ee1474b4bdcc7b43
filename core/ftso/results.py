"""The results of a round: a value for each feed, the random number, and the Merkle tree over them.

flare-specs FTSO/Anchor (round results). A pure function of what the chain shows: the reward epoch's feeds in
canonical order, its voters with their weights in the median, and the reveals that count. Everybody who
computes it from the same chain signs the same root.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from chrono.feeds import FeedId
from core.ftso.errors import NoResult
from core.ftso.feed_order import Feed
from core.ftso.feed_values import decode_values
from core.ftso.hashing import abi_hash
from core.ftso.identities import FTSO_PROTOCOL, Address, VotingRoundId
from core.ftso.median import WeightedMedian, turnout_bips, weighted_median
from core.ftso.merkle import MerkleTree
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.randomness import RandomResult, round_random
from core.ftso.reveal import Reveal
from core.ftso.wire import checked

_FEED_TYPES = ("uint32", "bytes21", "int32", "uint16", "int8")


@dataclass(frozen=True, slots=True)
class Voter:
    """A provider by its submit address, and its weight in the median.

    That is its capped delegation weight in wei; its signing weight where FIP-16 is in force.
    """

    submit_address: Address
    weight: int


@dataclass(frozen=True, slots=True)
class FeedResult:
    """One feed's leaf, as FtsoFeedPublisher wants it. Without any vote the value and turnout are 0."""

    voting_round: VotingRoundId
    feed: FeedId
    value: int
    turnout_bips: int
    decimals: int

    def __post_init__(self) -> None:
        checked("voting round", self.voting_round, 0, 2**32 - 1)
        checked("value", self.value, -(2**31), 2**31 - 1)
        checked("turnout", self.turnout_bips, 0, 2**16 - 1)
        checked("decimals", self.decimals, -128, 127)

    @property
    def hash(self) -> bytes:
        """keccak256(abi.encode(uint32 round, bytes21 id, int32 value, uint16 turnoutBIPS, int8 decimals))."""
        values = (self.voting_round, bytes(self.feed), self.value, self.turnout_bips, self.decimals)
        return abi_hash(_FEED_TYPES, values)


@dataclass(frozen=True, slots=True)
class FeedOutcome:
    """A feed's leaf and what it comes from: the median, and each voter's value in voters' order."""

    result: FeedResult
    median: WeightedMedian
    values: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class RoundResults:
    """All that a round decided."""

    voting_round: VotingRoundId
    feeds: tuple[FeedOutcome, ...]
    random: RandomResult
    tree: MerkleTree

    def message(self) -> ProtocolMessage:
        """What is to be signed."""
        return ProtocolMessage(FTSO_PROTOCOL, self.voting_round, self.random.secure, self.tree.root)

    def proof(self, feed: FeedId) -> tuple[FeedResult, tuple[bytes, ...]]:
        """A feed's leaf with its proof; raise NoResult if the round had no such feed."""
        for outcome in self.feeds:
            if outcome.result.feed == feed:
                return outcome.result, self.tree.proof(outcome.result.hash)
        raise NoResult(f"round {self.voting_round} has no feed {feed.hex()}")


def round_results(
    voting_round: VotingRoundId,
    *,
    feeds: Sequence[Feed],
    voters: Sequence[Voter],
    kept: Mapping[Address, Reveal],
    offended: Collection[Address],
    benched: Collection[Address],
) -> RoundResults:
    """Compute a round. `kept` and `offended` may name others than voters: those are left out.

    `kept` comes from `submissions.kept_promises`, with values for at most `feeds`. Raises NoResult if no
    voter revealed, and where the reference has no result either.
    """
    eligible = {voter.submit_address for voter in voters}
    reveals = {who: reveal for who, reveal in kept.items() if who in eligible}
    if not reveals:
        raise NoResult(f"no voter revealed in round {voting_round}")
    outcomes = _outcomes(voting_round, feeds, voters, reveals)
    random = round_random(voting_round, reveals, [who for who in offended if who in eligible], benched)
    tree = MerkleTree([random.hash, *(outcome.result.hash for outcome in outcomes)])
    return RoundResults(voting_round, outcomes, random, tree)


def _outcomes(
    voting_round: VotingRoundId,
    feeds: Sequence[Feed],
    voters: Sequence[Voter],
    reveals: Mapping[Address, Reveal],
) -> tuple[FeedOutcome, ...]:
    nothing = (None,) * len(feeds)
    rows = []
    for voter in voters:
        reveal = reveals.get(voter.submit_address)
        rows.append(nothing if reveal is None else decode_values(reveal.values, len(feeds)))
    weights = [voter.weight for voter in voters]
    columns = zip(*rows, strict=True)
    return tuple(
        _outcome(voting_round, feed, column, weights) for feed, column in zip(feeds, columns, strict=True)
    )


def _outcome(
    voting_round: VotingRoundId, feed: Feed, values: tuple[int | None, ...], weights: Sequence[int]
) -> FeedOutcome:
    median = weighted_median(values, weights)
    value = 0 if median.median is None else median.median
    turnout = turnout_bips(median.weight, sum(weights))
    result = FeedResult(voting_round, feed.id, value, turnout, feed.decimals)
    return FeedOutcome(result, median, values)
