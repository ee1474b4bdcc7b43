"""What a view of the chain says of a round: our own words, everybody's results, the signatures at hand.

Pure: asks a View, which does no I/O. The chain is the only witness here; what we believe to have sent counts
for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from core.ftso.commit import commit_hash
from core.ftso.epochs import Network
from core.ftso.errors import MalformedMessage, UnrecoverableSignature
from core.ftso.identities import FTSO_PROTOCOL, Address, VotingRoundId
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.randomness import benching_window
from core.ftso.results import RoundResults, round_results
from core.ftso.reveal import Reveal
from core.ftso.signatures import SignedResult
from core.ftso.submissions import commits_of, kept_promises, offenders, reveals_of
from core.provider.ports import Function, View
from core.provider.reward_epoch import RewardEpoch


class Reading:
    """Reads rounds from views; remembers who broke his word in rounds that are over."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._offenders: dict[VotingRoundId, frozenset[Address]] = {}
        self._reorganisations = 0

    def own_commit(self, view: View, voting_round: VotingRoundId, own: Address) -> bytes | None:
        """The commit hash that counts for us in the round."""
        opens, closes = self._network.start_of(voting_round), self._network.commits_close_at(voting_round)
        found = view.submissions(Function.SUBMIT1, opens, closes)
        ours = [submission for submission in found if submission.sender == own]
        return commits_of(voting_round, ours, self._network).get(own)

    def own_reveal(
        self, view: View, voting_round: VotingRoundId, own: Address, feed_count: int
    ) -> bytes | None:
        """The commit hash of what counts as our reveal of the round."""
        opens = self._network.commits_close_at(voting_round)
        found = view.submissions(Function.SUBMIT2, opens, self._network.reveals_close_at(voting_round))
        ours = [submission for submission in found if submission.sender == own]
        reveal = reveals_of(voting_round, ours, self._network, feed_count).get(own)
        return None if reveal is None else commit_hash(own, voting_round, reveal)

    def own_signature(self, view: View, voting_round: VotingRoundId, signer: Address) -> bytes | None:
        """The 38 bytes of the round that the chain shows signed with our key."""
        for signed in self.signed_results(view, voting_round):
            if signed.message is not None and _signed_by(signed, signed.message, signer):
                return signed.message.encode()
        return None

    def signed_results(self, view: View, voting_round: VotingRoundId) -> Iterator[SignedResult]:
        """Everybody's signed results of the round, in the chain's order; broken ones are left out."""
        opens = self._network.reveals_close_at(voting_round)
        until = self._network.start_of(VotingRoundId(voting_round + 3))
        for submission in view.submissions(Function.SUBMIT_SIGNATURES, opens, until):
            for message in submission.messages:
                if message.protocol == FTSO_PROTOCOL and message.voting_round == voting_round:
                    try:
                        yield SignedResult.decode(message.payload)
                    except MalformedMessage:
                        continue

    def can_compute(self, view: View, voting_round: VotingRoundId, epoch: RewardEpoch) -> bool:
        """Whether the view holds all that the round's result rests on."""
        window = self._benching_window(voting_round, epoch)
        first = VotingRoundId(min(window.start, voting_round))
        over = view.head_at >= self._network.reveals_close_at(voting_round)
        return over and view.covers(self._network.start_of(first))

    def results(self, view: View, voting_round: VotingRoundId, epoch: RewardEpoch) -> RoundResults:
        """The round's results; raises NoResult. Ask `can_compute` before."""
        if view.reorganisations != self._reorganisations:
            self._offenders.clear()
            self._reorganisations = view.reorganisations
        window = self._benching_window(voting_round, epoch)
        for old in [number for number in self._offenders if number < window.start]:
            del self._offenders[old]
        benched: set[Address] = set()
        for earlier in map(VotingRoundId, window):
            if earlier not in self._offenders:
                self._offenders[earlier] = self._offenders_of(view, earlier, epoch)
            benched |= self._offenders[earlier]
        feed_count = len(epoch.feeds)
        commits, kept = self._words(view, voting_round, feed_count)
        return round_results(
            voting_round,
            feeds=epoch.feeds,
            voters=epoch.voters(self._network),
            kept=kept,
            offended=offenders(commits, kept),
            benched=benched,
        )

    def _offenders_of(
        self, view: View, voting_round: VotingRoundId, later: RewardEpoch
    ) -> frozenset[Address]:
        epoch = view.reward_epoch_of(voting_round) or later
        commits, kept = self._words(view, voting_round, len(epoch.feeds))
        return offenders(commits, kept)

    def _words(
        self, view: View, voting_round: VotingRoundId, feed_count: int
    ) -> tuple[dict[Address, bytes], dict[Address, Reveal]]:
        """The round's commits, and the reveals that keep them."""
        network = self._network
        opens, middle = network.start_of(voting_round), network.commits_close_at(voting_round)
        closes = network.reveals_close_at(voting_round)
        commits = commits_of(voting_round, view.submissions(Function.SUBMIT1, opens, middle), network)
        submit2 = view.submissions(Function.SUBMIT2, middle, closes)
        reveals = reveals_of(voting_round, submit2, network, feed_count)
        return commits, kept_promises(voting_round, commits, reveals)

    def _benching_window(self, voting_round: VotingRoundId, epoch: RewardEpoch) -> range:
        return benching_window(voting_round, epoch.id, epoch.policy.first_round, self._network)


def _signed_by(signed: SignedResult, message: ProtocolMessage, signer: Address) -> bool:
    try:
        return signed.signature.signer_of(message.hash) == signer
    except UnrecoverableSignature:
        return False
