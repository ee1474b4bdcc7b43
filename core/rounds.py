"""The values that stand for a voting round: frozen once, the same on every repeat.

A round's values are frozen at its commit instant, or when they are first asked for if that is earlier in
its voting epoch: a client that commits early must commit what it will be told again at the reveal. Knows
when, and that the first freeze wins in the store. Does not know how values are encoded on chain.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import numpy as np
import structlog
from prometheus_client import CollectorRegistry, Counter

from chrono.feeds import FEEDS
from core.aggregation.estimates import Estimates, FeedState
from core.ftso.identities import VotingRoundId
from core.ports import RoundMissed, RoundNotOpen, RoundStore, StoreUnavailable

KEPT_MAX: Final = 64
STORE_WITHIN_S: Final = 2.0

log = structlog.get_logger()

Values = Mapping[str, float]


class Timing(Protocol):
    """When voting epochs begin."""

    def round_at(self, at: float) -> VotingRoundId: ...

    def start_of(self, voting_round: VotingRoundId) -> int: ...


class FrozenRounds:
    """Freezes at the commit instants, and answers for a round."""

    def __init__(
        self,
        *,
        timing: Timing,
        commit_offset_s: float,
        latest: Callable[[], Estimates | None],
        store: RoundStore,
        registry: CollectorRegistry,
    ) -> None:
        self._timing, self._commit_offset_s = timing, commit_offset_s
        self._latest, self._store = latest, store
        self._kept: OrderedDict[VotingRoundId, asyncio.Future[Values]] = OrderedDict()
        self._frozen = Counter(
            "chrono_rounds_frozen", "Voting rounds whose values were frozen", ["stored"], registry=registry
        )

    async def values(self, voting_round: int, at: float) -> Values:
        """US dollars by feed name; a feed without a live price is absent.

        Raises RoundNotOpen, RoundMissed, or StoreUnavailable for an earlier round while the store is down.
        """
        voting_round = VotingRoundId(voting_round)
        present = self._timing.round_at(at)
        if voting_round > present:
            raise RoundNotOpen(voting_round, self._timing.start_of(voting_round))
        if voting_round in self._kept:
            return await asyncio.shield(self._kept[voting_round])
        if voting_round == present:
            return await self.freeze(voting_round, at)
        found = await self._store.find(voting_round)
        if found is None:
            raise RoundMissed(voting_round)
        return found

    async def freeze(self, voting_round: VotingRoundId, at: float) -> Values:
        """Freeze the latest values for a round, unless values stand for it already; return those."""
        if voting_round in self._kept:
            return await asyncio.shield(self._kept[voting_round])
        frozen: asyncio.Future[Values] = asyncio.get_running_loop().create_future()
        self._kept[voting_round] = frozen
        while len(self._kept) > KEPT_MAX:
            self._kept.popitem(last=False)
        values: Values = _live_values(self._latest())
        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                values = await self._store.freeze(voting_round, at, values)
            self._frozen.labels("yes").inc()
        except (StoreUnavailable, TimeoutError):
            # The round must not wait for the database: memory keeps the values while this process lives.
            self._frozen.labels("no").inc()
            log.warning("round_frozen_in_memory_only", voting_round=voting_round)
        frozen.set_result(values)
        log.info("round_frozen", voting_round=voting_round, feeds=len(values))
        return values

    def next_commit(self, at: float) -> tuple[VotingRoundId, float]:
        """The next round whose commit instant is after `at`, and that instant."""
        voting_round = self._timing.round_at(at)
        instant = self._timing.start_of(voting_round) + self._commit_offset_s
        if instant <= at:
            voting_round = VotingRoundId(voting_round + 1)
            instant = self._timing.start_of(voting_round) + self._commit_offset_s
        return voting_round, instant

    async def run(self, clock: Callable[[], float]) -> None:
        """Freeze every round at its commit instant until cancelled."""
        while True:
            voting_round, instant = self.next_commit(clock())
            while (wait_s := instant - clock()) > 0:
                await asyncio.sleep(wait_s)
            await self.freeze(voting_round, clock())


def _live_values(estimates: Estimates | None) -> dict[str, float]:
    if estimates is None:
        return {}
    live = (estimates.state == FeedState.LIVE) & np.isfinite(estimates.price)
    return {feed.name: float(estimates.price[row]) for row, feed in enumerate(FEEDS) if live[row]}
