"""One group at work: each alarm is one cycle, in which venues are asked and batches go to the core.

Knows the order of a cycle and its bounds. What to ask is `chrono.collector`'s matter, what waits
`station.backlog`'s. A venue that is slow holds up no other: what came within EARLY_S is on its way to the
core while the rest is waited for, at most until the requests' own timeout.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chrono.collector import Collector
from chrono.feeds import LEGS
from chrono.http import Answer, Failure
from chrono.notices import Notice, VenueChanged
from chrono.polling import Pace
from chrono.venue_state import VenueReport, VenueState
from chrono.venues.adapter import Request
from station.backlog import Backlog
from station.config import Config
from station.hosts import Hosts, is_unreachable
from station.ports import Ask, Clock, Storage

EARLY_S: Final = 0.5
IN_FLIGHT_MAX: Final = 5  # of the runtime's six connections; the sixth posts
REMEMBER_S_MIN: Final = 30.0
_ASSIGNED: Final = "assigned"
_PAUSED: Final = "paused"
_REFUSALS: Final = "refusals"
_ADMIN_AT: Final = "admin_at"
_STATUSES: Final = {
    VenueState.RATE_LIMITED: 429,
    VenueState.BANNED: 418,
    VenueState.FORBIDDEN: 403,
    VenueState.GEO_BLOCKED: 451,
}
_PLACE_STATES: Final = (VenueState.FORBIDDEN, VenueState.GEO_BLOCKED)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a cycle took. `bytes_in` are bodies as they came out of the runtime, already decompressed."""

    requests: int = 0
    posts: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    ticks: int = 0
    wall_ms: float = 0.0
    work_ms: float = 0.0
    """Python's own: reading answers and packing batches. Nothing where the clock stands while code runs."""

    @property
    def subrequests(self) -> int:
        return self.requests + self.posts

    def most(self, other: Usage) -> Usage:
        """The greater of both, figure by figure."""
        return Usage(*(max(getattr(self, name), getattr(other, name)) for name in self.__slots__))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A venue's refusal that is remembered over a restart: its state, and until when nothing is asked."""

    state: VenueState
    until: float


