"""What the core asks of the world, in its own words. Each port has a fake and a real adapter in one suite.

Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from chrono.errors import ChronoError
from chrono.venue_state import VenueReport

if TYPE_CHECKING:  # the serverless twin loads this file, and must not load numpy for names of types
    from core.aggregation.estimates import Estimates
    from core.columns import TickColumns


class StoreUnavailable(ChronoError):
    """The store cannot commit now: it is down, or its queue is full. Try again after `retry_after_s`."""

    def __init__(self, detail: str, retry_after_s: float) -> None:
        self.detail, self.retry_after_s = detail, retry_after_s
        super().__init__(f"{detail}; try again in {retry_after_s:.0f} s")


class SequenceConflict(ChronoError):
    """A sequence was committed before with other content under the same key."""

    def __init__(self, key_id: str, sequence: int) -> None:
        self.key_id, self.sequence = key_id, sequence
        super().__init__(f"sequence {sequence} of key {key_id} was committed with other content")


class RoundNotOpen(ChronoError):
    """The voting epoch of a round has not begun: nothing is frozen for it yet."""

    def __init__(self, voting_round: int, opens_at: float) -> None:
        self.voting_round, self.opens_at = voting_round, opens_at
        super().__init__(f"voting round {voting_round} begins at {opens_at:.3f}")


class RoundMissed(ChronoError):
    """The voting epoch of a round is over, and no values were frozen for it."""

    def __init__(self, voting_round: int) -> None:
        self.voting_round = voting_round
        super().__init__(f"no values were frozen for voting round {voting_round}")


@dataclass(frozen=True, slots=True)
class HeardReport:
    """A venue's last report, from which collector (key id in hex), and when it was heard."""

    report: VenueReport
    collector: str
    heard_at: float


@dataclass(frozen=True, slots=True)
class RouteReport:
    """How one collector delivers, since the core's start.

    `heard_at` is when its last batch came, `newest_tick_at` when it received its newest tick by its own clock
    (None before the first). `legs` are those whose newest observation came by it; `ticks_dropped` counts what
    its spool lost. `clock_offset_s` is by how much our clock is ahead of its, and the shortest way on top.
    """

    name: str
    key_id: str
    heard_at: float
    newest_tick_at: float | None
    legs: int
    batches: int
    ticks: int
    ticks_dropped: int
    clock_offset_s: float


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A verified batch on its way to the store. `digest` is SHA-256 over its content without `sent_at`."""

    key_id: bytes
    sequence: int
    digest: bytes
    received_at: float
    ticks: TickColumns
    refused: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was committed for a (key, sequence); the same on every redelivery but for `duplicate`."""

    accepted: int
    refused: Mapping[str, int]
    duplicate: bool


class TickStore(Protocol):
    """Keeps ticks."""

    async def append(self, record: BatchRecord) -> Receipt:
        """Commit a batch once. On return it is on disk; a redelivery returns its first receipt.

        Raises SequenceConflict, or StoreUnavailable: append it again then. If the connection broke during the
        commit it may be on disk already, and the second append returns its receipt.
        """
        ...


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval of a feed's estimates. `start` is its first instant; `vwap` is None without trades."""

    start: float
    open: float
    high: float
    low: float
    close: float
    vwap: float | None
    volume: float


@dataclass(frozen=True, slots=True)
class Point:
    """One stored estimate of a feed."""

    at: float
    price: float
    band_low: float
    band_high: float
    vwap: float | None
    twap: float | None
    venues_used: int


class EstimateStore(Protocol):
    """Keeps estimates and answers for the past. Every call raises StoreUnavailable when it cannot."""

    async def append(self, estimates: Estimates) -> None:
        """Store the LIVE values of one pass. Appending the same pass again changes nothing."""
        ...

    async def points(self, feed: str, start: float, end: float, limit: int) -> Sequence[Point]:
        """Stored estimates with start <= at < end, oldest first, at most `limit`."""
        ...

    async def candles(
        self, feed: str, interval_s: int, start: float, end: float, limit: int
    ) -> Sequence[Candle]:
        """Candles of 60, 300, 3600 or 86400 s that start in [start, end), oldest first."""
        ...

    async def prices_near(self, at: float) -> Mapping[str, tuple[float, float]]:
        """By feed, the stored (time, price) nearest after `at`: the reference for a change since then."""
        ...


class VenueStore(Protocol):
    """Keeps how venues treated a collector."""

    async def append(self, key_id: bytes, reports: Sequence[VenueReport], at: float) -> None:
        """Store the reports whose state differs from the last stored one of that key and venue."""
        ...


class RoundStore(Protocol):
    """Keeps the values that were frozen for a voting round."""

    async def freeze(self, voting_round: int, at: float, values: Mapping[str, float]) -> Mapping[str, float]:
        """Store the values of a round unless it has some already; return those that stand. First wins."""
        ...

    async def find(self, voting_round: int) -> Mapping[str, float] | None:
        """The frozen values of a round by feed name, or None."""
        ...


class Bus(Protocol):
    """Carries messages from one publisher to many subscribers; a slow one loses the oldest, never blocks."""

    async def publish(self, message: bytes) -> None:
        """Hand a message to every present subscriber. Never waits for them."""
        ...

    def subscribe(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Messages published from now on, until the context ends."""
        ...
