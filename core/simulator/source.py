"""What the simulator shows: a market at an instant, as columns, whoever made it.

Knows the shape of a market. Does not know venues' formats nor faults. Columns are in the order of
`chrono.feeds.LEGS`; prices are in the leg's own quote, sizes and volumes in base units, times Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Every leg at one instant. A leg that is not `listed` has no meaning in the other columns.

    `decimals` are those of a price, `size_decimals` those of a size. `event_at` is when the venue last
    changed the quote; `trade_id` is the id of the last trade, and `trades_24h` how many there were.
    """

    at: float
    listed: NDArray[np.bool_]
    decimals: Ints
    size_decimals: Ints
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    last: Floats
    last_size: Floats
    open_24h: Floats
    high_24h: Floats
    low_24h: Floats
    volume_24h: Floats
    event_at: Floats
    trade_id: Ints
    trades_24h: Ints


@dataclass(frozen=True, slots=True)
class Print:
    """One trade of a leg. Ids rise within the leg; `taker_sells` is true where the taker sold."""

    id: int
    at: float
    price: float
    size: float
    taker_sells: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What a test may compare with: US dollars by feed, the last price by leg, before any fault.

    `minute` is the recorded minute (Unix seconds), None for a market that was never recorded.
    """

    at: float
    minute: float | None
    feeds: Mapping[str, float]
    legs: Mapping[str, float]


class MarketSource(Protocol):
    """A market that can be asked about any instant; the same instant always has the same answer."""

    @property
    def step_s(self) -> float:
        """The grid on which anything changes, a power of two in seconds, so that its multiples are exact.

        An instant between two steps shows the earlier one.
        """
        ...

    def at(self, at: float) -> Snapshot:
        """The market at an instant."""
        ...

    def prints(self, leg: int, at: float, limit: int) -> Sequence[Print]:
        """At most `limit` trades of a leg up to an instant: the last ones, oldest first."""
        ...

    def truth(self, at: float) -> Truth:
        """What everything is really worth at an instant."""
        ...
