"""A small feed table and what random lessons over it share, for the twins of what is learned."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st

from core.aggregation.markets import Markets
from tests.aggregation.markets import feed

FEEDS = (
    feed(0, "USDT", "coinbase:USDT/USD", "kraken:USDT/USD", "okx:USDT/USD", band_ppm=100),
    feed(1, "BTC", "coinbase:BTC/USD", "kraken:BTC/USD", "kraken:BTC/USDT", "okx:BTC/USD", "okx:BTC/USDT"),
    feed(2, "XDC", "kraken:XDC/USD", "bybit:XDC/USDT", band_ppm=500),
    feed(3, "LEO", "okx:LEO/USD", band_ppm=1600),
)
MARKETS = Markets.of(FEEDS)
SHAPE = MARKETS.shape
PLACES = [(f, k) for f, each in enumerate(FEEDS) for k in range(len(each.legs))]
STEPS_S = st.sampled_from([-3.0, 0.0, 0.5, 1.0, 20.0, 300.0])
SEEDS = st.integers(0, 2**32 - 1)


def known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


def close(got: object, wanted: object) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-13)
