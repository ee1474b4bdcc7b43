"""A dry run's chain: reads the real one, and tells the log instead of sending."""

from __future__ import annotations

import structlog

from core.ftso.identities import VotingRoundId
from core.provider.ports import Chain, Function, View

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
