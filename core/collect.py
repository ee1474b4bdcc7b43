"""The collector as a process on CPython: the loop around the kernel's state machines.

Reads the clock, fetches what is due, signs and posts what is ready, and logs. Decides nothing: what to ask is
`chrono.collector`'s matter, what to send again `chrono.spool`'s.
"""

from __future__ import annotations

import asyncio
import random as entropy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import httpx
import structlog

from chrono.collector import Collector
from chrono.feeds import LEGS, VENUES, Leg
from chrono.fetch import fetch, post_batch
from chrono.http import Answer, Failure
from chrono.notices import Notice, RowRefused, SymbolFound, SymbolLost, TradesFailed, VenueChanged
from chrono.polling import Pace
from chrono.signing import Signer
from chrono.spool import BATCHES_MAX, Delivery, Spool
from chrono.venue_state import VenueState
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Request, VenueAdapter

DRAIN_S: Final = 1.0
POST_TIMEOUT_S: Final = 10.0
SLEEP_S_MAX: Final = 1.0  # so that a clock that was set back is noticed
QUIET_S: Final = 60.0
_CALM_STATES: Final = (VenueState.STARTING, VenueState.HEALTHY, VenueState.PROBING)

log = structlog.get_logger(__name__)


async def collect(
    *,
    core_url: str,
    signer: Signer,
    stop: asyncio.Event,
    venues: Sequence[str] = VENUES,
    legs: Sequence[Leg] = LEGS,
    base_urls: Mapping[str, str] | None = None,
    pace: Pace | None = None,
    spool_batches: int = BATCHES_MAX,
    adapters: Mapping[str, VenueAdapter] = VENUE_ADAPTERS,
    post_timeout_s: float = POST_TIMEOUT_S,
    drain_s: float = DRAIN_S,
    clock: Callable[[], float] = time.time,
    random: Callable[[], float] = entropy.random,
) -> None:
    """Collect `legs` of `venues` and post batches to `{core_url}/ingest` until `stop` is set.

    `base_urls` replaces venues' own addresses, as for a simulator. On `stop`, what was collected is
    delivered within `drain_s`; what is left then is logged and lost. Raises ValueError on an unknown venue.
    """
    unknown = set(venues) - adapters.keys()
    if unknown:
        raise ValueError(f"no such venue: {', '.join(sorted(unknown))}")
    pace = pace or Pace()
    at = clock()
    limits = httpx.Limits(max_connections=pace.in_flight_max, max_keepalive_connections=pace.in_flight_max)
    async with (
        httpx.AsyncClient(limits=limits, timeout=pace.timeout_s) as venue_client,
        httpx.AsyncClient(timeout=post_timeout_s, trust_env=False) as core_client,
    ):
        process = _Process(
            collector=Collector(
                [leg for leg in legs if leg.venue in venues],
                at=at,
                random=random,
                pace=pace,
                adapters=adapters,
            ),
            spool=Spool(signer.key_id, at=at, random=random, batches_max=spool_batches),
            signer=signer,
            venue_client=venue_client,
            core_client=core_client,
            base_urls={venue: adapters[venue].base_url for venue in venues} | dict(base_urls or {}),
            ingest_url=f"{core_url.rstrip('/')}/ingest",
            timeout_s=pace.timeout_s,
            post_timeout_s=post_timeout_s,
            clock=clock,
        )
        log.info("collector_started", venues=list(venues), core_url=core_url, key_id=signer.key_id.hex())
        await process.run(stop, drain_s)


@dataclass(slots=True, eq=False)
class _Throttle:
    """Lets one event of a kind through each QUIET_S, with the number of those held back before it."""

    held_back: dict[tuple[str, ...], tuple[float, int]] = field(default_factory=dict)

    def passes(self, *kind: str, at: float) -> int | None:
        """How many of this kind were held back since the last that passed; None holds this one back."""
        last, count = self.held_back.get(kind, (float("-inf"), 0))
        if at - last < QUIET_S:
            self.held_back[kind] = (last, count + 1)
            return None
        self.held_back[kind] = (at, 0)
        return count


