"""What the gateway does off the request's path: learns keys and blocks, stores usage and new blocks.

A key that is made, rotated or revoked counts in every replica within PERIOD_S and the time of two queries, of
which the first asks whether anything has changed.
While the store is away nothing is forgotten that has room: keys stay as they were, counts and blocks wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from core.gateway.accounts import Accounts, Mark
from core.gateway.entrance import Entrance, Event
from core.ports import StoreUnavailable

PERIOD_S: Final = 2.0
BATCHES_MAX: Final = 10
"""Batches of usage stored in one turn, so that a backlog does not hold the turn."""

log = structlog.get_logger()


class GatewayMetrics:
    """What the entrance saw. Callers are no labels: there is no bound to them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.signals = Counter(
            "chrono_gateway_signals", "Suspicious requests, by kind", ["signal"], registry=registry
        )
        self.blocks = Counter(
            "chrono_gateway_blocks", "Addresses blocked, by reason", ["reason"], registry=registry
        )
        self.blocked = Gauge("chrono_gateway_blocked", "Addresses blocked now", registry=registry)
        self.keys = Gauge("chrono_gateway_keys", "Keys known", registry=registry)
        self.metered = Counter("chrono_gateway_metered", "Requests billed and stored", registry=registry)
        self.unbilled = Gauge(
            "chrono_gateway_unbilled", "Requests served that had no room in the meter", registry=registry
        )

    def tell(self, event: Event) -> None:
        """Count an event. Only what led to a block is logged: the rest may come a thousand times a second."""
        self.signals.labels(event.signal.value).inc()
        if event.block is not None:
            self.blocks.labels(event.block.reason).inc()
            log.warning(
                "address_blocked",
                address=event.network,
                reason=event.block.reason,
                for_s=event.block.until - event.block.since,
                strikes=event.block.strikes,
            )
        elif event.signal == "spread-key":
            log.warning("key_used_in_many_networks", key=event.detail)


class Upkeep:
    """One replica's turn with the store, again and again."""

    def __init__(
        self, entrance: Entrance, accounts: Accounts, clock: Callable[[], float], metrics: GatewayMetrics
    ) -> None:
        self._mark: Mark | None = None
        self._entrance, self._accounts, self._clock, self._metrics = entrance, accounts, clock, metrics

    async def run(self, period_s: float = PERIOD_S) -> None:
        """Until cancelled; a store that is away is asked again."""
        while True:
            try:
                await self.turn()
            except StoreUnavailable as error:
                log.warning("gateway_upkeep_waits", detail=error.detail)
            await asyncio.sleep(period_s)

    async def turn(self) -> None:
        """Everything once. Raises StoreUnavailable; what was not stored waits for the next turn."""
        at = self._clock()
        changes = await self._accounts.changes(self._mark)
        if changes.whole or changes.keys:
            self._entrance.learn(changes.keys, whole=changes.whole)
            self._metrics.keys.set(self._entrance.keys_known)
        self._mark = changes.mark
        new = self._entrance.new_blocks
        while new:
            await self._accounts.block(new[0])
            new.popleft()
        blocks = await self._accounts.blocks(at)
        if not new:  # what was blocked meanwhile is not in the answer
            self._entrance.watch.learn(blocks)
        self._metrics.blocked.set(len(blocks))
        await self.store_usage()

    async def store_usage(self) -> None:
        """Store what was counted. Raises StoreUnavailable."""
        meter = self._entrance.meter
        self._metrics.unbilled.set(meter.unbilled)
        for _ in range(BATCHES_MAX):
            batch = meter.offered()
            if batch is None:
                return
            if await self._accounts.meter(batch, self._clock()):
                self._metrics.metered.inc(sum(batch.counts.values()))
            meter.stored(batch)
