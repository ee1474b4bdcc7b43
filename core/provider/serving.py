"""Serving under the lease: wait for it, serve while it is held, stand by again when it is lost.

For `chrono provider serve`: while another instance answers Flare's client, this one does not even listen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from core.ftso.identities import Address, VotingRoundId
from core.ports import StoreUnavailable
from core.provider.answers import ProtocolAnswers
from core.provider.loop import STANDBY_S
from core.provider.ports import LeaseHeld, LeaseLost, Ledger, Ledgers

log = structlog.get_logger()


async def serve_under_lease(
    *,
    ledgers: Ledgers,
    provider: str,
    holder: str,
    work: Callable[[Ledger], Awaitable[None]],
    stop: asyncio.Event,
    standby_s: float = STANDBY_S,
) -> None:
    """Call `work` whenever the lease can be had, until `stop` is set; it returns when either is over."""
    standing_by = False
    while not stop.is_set():
        try:
            async with ledgers.lease(provider, holder) as ledger:
                standing_by = False
                log.info("provider_serves", provider=provider, holder=holder)
                await work(ledger)
        except LeaseHeld as error:
            if not standing_by:
                log.info("provider_stands_by", detail=str(error))
            standing_by = True
        except (LeaseLost, StoreUnavailable) as error:
            log.error("lease_lost", detail=str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(standby_s):
                await stop.wait()


class WatchedAnswers:
    """Answers that say when their lease is lost: from then on somebody else may be answering."""

    def __init__(self, answers: ProtocolAnswers) -> None:
        self._answers = answers
        self.lost = asyncio.Event()

    async def submit1(self, voting_round: VotingRoundId, address: Address, at: float) -> bytes | None:
        """See ProtocolAnswers."""
        return await self._watched(self._answers.submit1(voting_round, address, at))

    async def submit2(self, voting_round: VotingRoundId, address: Address, at: float) -> bytes | None:
        """See ProtocolAnswers."""
        return await self._watched(self._answers.submit2(voting_round, address, at))

    async def submit_signatures(self, voting_round: VotingRoundId, at: float) -> bytes | None:
        """See ProtocolAnswers."""
        return await self._watched(self._answers.submit_signatures(voting_round, at))

    async def _watched(self, answer: Awaitable[bytes | None]) -> bytes | None:
        try:
            return await answer
        except LeaseLost:
            self.lost.set()
            raise
