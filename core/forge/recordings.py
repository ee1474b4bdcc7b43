"""Reads what is replayed: candles, as a grid of minutes by legs, and Chrono's own recorded quotes.

The only module of the arena that opens market data. Knows files; what the rows mean for an estimator is told
by `candle_tape` and `tick_tape`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from chrono.errors import ChronoError
from chrono.feeds import FEEDS, LEGS, Feed
from core.aggregation.estimates import Floats
from core.aggregation.markets import Ints
from core.simulator.candles import open_candles

QUOTE_COLUMNS: Final = ("leg", "received_at", "event_at", "bid", "ask", "last", "volume_24h")


class NoQuotes(ChronoError):
    """A file that no quotes can be read from."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Candles of M minutes by L legs; NaN where a minute had no trade. `minute` is Unix time / 60, rising.

    `feeds` are those with a leg in the recording, with just these legs: L in feed order.
    """

    feeds: tuple[Feed, ...]
    minute: Ints
    high: Floats
    low: Floats
    close: Floats
    volume: Floats


def read_recording(path: Path) -> Recording:
    """The candles of a Parquet or CSV file; raises CandleError where there are none."""
    candles = open_candles(path)
    minute = np.unique(candles.minute)
    present = [int(leg) for leg in np.unique(candles.leg)]
    known = {LEGS[leg] for leg in present}
    feeds = tuple(
        replace(feed, legs=tuple(leg for leg in feed.legs if leg in known))
        for feed in FEEDS
        if known.intersection(feed.legs)
    )
    row, column = np.searchsorted(minute, candles.minute), np.searchsorted(present, candles.leg)
    grids = []
    for values in (candles.high, candles.low, candles.close, candles.volume):
        grid = np.full((len(minute), len(present)), np.nan)
        grid[row, column] = values
        grids.append(grid)
    return Recording(feeds, minute.astype(np.intp), *grids)


@dataclass(frozen=True, slots=True, eq=False)
class QuoteHistory:
    """N quotes in the order of receipt. `leg` numbers the legs of `feeds`, in feed order.

    `feeds` are those with a quote, with just the legs that have one. NaN for what a quote does not tell.
    """

    feeds: tuple[Feed, ...]
    leg: Ints
    received_at: Floats
    told_at: Floats
    bid: Floats
    ask: Floats
    last: Floats
    volume_24h: Floats


def read_quotes(path: Path) -> QuoteHistory:
    """Quotes of a Parquet or CSV file with the columns of QUOTE_COLUMNS, times in Unix seconds.

    Rows of legs that are not in the feed table are left out. Raises NoQuotes if nothing is left.
    """
    table = _quotes_table(path)
    names = table["leg"].to_pylist()
    numbers = {
        name: table[name].cast(pa.float64()).fill_null(np.nan).to_numpy() for name in QUOTE_COLUMNS[1:]
    }
    present = set(names)
    feeds = tuple(
        replace(feed, legs=tuple(leg for leg in feed.legs if str(leg) in present))
        for feed in FEEDS
        if any(str(leg) in present for leg in feed.legs)
    )
    place = {str(leg): at for at, leg in enumerate(leg for feed in feeds for leg in feed.legs)}
    leg = np.array([place.get(name, -1) for name in names], np.intp)
    kept = np.flatnonzero((leg >= 0) & ~np.isnan(numbers["received_at"]))
    if not len(kept):
        raise NoQuotes(f"{path.name} has no quote of a leg in the feed table")
    order = kept[np.argsort(numbers["received_at"][kept], kind="stable")]
    columns = {name: values[order] for name, values in numbers.items()}
    told_at = columns.pop("event_at")
    return QuoteHistory(feeds=feeds, leg=leg[order], told_at=told_at, **columns)


def _quotes_table(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            parquet = file.read(4) == b"PAR1"
        table = pq.read_table(path) if parquet else pyarrow.csv.read_csv(path)
    except (OSError, pa.ArrowException) as error:
        raise NoQuotes(f"{path.name} is neither Parquet nor CSV: {str(error)[:200]}") from None
    missing = [name for name in QUOTE_COLUMNS if name not in table.column_names]
    if missing:
        raise NoQuotes(f"{path.name} has no column {', '.join(missing)}")
    return table
