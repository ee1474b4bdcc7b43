"""Small feed tables and ticks in the domain's words, for the kernel and for its twin alike."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from chrono.feeds import Feed, Leg
from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Estimates, LegReason
from core.aggregation.rules import RULES, Rules
from core.aggregation.window import Window
from core.columns import TICK_DTYPE, TickColumns
from tests.aggregation.plain import PlainTick

NOW = 1_700_000_000.0
_DECIMALS = 9


def feed(index: int, base: str, *legs: str, band_ppm: int = 1000) -> Feed:
    """A feed with legs such as `kraken:BTC/USD`."""
    return Feed(index, f"{base}/USD", 5, band_ppm, tuple(Leg.parse(leg) for leg in legs))


def columns(ticks: Sequence[PlainTick]) -> TickColumns:
    """Ticks as the decoder of batches makes them: prices to nine decimals, times to the millisecond."""
    rows = np.zeros(len(ticks), TICK_DTYPE)
    for row, tick in zip(rows, ticks, strict=True):
        row["kind"] = 2 if tick.is_trade else 1
        row["price_decimals"] = row["volume_decimals"] = _DECIMALS
        row["received_ms"] = round(tick.received_at * 1000)
        row["event_ms"] = 0 if tick.event_at is None else round(tick.event_at * 1000)
        for name, value in (("bid", tick.bid), ("ask", tick.ask), ("last", tick.last)):
            row[name] = 0 if value is None else round(value * 10**_DECIMALS)
        row["volume"] = -1 if tick.volume is None else round(tick.volume * 10**_DECIMALS)
    return TickColumns(np.array([tick.leg for tick in ticks], np.int32), rows)


def plain(ticks: TickColumns) -> list[PlainTick]:
    """The same ticks for the twin, with exactly the numbers that the kernel reads."""
    fields = (ticks.received_at, ticks.event_at, ticks.bid, ticks.ask, ticks.last, ticks.volume)
    rows = zip(ticks.leg.tolist(), ticks.is_trade.tolist(), *(f.tolist() for f in fields), strict=True)
    return [
        PlainTick(leg, is_trade, received, *(None if math.isnan(value) else value for value in rest))
        for leg, is_trade, received, *rest in rows
    ]


class Bench:
    """A window and its aggregator over a small table, spoken to by the names of legs."""

    def __init__(self, *feeds: Feed, rules: Rules = RULES) -> None:
        self.feeds = feeds
        self.window = Window(feeds, rules)
        self.aggregator = Aggregator(self.window)
        self.legs = [str(leg) for each in feeds for leg in each.legs]

    def quote(self, leg: str, mid: float | None = None, *, at: float = NOW, **fields: float | None) -> None:
        """A quote received at `at` with a book one basis point wide around `mid`, unless told otherwise."""
        told = {"event_at": at, "volume": 100.0}
        if mid is not None:
            told |= {"bid": mid * 0.99995, "ask": mid * 1.00005, "last": mid}
        self.apply(PlainTick(self.legs.index(leg), False, at, **(told | fields)), at=at)

    def trade(self, leg: str, price: float, size: float = 1.0, *, at: float = NOW, **fields: float) -> None:
        told = {"event_at": at, "last": price, "volume": size}
        self.apply(PlainTick(self.legs.index(leg), True, at, **(told | fields)), at=at)

    def apply(self, *ticks: PlainTick, at: float = NOW) -> None:
        self.window.apply(columns(ticks), at)

    def estimate(self, at: float = NOW) -> Estimates:
        return self.aggregator.estimate(at)

    def reason(self, estimates: Estimates, leg: str) -> LegReason:
        return LegReason(estimates.legs.reason[self.legs.index(leg)])
