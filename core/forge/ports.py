"""What the arena asks of an estimator, and what it tells one. The same calls come in production.

An estimator is told three things, in the order of time, and nothing else: what the venues showed (`observe`),
what the finished rounds decided (`learn`), and that a value is wanted now (`estimate`). It never sees the
future, other providers' values before they are revealed, or what anything is "really" worth.

One instance sees one stream. Calls come from one thread with `at` never falling.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from chrono.feeds import Feed
from core.aggregation.estimates import Floats
from core.columns import TickColumns


@dataclass(frozen=True, slots=True)
class Forecast:
    """One value a feed, [F] US dollars, in the order of the feeds that the estimator was made for.

    NaN where there is no value to commit. `low` and `high` enclose the value; a stated 90 % band should hold
    the round's median nine times in ten.
    """

    value: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, slots=True)
class RoundOutcome:
    """A finished round as the chain shows it, [F]: the weighted median and its quartiles in US dollars.

    NaN where nobody gave a value. `commit_at` is the instant that the values were committed for.
    """

    voting_round: int
    commit_at: float
    median: Floats
    quartile1: Floats
    quartile3: Floats


class Estimator(Protocol):
    """Something that estimates what the round's median will be.

    Made by an `EstimatorMaker` for a feed table. `ticks.leg` numbers the legs of that table in feed order,
    as `core.aggregation.markets.Markets.of(feeds)` does.
    """

    @property
    def name(self) -> str:
        """Its name in tables: short, lower case."""
        ...

    def observe(self, ticks: TickColumns, at: float) -> None:
        """Take what a poll brought, received at `at` at the latest.

        A poll shows every leg of the venues that answered, changed or not; a venue that does not answer is
        missing. Several times a second to every few seconds: keep it well under a millisecond.
        """
        ...

    def estimate(self, at: float) -> Forecast:
        """The values to commit at `at`. Called once a round, and wherever else a value is compared."""
        ...

    def learn(self, outcome: RoundOutcome, at: float) -> None:
        """Take a finished round, some 60 s into the epoch after its own: before the next one's commit."""
        ...


EstimatorMaker = Callable[[Sequence[Feed]], Estimator]
"""Makes a fresh estimator that has seen nothing. Must be importable by name, for worker processes."""
