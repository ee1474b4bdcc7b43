"""The full vector, 63 feeds by 30 legs, beside the plain twin that specifies it.

Both answer for the same minute of a synthetic market: a quote and a trade of every leg in each of the twelve
buckets, stablecoins and three quote currencies included, a few legs off, stuck or silent. The kernel's figure
is the median of many passes of `estimate_all` (conversion, staleness, outliers, VWAP, TWAP, median, band)
and of `Aggregator.estimate`, which also learns, each a millisecond later, with the best beside it. On a
shared machine a long call is interrupted and a short one is not, so the ratio is the smaller of that of the
medians and that of the bests. One core is enough: nothing in here starts a thread.
"""

from __future__ import annotations

import itertools
from statistics import median
from typing import Any

import numpy as np

from benchmarks.timing import times_of
from chrono.feeds import Feed, Leg
from core.aggregation.conversion import Graph
from core.aggregation.estimate import Aggregator
from core.aggregation.kernel import estimate_all
from core.aggregation.window import Window
from core.columns import TICK_DTYPE, TickColumns
from tests.aggregation import plain
from tests.aggregation.markets import plain as plain_ticks

FEED_COUNT, LEG_COUNT, VENUE_COUNT = 63, 30, 10
_START = 1_700_000_000.0
_RATES = {"USD": 1.0, "USDT": 0.9995, "USDC": 1.0001, "USDS": 1.0}


def synthetic_feeds() -> tuple[Feed, ...]:
    """63 feeds of 30 legs each: ten venues by three quote currencies, none quoted in itself."""
    stable = {16: "USDC", 17: "USDT", 26: "USDS"}
    feeds = []
    for index in range(FEED_COUNT):
        base = stable.get(index, f"A{index}")
        markets = [(f"v{venue}", quote) for quote in ("USD", "USDT", "USDC") for venue in range(VENUE_COUNT)]
        legs = [Leg(venue, base, quote) for venue, quote in markets if quote != base]
        legs += [Leg(f"v{venue}", f"{base}X", "USD") for venue in range(LEG_COUNT - len(legs))]
        feeds.append(Feed(index, f"{base}/USD", 5, 1000, tuple(legs)))
    return tuple(feeds)


def synthetic_ticks(feeds: tuple[Feed, ...], at: float, rng: np.random.Generator) -> TickColumns:
    """A quote and a trade of nearly every leg: 1 % are silent, 1 % off by 5 %, 1 % tell an old time."""
    legs = [leg for feed in feeds for leg in feed.legs]
    count = len(legs)
    worth = np.array([_RATES.get(leg.base.removesuffix("X"), 100.0) / _RATES[leg.quote] for leg in legs])
    kind = rng.random(count)
    mid = worth * np.exp(rng.normal(0, 2e-4, count)) * np.where(kind < 0.01, 1.05, 1.0)
    quotes = np.zeros(count, TICK_DTYPE)
    quotes["kind"], quotes["price_decimals"], quotes["volume_decimals"] = 1, 8, 2
    quotes["received_ms"] = (at - rng.uniform(0, 3, count)) * 1000
    quotes["event_ms"] = quotes["received_ms"] - np.where((kind > 0.01) & (kind < 0.02), 120_000, 200)
    quotes["bid"], quotes["ask"], quotes["last"] = mid * 0.9999e8, mid * 1.0001e8, mid * 1e8
    quotes["volume"] = rng.lognormal(14, 2, count)
    trades = quotes.copy()
    trades["kind"], trades["bid"], trades["ask"] = 2, 0, 0
    trades["event_ms"], trades["volume"] = trades["received_ms"], rng.integers(1, 10_000, count)
    heard = np.flatnonzero(kind < 0.99).astype(np.int32)
    return TickColumns(np.concatenate([heard, heard]), np.concatenate([quotes[heard], trades[heard]]))


def run(quick: bool = False) -> list[dict[str, Any]]:
    """The table's rows: what was measured, beside which baseline, and the target."""
    feeds, rng = synthetic_feeds(), np.random.default_rng(7)
    window, twin = Window(feeds), plain.PlainWindow(feeds)
    aggregator, graph = Aggregator(window), Graph.of(window.markets)
    at = _START
    for step in range(12):
        at = _START + step * window.rules.bucket_s
        ticks = synthetic_ticks(feeds, at, rng)
        window.apply(ticks, at)
        twin.apply(plain_ticks(ticks), at)
    seen = window.observed(at)
    later = itertools.count(1)
    kernel, whole, slow, take = [], [], [], []
    # In turns, so that what else the machine does falls on all of them alike.
    for _ in range(2 if quick else 9):
        kernel += times_of(lambda: estimate_all(window.markets, graph, seen, at, window.rules), 300)
        whole += times_of(lambda: aggregator.estimate(at + next(later) / 1000), 300)
        take += times_of(lambda: window.apply(ticks, at), 20)
        slow += times_of(lambda: plain.estimate(twin, at), 1)
    vector = f"{FEED_COUNT} feeds x {LEG_COUNT} legs"
    rows = []
    targets = (("kernel", kernel, "< 1 ms, >= 100x"), ("whole pass, with learning", whole, "< 2 ms"))
    for name, mine, target in targets:
        rows.append(
            {
                "name": f"aggregation, {vector}, {name}, median (best {min(mine):.2f} ms)",
                "figure": median(mine),
                "unit": "ms",
                "baseline": median(slow),
                "baseline_name": "plain twin",
                "ratio": min(median(slow) / median(mine), min(slow) / min(mine)),
                "target": target,
            }
        )
    rows.append(
        {
            "name": f"window takes {len(ticks)} ticks (best {min(take):.2f} ms)",
            "figure": median(take),
            "unit": "ms",
            "baseline": None,
            "baseline_name": None,
            "ratio": None,
            "target": None,
        }
    )
    return rows


if __name__ == "__main__":
    for row in run():
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.0f}x of {row['baseline_name']}"
        print(f"{row['name']}: {row['figure']:.3f} {row['unit']} {ratio} (target {row['target']})")
