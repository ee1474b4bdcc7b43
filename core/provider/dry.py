"""A dry run's chain and system: they read the real ones, and tell the log instead of sending."""

from __future__ import annotations

import structlog

from core.ftso.duties import Owed
from core.ftso.identities import Address, VotingRoundId
from core.provider.ports import Chain, Function, System, View

log = structlog.get_logger()


class DryChain:
    """A Chain that sends nothing."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._told: set[tuple[Function, VotingRoundId]] = set()

    async def observe(self, since: int) -> View:
        """What the real chain shows."""
        return await self._chain.observe(since)

    async def want(self, function: Function, voting_round: VotingRoundId, calldata: bytes, at: float) -> None:
        """Tell what would have been sent, once."""
        if (function, voting_round) not in self._told:
            log.info("would_send", function=function, voting_round=voting_round, size=len(calldata), at=at)
            self._told = {each for each in self._told if each[1] > voting_round - 8}
            self._told.add((function, voting_round))


class DrySystem:
    """A System that sends nothing."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._told: set[Owed] = set()

    def view(self) -> View:
        """What the real system shows."""
        return self._system.view()

    async def voter_of(self, signer: Address) -> Address | None:
        """Whose address that is."""
        return await self._system.voter_of(signer)

    async def shared_by(self, voter: Address) -> frozenset[Address]:
        """The voter's delegation address."""
        return await self._system.shared_by(voter)

    async def would_pay(self, calldata: bytes) -> int:
        """What a claim would pay."""
        return await self._system.would_pay(calldata)

    async def call(self, owed: Owed, calldata: bytes, at: float) -> None:
        """Tell what would have been sent, once."""
        if owed not in self._told:
            told = {"duty": owed.duty, "reward_epoch": owed.reward_epoch}
            log.info("would_send", **told, size=len(calldata), at=at)
            self._told = {each for each in self._told if each.reward_epoch > owed.reward_epoch - 8}
            self._told.add(owed)
