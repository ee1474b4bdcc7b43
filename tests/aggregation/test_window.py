"""What the window remembers of ticks, and what it takes for stale."""

from __future__ import annotations

import math

import numpy as np
import pytest

from core.aggregation.estimates import LegReason
from tests.aggregation.markets import NOW, Bench, columns, feed
from tests.aggregation.plain import PlainTick

_LEG = "coinbase:HNT/USD"
_THIRD = "bybit:HNT/USD"


@pytest.fixture
def bench() -> Bench:
    return Bench(feed(0, "HNT", _LEG, "kraken:HNT/USD", _THIRD), feed(1, "BTC", "coinbase:BTC/USD"))


def price(bench: Bench, leg: str = _LEG, at: float = NOW) -> float:
    return float(bench.estimate(at).legs.price[bench.legs.index(leg)])


def test_a_quote_older_than_the_leg_has_by_the_venues_time_is_ignored(bench: Bench) -> None:
    bench.quote(_LEG, 5.0, event_at=NOW - 1)
    bench.quote(_LEG, 4.0, at=NOW + 1, event_at=NOW - 2)
    assert price(bench, at=NOW + 1) == pytest.approx(5)


def test_a_quote_without_a_venues_time_is_ordered_by_receipt(bench: Bench) -> None:
    bench.quote(_LEG, 5.0, event_at=None)
    late = PlainTick(0, False, NOW - 3, None, 4.0, 4.0)
    bench.apply(late, at=NOW + 1)
    assert price(bench) == pytest.approx(5)


def test_of_several_quotes_in_one_batch_the_newest_wins_in_any_order(bench: Bench) -> None:
    ticks = [PlainTick(0, False, NOW, NOW - age, mid, mid) for age, mid in ((2, 4.0), (0, 5.0), (1, 4.5))]
    bench.apply(*ticks)
    assert price(bench) == pytest.approx(5)


def test_the_same_batch_twice_changes_nothing(bench: Bench) -> None:
    ticks = (
        PlainTick(0, False, NOW, NOW, 4.9, 5.1, volume=10.0),
        PlainTick(0, True, NOW, NOW, last=5.0, volume=2.0),
    )
    bench.apply(*ticks)
    once = bench.window.observed(NOW).sums.copy()
    bench.apply(*ticks)
    np.testing.assert_array_equal(bench.window.observed(NOW).sums, once)
    assert bench.estimate().volume[0] == 2


def test_a_leg_came_by_the_route_of_its_newest_observation(bench: Bench) -> None:
    newer, older = PlainTick(0, False, NOW, NOW, 5.0, 5.0), PlainTick(0, False, NOW, NOW - 1, 4.0, 4.0)
    bench.window.apply(columns([newer]), NOW, 1)
    bench.window.apply(columns([older]), NOW, 2)
    assert bench.window.routes().tolist() == [1, -1, -1, -1]
    bench.window.apply(columns([PlainTick(0, True, NOW, NOW + 1, last=5.0, volume=1.0)]), NOW + 1, 2)
    assert bench.window.routes().tolist() == [2, -1, -1, -1]


def test_a_clock_far_ahead_does_not_hold_the_leg(bench: Bench) -> None:
    bench.quote(_LEG, 4.0, event_at=NOW + 3600)
    bench.quote(_LEG, 5.0, at=NOW + 1)
    assert price(bench, at=NOW + 1) == pytest.approx(5)


def test_last_outside_its_own_book_changes_nothing(bench: Bench) -> None:
    bench.quote(_LEG, bid=4.99, ask=5.01, last=6.0)
    assert price(bench) == pytest.approx(5)


def test_a_later_trade_outside_the_book_ends_the_book(bench: Bench) -> None:
    bench.quote(_LEG, 5.0)
    bench.trade(_LEG, 5.2, at=NOW + 1)
    assert price(bench, at=NOW + 1) == pytest.approx(5.2)
    bench.quote(_LEG, 5.3, at=NOW + 2)
    assert price(bench, at=NOW + 2) == pytest.approx(5.3)


def test_the_middle_of_a_wide_book_is_no_price_but_last_within_it_is(bench: Bench) -> None:
    bench.quote(_LEG, bid=4.0, ask=6.0)
    assert bench.reason(bench.estimate(), _LEG) is LegReason.NO_PRICE
    bench.quote(_LEG, bid=4.0, ask=6.0, last=7.0, at=NOW + 1)
    assert price(bench, at=NOW + 1) == pytest.approx(6)