class Station:
    """The collecting of one group. Call `load` once, then `run` at every alarm.

    The collecting state lives in memory and is made anew with the process; assignment, pause and the venues'
    refusals live in storage.
    """

    def __init__(
        self,
        *,
        config: Config,
        backlog: Backlog,
        storage: Storage,
        ask: Ask,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._config, self._storage, self._ask_host = config, storage, ask
        self._clock, self._random = clock, random
        self._hosts = Hosts(config.hosts)
        self._collector: Collector | None = None
        self._usage = Usage()
        self._admin_ms = 0
        self.backlog = backlog
        self.venues: tuple[str, ...] = ()
        self.refusals: dict[str, Refusal] = {}
        self.is_paused = False
        self.cycles = 0
        self.cycle_at: float | None = None
        self.last = Usage()
        self.most = Usage()

    async def load(self) -> None:
        await self.backlog.load()
        self.venues = tuple(await self._read(_ASSIGNED, []))
        self.is_paused = bool(await self._read(_PAUSED, False))
        self._admin_ms = int(await self._read(_ADMIN_AT, 0))
        told = await self._read(_REFUSALS, {})
        self.refusals = {venue: Refusal(VenueState(state), until) for venue, (state, until) in told.items()}

    @property
    def is_idle(self) -> bool:
        """Nothing to ask and nothing to deliver: no alarm is needed."""
        return (not self.venues or self.is_paused) and not self.backlog.ticks

    async def assign(self, venues: Sequence[str]) -> None:
        """Ask these venues from now on; a change makes the collecting state anew."""
        if tuple(venues) != self.venues:
            self.venues, self._collector = tuple(venues), None
            await self._write(_ASSIGNED, list(venues))

    async def command(self, action: str, sent_ms: int) -> bool:
        """Do what a verified admin request says; false if it is not newer than the last one done."""
        if sent_ms <= self._admin_ms:
            return False
        self._admin_ms = sent_ms
        await self._write(_ADMIN_AT, sent_ms)
        if action == "flush":
            self.backlog.hurry()
        else:
            self.is_paused = action == "pause"
            await self._write(_PAUSED, self.is_paused)
        return True

    async def run(self) -> None:
        """One cycle. Raises only what storage raises."""
        at = self.cycle_at = self._clock()
        self._usage = Usage()
        await self.backlog.expire(at)
        late: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as group:
            posting = group.create_task(self._deliver())
            asking = [group.create_task(self._ask(request)) for request in self._due(at)]
            if asking:
                _, late = await asyncio.wait(asking, timeout=EARLY_S)
            await self._pack()
            await posting
            await self._deliver()
        if late:
            await self._pack()
            await self._deliver()
        await self.backlog.save()
        self.cycles += 1
        self.last = replace(self._usage, wall_ms=(self._clock() - at) * 1000)
        self.most = self.most.most(self.last)

    def reports(self) -> tuple[VenueReport, ...]:
        return self._collector.reports() if self._collector is not None else ()

    def host(self, venue: str) -> str:
        return self._hosts.present(venue)

    def refused_places(self) -> dict[str, float]:
        """The venues that refuse this group's place, and until when that is believed."""
        return {venue: told.until for venue, told in self.refusals.items() if told.state in _PLACE_STATES}

    def _collecting(self, at: float) -> Collector | None:
        if self._collector is None and self.venues:
            self._collector = Collector(
                [leg for leg in LEGS if leg.venue in self.venues],
                at=at,
                random=self._random,
                pace=Pace(
                    ticker_interval_s=self._config.interval_s * 0.8,  # due again whenever the alarm comes
                    trade_interval_s=self._config.trade_interval_s,
                    timeout_s=self._config.timeout_s,
                    in_flight_max=IN_FLIGHT_MAX,
                ),
            )
        return self._collector

    def _due(self, at: float) -> list[Request]:
        collector = self._collecting(at)
        return [] if collector is None or self.is_paused else collector.due(at)

    async def _ask(self, request: Request) -> None:
        refusal = self.refusals.get(request.venue)
        at = self._clock()
        if refusal is not None and at < refusal.until:
            answer: Answer | Failure = _told_again(refusal, at)
        else:
            answer = await self._ask_hosts(request)
        at = self._clock()
        if self._collector is not None:  # a change of assignment forgets what is in flight
            self._collector.receive(request, answer, at)
            self._worked(at)

    async def _ask_hosts(self, request: Request) -> Answer | Failure:
        """The venue's answer, of another host if this one gives none; two requests at the most."""
        answer = await self._exchange(self._hosts.present(request.venue), request)
        other = self._hosts.other(request.venue)
        if other is None or not is_unreachable(answer):
            return answer
        second = await self._exchange(other, request)
        if is_unreachable(second):
            return answer
        self._hosts.prefer_other(request.venue)
        return second

    async def _exchange(self, base_url: str, request: Request) -> Answer | Failure:
        answer = await self._ask_host(base_url, request)
        size = len(answer.body) if isinstance(answer, Answer) else 0
        self._usage = replace(
            self._usage, requests=self._usage.requests + 1, bytes_in=self._usage.bytes_in + size
        )
        return answer

    async def _pack(self) -> None:
        """Make batches of what was collected, or a heartbeat if nothing was.

        Refusals are kept before they are told, so that no one hears of a ban that is then forgotten.
        """
        collector = self._collector
        if collector is None:
            return
        await self._remember(collector.notices())
        at = self._clock()
        for draft in collector.batches(at, flush=True) or collector.batches(at):
            self._usage = replace(self._usage, ticks=self._usage.ticks + len(draft.ticks))
            await self.backlog.put(draft, at)
        self._worked(at)

    def _worked(self, since: float) -> None:
        """Count what was done since then, without waiting for anybody, as work."""
        work_ms = max(0.0, self._clock() - since) * 1000
        self._usage = replace(self._usage, work_ms=self._usage.work_ms + work_ms)

    async def _deliver(self) -> None:
        left = self._config.deliveries_max - self._usage.posts
        posts, size = await self.backlog.deliver(left) if left > 0 else (0, 0)
        self._usage = replace(
            self._usage, posts=self._usage.posts + posts, bytes_out=self._usage.bytes_out + size
        )

    async def _remember(self, notices: Sequence[Notice]) -> None:
        """Keep refusals that outlast this process: a ban is longer when it is not kept to."""
        before = dict(self.refusals)
        at = self._clock()
        for notice in notices:
            if not isinstance(notice, VenueChanged):
                continue
            if notice.state in _STATUSES and (notice.retry_at or 0.0) - at >= REMEMBER_S_MIN:
                known = self.refusals.get(notice.venue)
                if known is None or at >= known.until:
                    self.refusals[notice.venue] = Refusal(notice.state, notice.retry_at or 0.0)
            elif notice.state is VenueState.HEALTHY:
                self.refusals.pop(notice.venue, None)
        if self.refusals != before:
            kept = {venue: [int(told.state), told.until] for venue, told in self.refusals.items()}
            await self._write(_REFUSALS, kept)

    async def _read(self, key: str, default: Any) -> Any:
        value = await self._storage.read(key)
        return default if value is None else json.loads(value)

    async def _write(self, key: str, value: object) -> None:
        await self._storage.write(key, json.dumps(value).encode())


def _told_again(refusal: Refusal, at: float) -> Answer:
    """The refusal as the venue would tell it now, without asking the venue."""
    wait_s = max(1, round(refusal.until - at))
    return Answer(_STATUSES[refusal.state], b"{}", at, {"retry-after": str(wait_s)})
