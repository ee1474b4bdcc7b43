"""Whether this machine's clock is good enough to commit by: evidence, a verdict, and a refusal.

Evidence is of two kinds. A server that dates an answer bounds our clock from both sides, to about a second;
of several servers the interval counts that most of them share. A block is never dated later than the true
time by more than BLOCK_AHEAD_S, so the newest one bounds how late our clock may be; it says nothing of a
clock that is early, for which a node that is behind looks the same.

A commit must lie in its voting epoch, so a clock that is off by more than the margin before the epoch's end
would spoil it: the values are then not frozen, and nothing is committed and nothing owed. Only what is
certain counts, so rough evidence refuses nothing. A reveal is never refused: it is owed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import structlog
from prometheus_client import CollectorRegistry, Gauge

from chrono.errors import ChronoError
from core.ftso.identities import VotingRoundId
from core.provider.ports import FeedValues

LOOK_EVERY_S: Final = 15.0
EVIDENCE_S_MAX: Final = 120.0
"""Older evidence is none: the servers have been away since."""
BLOCK_AHEAD_S: Final = 2.0

log = structlog.get_logger()


class ClockWrong(ChronoError):
    """This machine's clock would spoil the commit; the text says by how much it is off."""


@dataclass(frozen=True, slots=True)
class Skew:
    """Our clock less the true time, in seconds: somewhere from `low` to `high`."""

    low: float
    high: float

    @property
    def certain_s(self) -> float:
        """What of the skew is certain: 0 if the clock may be right."""
        return max(self.low, 0.0) + min(self.high, 0.0)

    @property
    def middle_s(self) -> float:
        return (self.low + self.high) / 2

    def moved(self, by_s: float) -> Skew:
        """The skew once our clock was set forward by so much."""
        return Skew(self.low + by_s, self.high + by_s)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the evidence says. `skew` is None where servers' dates are missing or contradict each other."""

    skew: Skew | None
    certain_s: float
    limit_s: float

    @property
    def spoils(self) -> bool:
        """Whether a commit by this clock would be spoilt, for certain."""
        return abs(self.certain_s) > self.limit_s

    @property
    def drifts(self) -> bool:
        """Whether it is on the way there."""
        return abs(self.certain_s) > self.limit_s / 2

    @property
    def detail(self) -> str:
        """For the operator."""
        if abs(self.certain_s) > self.limit_s / 2:
            early = "ahead" if self.certain_s > 0 else "late"
            return f"our clock is {abs(self.certain_s):.1f} s {early} or more: set it by NTP"
        if self.skew is None:
            return "no dates from servers to compare our clock with"
        return f"our clock is between {self.skew.low:+.1f} s and {self.skew.high:+.1f} s of the servers'"


def dated(date_s: int, sent_at: float, received_at: float) -> Skew:
    """What a date in whole seconds says that was written between our sending and our receiving."""
    return Skew(sent_at - (date_s + 1), received_at - date_s)


def shared(told: Sequence[Skew]) -> Skew | None:
    """The interval that most servers agree on; None unless more than half do (Marzullo's algorithm)."""
    edges = sorted([(each.low, -1) for each in told] + [(each.high, 1) for each in told])
    best, inside, found = 0, 0, None
    for position, (edge, kind) in enumerate(edges[:-1]):
        inside -= kind
        if inside > best:
            best, found = inside, Skew(edge, edges[position + 1][0])
    return found if 2 * best > len(told) else None


def judged(skew: Skew | None, head_at: int, at: float, limit_s: float) -> Verdict:
    """The verdict at `at` by our clock. `head_at` is the newest block's time, 0 before one was read."""
    certain_s = 0.0 if skew is None else skew.certain_s
    return Verdict(skew, min(certain_s, at - head_at + BLOCK_AHEAD_S), limit_s)


class ClockMetrics:
    """The clock as the operator's alerts see it."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.skew_s = Gauge(
            "chrono_provider_clock_skew_seconds",
            "Our clock less the servers' dates, the middle of what is possible",
            registry=registry,
        )
        self.certain_s = Gauge(
            "chrono_provider_clock_certain_skew_seconds",
            "What of our clock's skew is certain, by servers' dates and blocks",
            registry=registry,
        )
        self.spoils = Gauge(
            "chrono_provider_clock_spoils", "1 while the clock forbids to commit", registry=registry
        )


class ClockWatch:
    """Keeps the newest evidence and judges by it.

    `dates` asks the servers; `head_at` gives the newest block's time; `clock` is the clock that is judged,
    `monotonic` one that nobody sets, so that a clock that was set since is noticed.
    """

    def __init__(
        self,
        *,
        dates: Callable[[], Awaitable[Sequence[Skew]]],
        head_at: Callable[[], int],
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        limit_s: float,
        metrics: ClockMetrics,
    ) -> None:
        self._dates, self._head_at, self._clock, self._monotonic = dates, head_at, clock, monotonic
        self._limit_s, self._metrics = limit_s, metrics
        self._skew: Skew | None = None
        self._looked: tuple[float, float] | None = None
        self._warned = False

    async def look(self) -> Verdict:
        """Ask the servers for the time, and judge."""
        told = await self._dates()
        if told:
            self._skew, self._looked = shared(told), (self._clock(), self._monotonic())
        verdict = self.verdict(self._clock())
        if verdict.drifts != self._warned:
            tell = log.warning if verdict.drifts else log.info
            tell("clock_skew", certain_s=round(verdict.certain_s, 2), detail=verdict.detail)
        self._warned = verdict.drifts
        return verdict

    def verdict(self, at: float) -> Verdict:
        """By what is known, at `at` by the clock that is judged."""
        verdict = judged(self._present(at), self._head_at(), at, self._limit_s)
        if verdict.skew is not None:
            self._metrics.skew_s.set(verdict.skew.middle_s)
        self._metrics.certain_s.set(verdict.certain_s)
        self._metrics.spoils.set(verdict.spoils)
        return verdict

    async def run(self) -> None:
        """Look every LOOK_EVERY_S until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    def guarding(self, values: FeedValues) -> FeedValues:
        """The values, refused with ClockWrong while the clock would spoil the commit."""

        async def guarded(voting_round: VotingRoundId, at: float) -> Mapping[str, float]:
            verdict = self.verdict(at)
            if verdict.spoils:
                raise ClockWrong(f"round {voting_round} is not committed to: {verdict.detail}")
            return await values(voting_round, at)

        return guarded

    def _present(self, at: float) -> Skew | None:
        """The servers' evidence, moved by as much as our clock was set since."""
        if self._skew is None or self._looked is None:
            return None
        passed = self._monotonic() - self._looked[1]
        if passed > EVIDENCE_S_MAX:
            return None
        return self._skew.moved(at - self._looked[0] - passed)