def test_a_leg_without_a_book_is_worth_its_last(bench: Bench) -> None:
    bench.quote(_LEG, last=5.0)
    assert price(bench) == pytest.approx(5)


def test_a_quiet_leg_keeps_its_price_while_its_venue_answers(bench: Bench) -> None:
    bench.quote(_LEG, 5.0)
    bench.window.hear("coinbase", NOW + 120)
    assert bench.reason(bench.estimate(NOW + 121), _LEG) is LegReason.USED


def test_the_legs_of_a_venue_that_stops_answering_are_dead(bench: Bench) -> None:
    bench.quote(_LEG, 5.0)
    assert bench.reason(bench.estimate(NOW + 29), _LEG) is LegReason.USED
    assert bench.reason(bench.estimate(NOW + 31), _LEG) is LegReason.DEAD_VENUE


def test_a_leg_that_its_answering_venue_no_longer_shows_goes_stale(bench: Bench) -> None:
    bench.quote(_LEG, 5.0)
    bench.window.hear("coinbase", NOW + 301)
    assert bench.reason(bench.estimate(NOW + 301), _LEG) is LegReason.STALE


def test_a_stuck_venue_that_serves_an_old_answer_again_goes_stale(bench: Bench) -> None:
    for age in (0, 30, 61):
        bench.quote(_LEG, 5.0, at=NOW + age, event_at=NOW)
    assert bench.reason(bench.estimate(NOW + 61), _LEG) is LegReason.STALE


def test_a_thin_market_with_an_old_time_is_kept_while_its_venues_clock_moves(bench: Bench) -> None:
    for leg in (_LEG, "kraken:HNT/USD", _THIRD):
        bench.quote(leg, 5.0, event_at=NOW - 200 if leg == _LEG else NOW)
    bench.quote("coinbase:BTC/USD", 100.0)
    got = bench.estimate()
    assert bench.reason(got, _LEG) is LegReason.USED
    assert 0 < got.legs.weight[0] < got.legs.weight[1]


def test_a_thin_market_with_an_old_time_is_stale_once_it_disagrees(bench: Bench) -> None:
    for leg in (_LEG, "kraken:HNT/USD", _THIRD):
        bench.quote(leg, 5.0 if leg != _LEG else 5.05, event_at=NOW - 200 if leg == _LEG else NOW)
    bench.quote("kraken:HNT/USD", 5.02)
    bench.quote("coinbase:BTC/USD", 100.0)
    assert bench.reason(bench.estimate(), _LEG) is LegReason.STALE


def test_twap_weighs_every_price_by_how_long_it_stood(bench: Bench) -> None:
    start = math.floor(NOW / 60) * 60.0
    ticks = [
        PlainTick(0, False, start + s, start + s, mid, mid) for s, mid in ((0, 4.0), (3, 5.0), (13, 7.0))
    ]
    bench.window.apply(columns(ticks), start + 13)
    bench.window.hear("coinbase", start + 20)
    assert bench.estimate(start + 20).twap[0] == pytest.approx((4 * 3 + 5 * 10 + 7 * 7) / 20)


def test_vwap_forgets_trades_older_than_its_window(bench: Bench) -> None:
    bench.quote(_LEG, 5.0)
    bench.trade(_LEG, 4.0, 3.0)
    bench.quote(_LEG, 5.0, at=NOW + 61)
    assert math.isnan(bench.estimate(NOW + 61).vwap[0])
    bench.trade(_LEG, 5.0, 3.0, at=NOW + 62)
    assert bench.estimate(NOW + 62).vwap[0] == pytest.approx(5)


def test_a_spool_of_an_hour_ago_is_not_traded_now(bench: Bench) -> None:
    bench.quote(_LEG, 5.0)
    bench.apply(PlainTick(0, True, NOW - 3600, NOW - 3600, last=5.0, volume=9.0))
    assert bench.estimate().volume[0] == 0


def test_hearing_of_an_unknown_venue_is_no_error(bench: Bench) -> None:
    bench.window.hear("mtgox", NOW)
    assert bench.reason(bench.estimate(), _LEG) is LegReason.NO_DATA
