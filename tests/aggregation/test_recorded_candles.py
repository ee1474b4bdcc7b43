"""Against recorded markets of March 2023: is the estimate nearer to a venue it has not seen than a median?

Coinbase's BTC/USD is left out and taken as the truth. Needs the recorded candles, which are not part of the
repository: `CHRONO_SHARED`, or `shared` beside the repository, is the folder that has `market/`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from chrono.feeds import Leg
from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Estimates
from core.aggregation.window import Window
from core.columns import TICK_DTYPE, TickColumns
from tests.aggregation.markets import feed

_SHARED = Path(os.environ.get("CHRONO_SHARED", Path(__file__).parents[3] / "shared"))
_CANDLES = _SHARED / "market" / "ohlcv_1m_btc_stables.parquet"
_TRUTH = Leg("coinbase", "BTC", "USD")
_FEEDS = (
    feed(
        0,
        "BTC",
        "binanceus:BTC/USDT",
        "binanceus:BTC/USDC",
        "coinbase:BTC/USDT",
        "kraken:BTC/USD",
        "kraken:BTC/USDT",
        "kraken:BTC/USDC",
        band_ppm=500,
    ),
    feed(1, "USDT", "kraken:USDT/USD", "coinbase:USDT/USD", band_ppm=100),
    feed(2, "USDC", "kraken:USDC/USD", "binanceus:USDC/USDT", band_ppm=100),
)
_DAY_MINUTES = 24 * 60
_HOURS_STEP = int(os.environ.get("CHRONO_HOURS_STEP", "4"))  # an hour in four, to be quick; 1 for all
_CALM_BPS = 10.0  # a minute is calm while the truth moves less than this from low to high


@dataclass(frozen=True)
class Candles:
    """Minutes (Unix seconds of their ends) by legs; NaN where a minute had no trade."""

    ends: np.ndarray
    close: dict[Leg, np.ndarray]
    volume: dict[Leg, np.ndarray]
    truth_range_bps: np.ndarray


@pytest.fixture(scope="module")
def candles() -> Candles:
    if not _CANDLES.exists():
        pytest.skip(f"no recorded candles at {_CANDLES}; set CHRONO_SHARED")
    from pyarrow import parquet

    table = parquet.read_table(_CANDLES)
    column = {name: table[name].to_numpy() for name in table.column_names}
    starts = column["minute"].astype("datetime64[s]").astype(np.int64)
    minutes, place = np.unique(starts, return_inverse=True)

    def by_minute(name: str, leg: Leg) -> np.ndarray:
        mine = (column["venue"] == leg.venue) & (column["base"] == leg.base) & (column["quote"] == leg.quote)
        values = np.full(len(minutes), np.nan)
        values[place[mine]] = column[name][mine]
        return values

    legs = [_TRUTH, *(leg for each in _FEEDS for leg in each.legs)]
    high, low = by_minute("high", _TRUTH), by_minute("low", _TRUTH)
    return Candles(
        minutes + 60.0,
        {leg: by_minute("close", leg) for leg in legs},
        {leg: by_minute("volume", leg) for leg in legs},
        (high - low) / low * 1e4,
    )


def _minute(candles: Candles, row: int, legs: list[Leg], volume_24h: np.ndarray) -> TickColumns:
    """What a poll at the end of a minute shows: the last price of every market that traded in it."""
    close = np.array([candles.close[leg][row] for leg in legs])
    traded = np.flatnonzero(~np.isnan(close))
    rows = np.zeros(len(traded), TICK_DTYPE)
    rows["kind"], rows["price_decimals"], rows["volume_decimals"] = 1, 6, 3
    rows["received_ms"] = rows["event_ms"] = int(candles.ends[row] * 1000)
    rows["last"] = np.rint(close[traded] * 1e6)
    rows["volume"] = np.rint(volume_24h[row, traded] * 1e3)
    return TickColumns(traded.astype(np.int32), rows)


def _replay(candles: Candles) -> list[Estimates | None]:
    """The estimates at the end of every minute; None in the hours that are left out."""
    legs = [leg for each in _FEEDS for leg in each.legs]
    volume = np.nan_to_num(np.stack([candles.volume[leg] for leg in legs], axis=1))
    summed = np.cumsum(volume, axis=0)
    volume_24h = summed - np.concatenate([np.zeros((_DAY_MINUTES, len(legs))), summed[:-_DAY_MINUTES]])
    window = Window(_FEEDS)
    aggregator, estimates = Aggregator(window), []
    for row, at in enumerate(candles.ends):
        if row // 60 % _HOURS_STEP:
            estimates.append(None)
            continue
        window.apply(_minute(candles, row, legs, volume_24h), at)
        for venue in ("binanceus", "coinbase", "kraken"):
            window.hear(venue, at)
        estimates.append(aggregator.estimate(at))
    return estimates


@pytest.mark.slow
def test_the_estimate_is_as_near_to_an_unseen_venue_as_the_plain_median(
    candles: Candles, capsys: pytest.CaptureFixture[str]
) -> None:
    estimates = _replay(candles)
    truth = candles.close[_TRUTH]
    error = {
        name: np.abs(np.array([getattr(each, name)[0] if each else np.nan for each in estimates]) / truth - 1)
        * 1e4
        for name in ("price", "median")
    }
    both = ~np.isnan(error["price"] + error["median"])
    calm = both & (candles.truth_range_bps < _CALM_BPS)
    share = {name: np.mean(each[calm] <= 5) for name, each in error.items()}
    overall = {name: np.mean(each[both] <= 5) for name, each in error.items()}
    with capsys.disabled():
        print(
            f"\nwithin 5 bps of Coinbase: {np.count_nonzero(calm)} calm minutes:"
            f" estimate {share['price']:.1%}, converted median {share['median']:.1%};"
            f" all {np.count_nonzero(both)} minutes: {overall['price']:.1%}, {overall['median']:.1%}"
        )
    assert share["price"] >= share["median"]
    assert overall["price"] >= overall["median"]
