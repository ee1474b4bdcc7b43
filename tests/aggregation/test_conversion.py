"""Rates of the currencies that legs are quoted in."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chrono.feeds import FEEDS
from core.aggregation.conversion import Graph, solve_rates
from core.aggregation.estimates import LegReason
from core.aggregation.markets import STABLECOINS, Markets
from tests.aggregation.markets import NOW, Bench, feed

_DIRECT = tuple(f"{venue}:USDT/USD" for venue in ("binance", "coinbase", "kraken", "okx"))
_CROSS = ("binance:USDC/USDT", "kraken:USDC/USDT", "okx:USDC/USDT")


@pytest.fixture
def bench() -> Bench:
    return make()


def make() -> Bench:
    return Bench(
        feed(0, "USDT", *_DIRECT, band_ppm=100),
        feed(1, "USDC", "binance:USDC/USD", "kraken:USDC/USD", *_CROSS, band_ppm=100),
        feed(2, "BTC", "kraken:BTC/USD", "okx:BTC/USDT", "bybit:BTC/USDC", "okx:BTC/EUR", band_ppm=500),
    )


def _quote_all(bench: Bench, usdt: float, usdc: float) -> None:
    for leg in bench.legs:
        if leg in _DIRECT:
            bench.quote(leg, usdt)
        elif leg.endswith("USDC/USD"):
            bench.quote(leg, usdc)
        elif leg in _CROSS:
            bench.quote(leg, usdc / usdt)


def test_a_depeg_is_a_price_and_no_fault(bench: Bench) -> None:
    _quote_all(bench, 1.017, 0.87)
    for leg, price in (("kraken:BTC/USD", 20_000), ("okx:BTC/USDT", 20_000 / 1.017)):
        bench.quote(leg, price)
    bench.quote("bybit:BTC/USDC", 20_000 / 0.87)
    got = bench.estimate()
    assert got.conversion == {
        "USD": 1.0,
        "USDT": pytest.approx(1.017, rel=1e-6),
        "USDC": pytest.approx(0.87, rel=1e-6),
    }
    assert got.price[2] == pytest.approx(20_000, rel=1e-5)
    assert got.venues_used[2] == 3
    assert got.price[1] == pytest.approx(0.87, rel=1e-5)


@settings(max_examples=80)
@given(
    st.sampled_from([*_DIRECT, *_CROSS]),
    st.one_of(st.floats(0.5, 2), st.floats(0.999, 1.001), st.sampled_from([1e-6, 0.95, 1.05, 1e6])),
    st.lists(st.floats(-5e-5, 5e-5), min_size=len(_DIRECT), max_size=len(_DIRECT)),
)
def test_one_wrong_edge_moves_a_rate_by_less_than_half_a_basis_point_beyond_the_others(
    wrong: str, factor: float, noise: list[float]
) -> None:
    bench = make()
    _quote_all(bench, 0.9995, 1.0001)
    for leg, each in zip(_DIRECT, noise, strict=True):
        bench.quote(leg, 0.9995 * (1 + each))
    bench.quote(wrong, factor)
    right = [each for leg, each in zip(_DIRECT, noise, strict=True) if leg != wrong] + [0.0]
    rate = bench.estimate().conversion["USDT"] / 0.9995 - 1
    assert min(right) - 5e-5 <= rate <= max(right) + 5e-5


def test_two_edges_that_disagree_leave_the_rate_between_them(bench: Bench) -> None:
    bench.quote("kraken:USDT/USD", 1.0)
    bench.quote("okx:USDT/USD", 0.95)
    assert 0.95 < bench.estimate().conversion["USDT"] < 1.0


def test_a_currency_is_reached_over_another_one(bench: Bench) -> None:
    bench.quote("kraken:USDC/USD", 0.99)
    bench.quote("okx:USDC/USDT", 0.98)
    assert bench.estimate().conversion["USDT"] == pytest.approx(0.99 / 0.98, rel=1e-6)


def test_a_currency_without_a_path_has_no_rate_and_its_legs_say_so(bench: Bench) -> None:
    _quote_all(bench, 1.0, 1.0)
    bench.quote("okx:BTC/EUR", 18_000)
    got = bench.estimate()
    assert "EUR" not in got.conversion
    assert bench.reason(got, "okx:BTC/EUR") is LegReason.NO_CONVERSION
    assert math.isnan(got.price[2])


def test_edges_of_a_dead_venue_give_no_rate(bench: Bench) -> None:
    bench.quote("kraken:USDT/USD", 1.0, at=NOW - 40)
    bench.quote("okx:BTC/USDT", 20_000)
    got = bench.estimate()
    assert got.conversion == {"USD": 1.0}
    assert bench.reason(got, "okx:BTC/USDT") is LegReason.NO_CONVERSION


@settings(max_examples=150)
@given(
    st.sampled_from(("binance", "coinbase", "kraken", "okx")),
    st.sampled_from((0.01, 0.5, 1.05, 2.0, 100.0)),
    st.lists(st.floats(1 / 16, 1.0), min_size=20, max_size=20),
    st.lists(st.floats(-1e-4, 1e-4), min_size=20, max_size=20),
)
def test_a_venue_whose_every_edge_is_new_and_wrong_moves_no_rate_beyond_the_others(
    liar: str, lie: float, stood: list[float], apart: list[float]
) -> None:
    markets = Markets.of([each for each in FEEDS if each.base in STABLECOINS])
    legs = [leg for each in markets.feeds for leg in each.legs]
    edges = np.array([np.flatnonzero(markets.slot == slot)[0] for slot in markets.edge_slot])
    wrong = np.array([legs[edge].venue == liar for edge in edges])
    old = np.where(wrong, 0.0, np.array(stood[: len(edges)]) * 1e-4)
    price, live = np.exp(np.array(apart[: len(edges)])), np.ones(len(edges), np.bool_)
    told = np.where(wrong, price * lie, price)
    rates = solve_rates(Graph.of(markets), told, live, pair=np.zeros(len(edges)), edge=old**2)
    assert np.abs(np.log(rates)).max() < 3e-4


def test_a_currency_that_falls_takes_no_other_one_with_it() -> None:
    """USDC falls by 50 bps, and one of its two markets does not know yet: that is not put on USDT."""
    markets = Markets.of(
        [
            feed(0, "USDT", "kraken:USDT/USD", band_ppm=100),
            feed(1, "USDC", "kraken:USDC/USD", "okx:USDC/USDT", band_ppm=100),
        ]
    )
    legs = [leg for each in markets.feeds for leg in each.legs]
    edges = [legs[np.flatnonzero(markets.slot == slot)[0]] for slot in markets.edge_slot]
    price = np.array([0.995 if (leg.base, leg.quote) == ("USDC", "USD") else 1.0 for leg in edges])
    falling = np.array(["USDC" in (leg.base, leg.quote) for leg in edges])

    def error_bps(walk: np.ndarray) -> float:
        live = np.ones(len(edges), np.bool_)
        rates = solve_rates(Graph.of(markets), price, live, pair=walk, edge=walk)
        return abs(float(rates[markets.currencies.index("USDT")]) - 1) * 1e4

    assert error_bps(np.zeros(len(edges))) > 10
    assert error_bps(np.where(falling, (5e-3) ** 2, 0.0)) < 0.1
