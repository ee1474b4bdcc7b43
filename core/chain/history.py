"""Events in the chain's order, and the reward epochs and results they amount to.

Pure. A reward epoch is known once its signing policy is, with the registration of every signer and the offers
that were made before offers closed. A reorganisation takes events back by block.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from core.chain.events import (
    CommunityOffered,
    Event,
    InflationOffered,
    OffersClosed,
    PolicyInitialized,
    ResultRelayed,
    VoterInformed,
    VoterRegistered,
)
from core.chain.facts import facts_of
from core.ftso.duties import EpochFacts
from core.ftso.feed_order import CommunityOffer, Feed, canonical_feed_order
from core.ftso.identities import FTSO_PROTOCOL, Address, RewardEpochId, VotingRoundId
from core.ftso.protocol_message import ProtocolMessage
from core.provider.reward_epoch import Registration, RewardEpoch, in_policy_order

EPOCHS_KEPT = 5


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and its place in the chain."""

    block: int
    index: int
    event: Event


class History:
    """Events so far, and what follows from them."""

    def __init__(self) -> None:
        self._events: list[Placed] = []
        self._results: dict[VotingRoundId, tuple[int, ProtocolMessage]] = {}
        self._epochs: dict[RewardEpochId, RewardEpoch] = {}
        self._facts: dict[RewardEpochId, EpochFacts] = {}
        self._stale = False

    def add(self, events: Iterable[Placed]) -> None:
        """Take events, later ones than all before."""
        for placed in events:
            if isinstance(placed.event, ResultRelayed):
                message = placed.event.message
                if message.protocol == FTSO_PROTOCOL:
                    self._results[message.voting_round] = (placed.block, message)
            else:
                self._events.append(placed)
                self._stale = True

    def take_back(self, from_block: int) -> None:
        """Forget what stood in that block and later."""
        self._events = [placed for placed in self._events if placed.block < from_block]
        self._results = {key: kept for key, kept in self._results.items() if kept[0] < from_block}
        self._stale = True

    def forget_results_before(self, voting_round: VotingRoundId) -> None:
        """Forget the results of older rounds."""
        for old in [number for number in self._results if number < voting_round]:
            del self._results[old]

    def result_of(self, voting_round: VotingRoundId) -> ProtocolMessage | None:
        """The FTSO's result of a round as the relay took it."""
        found = self._results.get(voting_round)
        return None if found is None else found[1]

    def newest_reward_epoch(self) -> RewardEpochId | None:
        """The last reward epoch with a signing policy."""
        return max(self._known(), default=None)

    def reward_epoch_of(self, voting_round: VotingRoundId) -> RewardEpoch | None:
        """The reward epoch that holds the round, as far as policies are known."""
        holding = [epoch for epoch in self._known().values() if epoch.policy.first_round <= voting_round]
        return max(holding, key=lambda epoch: epoch.id, default=None)

    def facts(self) -> Mapping[RewardEpochId, EpochFacts]:
        """What else the chain shows of the last reward epochs."""
        self._known()
        return self._facts

    def _known(self) -> dict[RewardEpochId, RewardEpoch]:
        if self._stale:
            self._epochs = _epochs(self._events)
            self._facts = facts_of(placed.event for placed in _in_order(self._events))
            oldest = max(self._epochs, default=0) - EPOCHS_KEPT
            self._events = [placed for placed in self._events if _epoch_of(placed.event) > oldest]
            self._stale = False
        return self._epochs


def _epoch_of(event: Event) -> int:
    if isinstance(event, PolicyInitialized):
        return event.policy.reward_epoch
    if isinstance(event, ResultRelayed):
        raise TypeError("results are kept apart")
    return event.reward_epoch


def _epochs(events: Iterable[Placed]) -> dict[RewardEpochId, RewardEpoch]:
    """All reward epochs whose policy, registrations and offers are there."""
    gathered: dict[RewardEpochId, _Gathered] = {}
    for placed in _in_order(events):
        number = RewardEpochId(_epoch_of(placed.event))
        gathered.setdefault(number, _Gathered()).take(placed.event)
    made = {number: parts.epoch() for number, parts in gathered.items()}
    return {number: epoch for number, epoch in made.items() if epoch is not None}


def _in_order(events: Iterable[Placed]) -> list[Placed]:
    return sorted(events, key=lambda placed: (placed.block, placed.index))


class _Gathered:
    """One reward epoch's events, put together."""

    def __init__(self) -> None:
        self._policy: PolicyInitialized | None = None
        self._by_voter: dict[Address, Registration] = {}
        self._weights: dict[Address, int] = {}
        self._inflation: list[Feed] = []
        self._community: list[CommunityOffer] = []
        self._closed = False

    def take(self, event: Event) -> None:
        match event:
            case PolicyInitialized():
                self._policy = event
            case VoterRegistered():
                self._by_voter[event.voter] = Registration(
                    event.voter, event.signing_policy, event.submit, event.submit_signatures, 0
                )
            case VoterInformed():  # stands before the registration that it belongs to
                self._weights[event.voter] = event.capped_weight
            case InflationOffered() if not self._closed:
                self._inflation += event.feeds
            case CommunityOffered() if not self._closed:
                self._community.append(CommunityOffer(event.feed, event.amount))
            case OffersClosed():
                self._closed = True
            case _:
                pass

    def epoch(self) -> RewardEpoch | None:
        if self._policy is None:
            return None
        feeds = canonical_feed_order(self._inflation, self._community)
        by_signer = {
            each.signing_policy: replace(each, capped_weight=self._weights.get(each.voter, 0))
            for each in self._by_voter.values()
        }
        return in_policy_order(self._policy.policy, by_signer, feeds) if feeds else None
