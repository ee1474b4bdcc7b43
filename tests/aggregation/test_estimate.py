"""What the estimates promise, told in small markets."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation.estimates import FeedState, LegReason
from core.aggregation.rules import RULES, Rules
from tests.aggregation.markets import NOW, Bench, feed

_VENUES = ("binance", "bybit", "coinbase", "kraken", "okx")
_BTC = feed(0, "BTC", *(f"{venue}:BTC/USD" for venue in _VENUES), band_ppm=500)


def _all_at(bench: Bench, prices: list[float], at: float = NOW) -> None:
    for leg, price in zip(bench.legs, prices, strict=True):
        bench.quote(leg, price, at=at)


@settings(max_examples=60)
@given(st.lists(st.floats(90, 110), min_size=5, max_size=5))
def test_the_estimate_is_within_the_hull_of_the_used_legs_and_its_band(prices: list[float]) -> None:
    bench = Bench(_BTC)
    _all_at(bench, prices)
    got = bench.estimate()
    used = got.legs.price[got.legs.weight > 0]
    assert used.min() <= got.price[0] <= used.max()
    assert got.band_low[0] < got.price[0] < got.band_high[0]
    assert got.legs.weight.sum() == pytest.approx(1)


@settings(max_examples=40)
@given(st.lists(st.floats(90, 110), min_size=5, max_size=5), st.sampled_from([1e-4, 0.5, 3.0, 1e4]))
def test_ten_times_the_prices_are_ten_times_the_estimate(prices: list[float], scale: float) -> None:
    one, many = Bench(_BTC), Bench(_BTC)
    _all_at(one, prices)
    _all_at(many, [price * scale for price in prices])
    first, second = one.estimate(), many.estimate()
    for name in ("price", "band_low", "band_high", "median", "twap"):
        assert getattr(second, name)[0] == pytest.approx(getattr(first, name)[0] * scale, rel=1e-5)


@settings(max_examples=40)
@given(st.lists(st.floats(90, 110), min_size=5, max_size=5), st.permutations(range(5)))
def test_the_order_of_the_venues_does_not_matter(prices: list[float], order: list[int]) -> None:
    here, there = Bench(_BTC), Bench(feed(0, "BTC", *(f"{_VENUES[i]}:BTC/USD" for i in order), band_ppm=500))
    for leg, price in zip(here.legs, prices, strict=True):
        here.quote(leg, price)
        there.quote(leg, price)
    assert there.estimate().price[0] == pytest.approx(here.estimate().price[0], rel=1e-12)


@settings(max_examples=80)
@given(
    st.lists(st.floats(99.97, 100.03), min_size=3, max_size=5),
    st.floats(1.0, 1e4),
    st.sampled_from([1.0, 100.0, 1e8]),
)
def test_one_manipulated_venue_moves_the_estimate_no_further_than_the_others_spread(
    prices: list[float], forged: float, forged_volume: float
) -> None:
    legs = [f"{venue}:BTC/USD" for venue in _VENUES[: len(prices)]]
    bench = Bench(feed(0, "BTC", *legs, band_ppm=500))
    for leg, price in zip(legs[1:], prices[1:], strict=True):
        bench.quote(leg, price)
    bench.quote(legs[0], forged, volume=forged_volume)
    # Books are kept to nine decimals: the hull is as exact as that.
    assert min(prices[1:]) - 1e-8 <= bench.estimate().price[0] <= max(prices[1:]) + 1e-8


def test_a_venue_off_by_five_percent_is_left_out_and_named() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0, 100.01, 99.99, 105.0, 100.0])
    got = bench.estimate()
    assert bench.reason(got, "kraken:BTC/USD") is LegReason.OUTLIER
    assert got.price[0] == pytest.approx(100.0, abs=0.01)
    assert got.venues_used[0] == 4


def test_a_venue_one_basis_point_from_three_that_agree_exactly_is_kept() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0, 100.0, 100.0, 100.01, 100.0])
    assert bench.estimate().venues_used[0] == 5


def test_of_two_venues_that_disagree_neither_is_thrown_out_and_the_band_says_so() -> None:
    bench = Bench(feed(0, "XDC", "kraken:XDC/USD", "bybit:XDC/USD"))
    bench.quote("kraken:XDC/USD", 1.0, volume=1e6)
    bench.quote("bybit:XDC/USD", 1.05)
    got = bench.estimate()
    assert got.price[0] == pytest.approx(1.025)
    assert (got.band_low[0], got.band_high[0]) == (pytest.approx(1.0), pytest.approx(1.05))


def test_a_single_leg_is_used_and_counted_as_one_venue() -> None:
    bench = Bench(feed(0, "SGB", "kraken:SGB/USD", band_ppm=1400))
    bench.quote("kraken:SGB/USD", 0.01)
    got = bench.estimate()
    assert (got.venues_used[0], got.state[0]) == (1, FeedState.LIVE)
    assert got.band_high[0] / got.price[0] - 1 == pytest.approx(700e-6, rel=1e-3)


def test_a_venue_with_all_the_volume_has_no_more_than_its_share() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0] * 5)
    bench.quote("okx:BTC/USD", 100.0, volume=1e9)
    got = bench.estimate()
    assert got.legs.weight.max() == pytest.approx(RULES.venue_share_max)


def test_a_feed_without_legs_has_no_value() -> None:
    bench = Bench(feed(0, "USDX"), _BTC)
    _all_at(bench, [100.0] * 5)
    got = bench.estimate()
    assert got.state.tolist() == [FeedState.NONE, FeedState.LIVE]
    assert math.isnan(got.price[0])


def test_a_table_of_feeds_without_any_leg_has_no_value_at_all() -> None:
    assert Bench(feed(0, "USDX")).estimate().state.tolist() == [FeedState.NONE]


def test_a_table_without_feeds_is_refused() -> None:
    with pytest.raises(ValueError, match="feed"):
        Bench()


def test_a_stale_feed_carries_its_last_price_and_when_it_was_live() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0, 100.02, 100.04, 100.06, 100.08])
    live = bench.estimate(NOW + 1)
    stale = bench.estimate(NOW + 100)
    assert stale.state[0] == FeedState.STALE
    assert (stale.price[0], stale.band_low[0]) == (live.price[0], live.band_low[0])
    assert (stale.estimated_at[0], stale.age_s[0]) == (NOW + 1, 99)
    assert math.isnan(stale.median[0])
    assert stale.venues_used[0] == 0
    assert set(stale.legs.reason) == {LegReason.DEAD_VENUE}


def test_a_feed_that_comes_back_is_live_again() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0] * 5)
    bench.estimate(NOW)
    bench.estimate(NOW + 100)
    _all_at(bench, [101.0] * 5, at=NOW + 101)
    got = bench.estimate(NOW + 101)
    assert (got.state[0], got.price[0], got.sequence) == (FeedState.LIVE, pytest.approx(101), 3)


def test_the_volume_of_a_pass_is_what_was_traded_since_the_one_before() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0] * 5)
    bench.trade("okx:BTC/USD", 100.0, 2.0, at=NOW + 1)
    bench.trade("kraken:BTC/USD", 100.003, 1.0, at=NOW + 1)
    first, second = bench.estimate(NOW + 1), bench.estimate(NOW + 2)
    assert (first.volume[0], first.notional[0]) == (pytest.approx(3), pytest.approx(300.003))
    assert (second.volume[0], second.notional[0]) == (0, 0)
    assert second.vwap[0] == pytest.approx(100.001)


def test_trades_of_a_leg_that_is_left_out_are_not_in_the_vwap() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0, 100.0, 100.0, 100.0, 105.0])
    bench.trade("okx:BTC/USD", 105.0, 50.0)
    bench.trade("kraken:BTC/USD", 100.0, 1.0)
    assert bench.estimate().vwap[0] == pytest.approx(100)


def test_the_same_window_gives_the_same_estimate_twice() -> None:
    bench = Bench(_BTC)
    _all_at(bench, [100.0, 100.03, 99.9, 99.95, 101.0])
    first, second = bench.estimate(NOW + 3), bench.estimate(NOW + 3)
    assert (first.price[0], first.twap[0]) == (second.price[0], second.twap[0])
    np.testing.assert_array_equal(first.legs.weight, second.legs.weight)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_share_that_could_hold_a_majority_is_refused(share: float) -> None:
    with pytest.raises(ValueError, match="share"):
        Rules(venue_share_max=share)


@settings(max_examples=100)
@given(st.lists(st.floats(0.001, 1e6), min_size=3, max_size=5))
def test_no_venue_is_over_its_share_when_three_are_there(volumes: list[float]) -> None:
    legs = [f"{venue}:BTC/USD" for venue in _VENUES[: len(volumes)]]
    bench = Bench(feed(0, "BTC", *legs))
    for leg, volume in itertools.zip_longest(legs, volumes):
        bench.quote(leg, 100.0, volume=volume)
    assert bench.estimate().legs.weight.max() <= RULES.venue_share_max + 1e-9
