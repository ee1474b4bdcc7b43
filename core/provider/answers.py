"""What Flare's system client asks of a protocol data provider, from the durable record and the chain.

The client sends; we say what. The same word is given on every repeat: what was frozen first stands, and so
does the result that was told first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from core.ftso.commit import commit_hash
from core.ftso.epochs import Network
from core.ftso.errors import NoResult
from core.ftso.identities import FTSO_PROTOCOL, Address, VotingRoundId
from core.ftso.payload import Message
from core.ftso.reveal import Reveal
from core.ftso.round import Progress, Record
from core.ftso.timings import Step
from core.provider.content import encoded_values
from core.provider.ports import Chain, FeedValues, Frozen, Ledger, View
from core.provider.reading import Reading
from core.provider.reward_epoch import RewardEpoch

ROUNDS_BACK: Final = 3


class ProtocolAnswers:
    """Answers for one provider; each is None when there is nothing to say."""

    def __init__(
        self,
        *,
        network: Network,
        submit_address: Address,
        chain: Chain,
        ledger: Ledger,
        values: FeedValues,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._network, self._own = network, submit_address
        self._chain, self._ledger, self._values, self._entropy = chain, ledger, values, entropy
        self._reading = Reading(network)

    async def submit1(self, voting_round: VotingRoundId, address: Address, at: float) -> bytes | None:
        """The commit, for the present round only. On return its reveal is durable."""
        if address != self._own or voting_round != self._network.round_at(at):
            return None
        epoch = (await self._observe(at)).reward_epoch_of(voting_round)
        if epoch is None:
            return None
        reveal = Reveal(self._entropy(32), encoded_values(await self._values(voting_round, at), epoch.feeds))
        frozen = Frozen(reveal, commit_hash(self._own, voting_round, reveal))
        standing = await self._ledger.freeze(voting_round, at, frozen)
        return _message(voting_round, standing.commit_hash)

    async def submit2(self, voting_round: VotingRoundId, address: Address, at: float) -> bytes | None:
        """The reveal, from the end of the round's voting epoch on and before the deadline."""
        opens = self._network.commits_close_at(voting_round)
        if address != self._own or not opens <= at < self._network.reveals_close_at(voting_round):
            return None
        for kept in await self._ledger.load(voting_round):
            if kept.voting_round == voting_round and kept.frozen is not None:
                return _message(voting_round, kept.frozen.reveal.encode())
        return None

    async def submit_signatures(self, voting_round: VotingRoundId, at: float) -> bytes | None:
        """The 38 bytes to sign, once the chain holds what they rest on."""
        if voting_round < self._network.round_at(at) - ROUNDS_BACK:
            return None
        view = await self._observe(at)
        epoch = view.reward_epoch_of(voting_round)
        if epoch is None or not self._reading.can_compute(view, voting_round, epoch):
            return None
        message = self._result(view, voting_round, epoch)
        if message is None:
            return None
        return await self._ledger.note(voting_round, Step.SIGN, Record(Progress.ATTEMPTED, at, message))

    def _result(self, view: View, voting_round: VotingRoundId, epoch: RewardEpoch) -> bytes | None:
        try:
            return self._reading.results(view, voting_round, epoch).message().encode()
        except NoResult:
            return None

    async def _observe(self, at: float) -> View:
        back = (ROUNDS_BACK + 1 + self._network.benching_rounds) * self._network.voting_epoch_s
        return await self._chain.observe(int(at) - back)


def _message(voting_round: VotingRoundId, payload: bytes) -> bytes:
    return Message(FTSO_PROTOCOL, voting_round, payload).encode()
