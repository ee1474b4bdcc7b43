"""The kernel against its plain twin, over random markets with every fault that venues have shown."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Estimates, FeedState
from core.aggregation.window import Window
from tests.aggregation import plain
from tests.aggregation.markets import NOW, columns, feed
from tests.aggregation.markets import plain as plain_ticks
from tests.aggregation.plain import FeedResult, PlainTick, PlainWindow

FEEDS = (
    feed(0, "USDT", "coinbase:USDT/USD", "kraken:USDT/USD", "okx:USDT/USD", band_ppm=100),
    feed(1, "USDC", "kraken:USDC/USD", "kraken:USDC/USDT", "okx:USDC/USDT", band_ppm=100),
    feed(
        2,
        "BTC",
        "coinbase:BTC/USD",
        "kraken:BTC/USD",
        "kraken:BTC/USDT",
        "okx:BTC/USD",
        "okx:BTC/USDT",
        "okx:BTC/USDC",
        "bybit:BTC/USDT",
        band_ppm=500,
    ),
    feed(3, "USDX"),
    feed(4, "SGB", "kraken:SGB/USD", "gecko:SGB/USD", "dexscreener:SGB/USD"),
    feed(5, "XDC", "kraken:XDC/USD", "bybit:XDC/USDT", "gecko:XDC/USD"),
    feed(7, "POOL", "gecko:POOL/USD", "dexscreener:POOL/USD"),
    feed(6, "EURO", "kraken:EURO/EUR", "bybit:EURO/USDT", "okx:EURO/USD"),
)
LEGS = [leg for each in FEEDS for leg in each.legs]
VENUES = sorted({leg.venue for leg in LEGS})
_WORTH = {
    "USD": 1.0,
    "USDC": 1.0,
    "EUR": 1.1,
    "BTC": 23_000.0,
    "SGB": 0.01,
    "XDC": 0.07,
    "POOL": 1.0,
    "EURO": 1.1,
}
_AGES = st.one_of(
    st.floats(0, 4), st.floats(0, 90), st.sampled_from([0.0, 10.0, 30.0, 60.0, 61.0, 300.0, 601.0, 4000.0])
)
_NOISE = st.one_of(st.just(0.0), st.floats(-3e-4, 3e-4), st.sampled_from([0.05, -0.05, 1e-3, 3e-3]))


@st.composite
def _ticks(draw: st.DrawFn, now: float, peg: float) -> PlainTick:
    leg = draw(st.integers(0, len(LEGS) - 1))
    worth = {**_WORTH, "USDT": peg}
    mid = worth[LEGS[leg].base] / worth[LEGS[leg].quote] * (1 + draw(_NOISE))
    received = now - draw(_AGES)
    told = draw(st.one_of(st.none(), _AGES.map(lambda age: received - age), st.just(now + 3)))
    volume = draw(st.one_of(st.none(), st.just(5.0), st.floats(0.01, 1e6)))
    if draw(st.integers(0, 3)) == 0:
        return PlainTick(leg, True, received, told or received, last=mid, volume=volume or 1.0)
    half = mid * draw(st.sampled_from([0.0, 1e-4, 1e-3, 0.02, 0.04]))
    last = draw(st.one_of(st.none(), st.just(mid), st.just(mid * 1.1)))
    if draw(st.integers(0, 9)) == 0:
        return PlainTick(leg, False, received, told, None, None, last or mid, volume)
    return PlainTick(leg, False, received, told, mid - half, mid + half, last, volume)


@st.composite
def _whole_market(draw: st.DrawFn, now: float, peg: float) -> list[PlainTick]:
    """Nearly every leg at once, as after a round of polls."""
    silent = draw(st.sets(st.sampled_from(VENUES), max_size=2))
    ticks = []
    worth = {**_WORTH, "USDT": peg}
    for index, leg in enumerate(LEGS):
        if leg.venue not in silent and draw(st.integers(0, 9)):
            mid = worth[leg.base] / worth[leg.quote] * (1 + draw(_NOISE))
            told = draw(st.sampled_from([None, now - 1, now - 45, now - 100]))
            ticks.append(PlainTick(index, False, now - 1, told, mid, mid * 1.0002, mid, 10.0))
    return ticks


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[float, list[PlainTick]]]:
    """Batches at rising times, over seconds to minutes."""
    peg = draw(st.sampled_from([1.0, 0.9995, 0.87]))
    now, batches = NOW, []
    for _ in range(draw(st.integers(1, 4))):
        now += draw(st.sampled_from([0.0, 1.5, 7.0, 31.0, 70.0]))
        some = st.lists(_ticks(now, peg), max_size=12)
        batches.append((now, draw(st.one_of(some, _whole_market(now, peg)))))
    return batches


@settings(max_examples=300)
@given(histories(), st.sampled_from([0.0, 2.0, 29.0, 58.0, 250.0]), st.sampled_from([*VENUES, "nobody"]))
def test_the_kernel_says_what_its_plain_twin_says(
    history: list[tuple[float, list[PlainTick]]], later: float, heard: str
) -> None:
    window, twin = Window(FEEDS), PlainWindow(FEEDS)
    aggregator = Aggregator(window)
    for now, ticks in history:
        batch = columns(ticks)
        window.apply(batch, now)
        twin.apply(plain_ticks(batch), now)
    at = history[-1][0] + later
    window.hear(heard, at)
    twin.hear(heard, at)
    assert_same(aggregator.estimate(at), *plain.estimate(twin, at))


def assert_same(got: Estimates, wanted: list[FeedResult], rates: dict[str, float]) -> None:
    """Every reason and count the same, every number to nine digits."""
    legs = [leg for result in wanted for leg in result.legs]
    assert got.legs.reason.tolist() == [leg.reason for leg in legs]
    _close(got.legs.price, [leg.price for leg in legs])
    _close(got.legs.weight, [leg.weight for leg in legs])
    _close(got.legs.age_s, [leg.age_s for leg in legs])
    assert got.state.tolist() == [result.state for result in wanted]
    assert got.venues_used.tolist() == [result.venues_used for result in wanted]
    for name in ("price", "band_low", "band_high", "median", "vwap", "twap"):
        _close(getattr(got, name), [getattr(result, name) for result in wanted])
    live = got.state == FeedState.LIVE
    _close(got.age_s[live], [result.age_s for result in wanted if result.state == FeedState.LIVE])
    assert got.conversion.keys() == rates.keys()
    _close(np.array([got.conversion[name] for name in rates]), list(rates.values()))


def _close(got: np.ndarray, wanted: list[float | None]) -> None:
    numbers = [math.nan if value is None else value for value in wanted]
    np.testing.assert_allclose(got, numbers, rtol=1e-9, atol=1e-12)
