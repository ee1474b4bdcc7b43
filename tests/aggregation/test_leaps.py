"""One or two venues do not take a feed to another price at once; two that agree do, and time does."""

from __future__ import annotations

import math

import pytest

from core.aggregation.estimates import Estimates, FeedState, LegReason
from core.aggregation.rules import RULES
from tests.aggregation.markets import NOW, Bench, feed

PAIR = ("bybit:HYPE/USDT", "okx:HYPE/USDT")
ALONE = "kraken:SGB/USD"


@pytest.fixture
def bench() -> Bench:
    return Bench(
        feed(0, "USDT", "coinbase:USDT/USD", "kraken:USDT/USD", "okx:USDT/USD", band_ppm=100),
        feed(1, "HYPE", *PAIR, band_ppm=5_000),
        feed(2, "SGB", ALONE, band_ppm=5_000),
        feed(3, "BTC", "coinbase:BTC/USD", "kraken:BTC/USD", "okx:BTC/USD", band_ppm=500),
    )


def shown(bench: Bench, at: float, **prices: float) -> Estimates:
    """A pass at `at`; what is not told is as ever: 40 for `one` and `other`, 0.01 for `alone`."""
    for leg in bench.legs[:3]:
        bench.quote(leg, 1.0, at=at)
    for leg, name, usual in zip((*PAIR, ALONE), ("one", "other", "alone"), (40.0, 40.0, 0.01), strict=True):
        bench.quote(leg, prices.get(name, usual), at=at)
    for leg in bench.legs[6:]:
        bench.quote(leg, prices.get("btc", 60_000.0), at=at)
    return bench.estimate(at)


@pytest.mark.parametrize("times", [100.0, 0.01, 1.2, 0.8])
def test_of_two_venues_the_one_that_leaps_is_not_believed(bench: Bench, times: float) -> None:
    before = shown(bench, NOW)
    after = shown(bench, NOW + 1, one=40.0 * times)
    assert after.price[1] == pytest.approx(before.price[1], rel=5e-4)
    assert after.state[1] == FeedState.LIVE
    assert after.venues_used[1] == 1
    assert bench.reason(after, PAIR[0]) is LegReason.UNCONFIRMED
    assert after.legs.price[bench.legs.index(PAIR[0])] == pytest.approx(40.0 * times, rel=1e-3)


def test_two_venues_that_leap_together_are_believed(bench: Bench) -> None:
    shown(bench, NOW)
    after = shown(bench, NOW + 1, one=30.0, other=30.1)
    assert after.price[1] == pytest.approx(30.05, rel=1e-2)
    assert after.venues_used[1] == 2


def test_a_lone_venue_that_leaps_leaves_the_feed_stale_until_it_has_stood(bench: Bench) -> None:
    before = shown(bench, NOW)
    at = NOW
    while at - NOW < RULES.leap_hold_s - 20:
        at += 20
        after = shown(bench, at, alone=1.0)
        assert after.state[2] == FeedState.STALE
        assert after.price[2] == before.price[2]
        assert bench.reason(after, ALONE) is LegReason.UNCONFIRMED
    after = shown(bench, NOW + RULES.leap_hold_s + 1, alone=1.0)
    assert after.state[2] == FeedState.LIVE
    assert after.price[2] == pytest.approx(1.0, rel=1e-3)


def test_a_feed_with_three_venues_falls_as_fast_as_they_do(bench: Bench) -> None:
    shown(bench, NOW)
    after = shown(bench, NOW + 1, btc=45_000.0)
    assert after.price[3] == pytest.approx(45_000.0, rel=1e-3)


def test_a_first_price_is_believed(bench: Bench) -> None:
    first = shown(bench, NOW, other=4_000.0)
    assert not math.isnan(first.price[1])