@dataclass(slots=True, eq=False)
class _Process:
    collector: Collector
    spool: Spool
    signer: Signer
    venue_client: httpx.AsyncClient
    core_client: httpx.AsyncClient
    base_urls: Mapping[str, str]
    ingest_url: str
    timeout_s: float
    post_timeout_s: float
    clock: Callable[[], float]
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    queued: asyncio.Event = field(default_factory=asyncio.Event)
    throttle: _Throttle = field(default_factory=_Throttle)
    is_stopping: bool = False
    is_draining: bool = False
    core_refuses: bool = False
    ticks_dropped: int = 0

    async def run(self, stop: asyncio.Event, drain_s: float) -> None:
        async with asyncio.TaskGroup() as deliveries:
            delivering = deliveries.create_task(self._deliver())
            async with asyncio.TaskGroup() as fetches:
                stopping = fetches.create_task(self._stop(stop))
                tasks: set[asyncio.Task[None]] = set()
                while not self.is_stopping:
                    await self._turn(fetches, tasks)
                for task in (stopping, *tasks):
                    task.cancel()
            self._queue(flush=True)
            self.is_draining = True
            self.queued.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(drain_s):
                    await delivering
        log.info("collector_stopped", batches_lost=len(self.spool), ticks_lost=self.spool.ticks)

    async def _stop(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self.is_stopping = True
        self.answered.set()

    async def _turn(self, fetches: asyncio.TaskGroup, tasks: set[asyncio.Task[None]]) -> None:
        """Send what is due, queue what is ready, then sleep until an answer comes or something is due."""
        self.answered.clear()
        at = self.clock()
        for request in self.collector.due(at):
            task = fetches.create_task(self._fetch(request))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        self._queue(flush=False)
        for notice in self.collector.notices():
            self._log(notice, at)
        await _wait(self.answered, self.collector.next_due(at) - at)

    async def _fetch(self, request: Request) -> None:
        answer = await fetch(
            self.venue_client, self.base_urls[request.venue], request, self.timeout_s, clock=self.clock
        )
        self.collector.receive(request, answer, self.clock())
        self.answered.set()

    def _queue(self, *, flush: bool) -> None:
        at = self.clock()
        for draft in self.collector.batches(at, flush=flush):
            self.spool.put(draft, at)
        self.queued.set()
        dropped = self.spool.ticks_dropped
        if dropped > self.ticks_dropped and self.throttle.passes("ticks_dropped", at=at) is not None:
            log.warning("ticks_dropped", since_start=dropped, spooled=self.spool.ticks)
            self.ticks_dropped = dropped

    async def _deliver(self) -> None:
        """Post batches in order; ends once the process is draining and nothing is left."""
        while not self.is_draining or len(self.spool):
            self.queued.clear()
            at = self.clock()
            stamped = self.spool.due(at)
            if stamped is None:
                await _wait(self.queued, self.spool.next_due() - at)
                continue
            sealed = stamped + await self.signer.sign(stamped)
            answer = await post_batch(
                self.core_client, self.ingest_url, sealed, self.post_timeout_s, clock=self.clock
            )
            at = self.clock()
            self._log_delivery(self.spool.settle(answer, at), answer, at)

    def _log_delivery(self, delivery: Delivery, answer: Answer | Failure, at: float) -> None:
        if delivery is Delivery.ACCEPTED:
            if self.core_refuses:
                log.info("core_accepts_again", batches_spooled=len(self.spool))
            self.core_refuses = False
            return
        status, detail = _told(answer)
        if delivery is Delivery.REFUSED:
            held_back = self.throttle.passes("batch_refused", str(status), at=at)
            if held_back is not None:
                log.error("batch_refused", status=status, detail=detail, more_since=held_back)
            return
        if not self.core_refuses or self.throttle.passes("delivery_failed", at=at) is not None:
            log.warning("delivery_failed", status=status, detail=detail, batches_spooled=len(self.spool))
        self.core_refuses = True

    def _log(self, notice: Notice, at: float) -> None:
        match notice:
            case VenueChanged(venue, state, code, retry_at, detail):
                write = log.info if state in _CALM_STATES else log.warning
                write(
                    "venue_state_changed",
                    venue=venue,
                    state=state.name.lower(),
                    code=code,
                    retry_at=retry_at,
                    detail=detail,
                )
            case SymbolLost(venue, symbol):
                log.warning("symbol_lost", venue=venue, symbol=symbol)
            case SymbolFound(venue, symbol):
                log.info("symbol_found", venue=venue, symbol=symbol)
            case RowRefused(venue, refusal):
                held_back = self.throttle.passes("row_refused", venue, refusal.reason, at=at)
                if held_back is not None:
                    log.warning(
                        "row_refused",
                        venue=venue,
                        symbol=refusal.symbol,
                        reason=refusal.reason.value,
                        detail=refusal.detail,
                        more_since=held_back,
                    )
            case TradesFailed(venue, symbol, code, retry_at, detail):
                held_back = self.throttle.passes("trades_failed", venue, at=at)
                if held_back is not None:
                    log.warning(
                        "trades_failed",
                        venue=venue,
                        symbol=symbol,
                        code=code,
                        retry_at=retry_at,
                        detail=detail,
                        more_since=held_back,
                    )


async def _wait(event: asyncio.Event, delay_s: float) -> None:
    """Until the event, or `delay_s` at the most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(min(max(delay_s, 0.0), SLEEP_S_MAX)):
            await event.wait()


def _told(answer: Answer | Failure) -> tuple[int, str]:
    if isinstance(answer, Failure):
        return 0, answer.detail
    return answer.status, answer.body[:200].decode("utf-8", "replace")
