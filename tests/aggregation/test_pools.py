"""How little aggregators of decentralized exchanges may say of a feed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.aggregation.estimates import FeedState, LegReason
from core.aggregation.rules import RULES
from tests.aggregation.markets import NOW, Bench, feed

GECKO, DEX, KRAKEN = "gecko:SGB/USD", "dexscreener:SGB/USD", "kraken:SGB/USD"


def alone() -> Bench:
    return Bench(feed(0, "SGB", GECKO, DEX))


def beside_an_exchange() -> Bench:
    return Bench(feed(0, "SGB", KRAKEN, GECKO, DEX))


def show(bench: Bench, at: float = NOW, **prices: float) -> float:
    """The estimate after each named venue has shown a price."""
    legs = {"gecko": GECKO, "dexscreener": DEX, "kraken": KRAKEN}
    for venue, price in prices.items():
        bench.quote(legs[venue], bid=None, ask=None, last=price, at=at, event_at=None)
    return float(bench.estimate(at).price[0])


def test_two_aggregators_that_agree_make_a_price() -> None:
    assert show(alone(), gecko=1.0, dexscreener=1.004) == pytest.approx(1.002)


def test_two_aggregators_that_disagree_are_both_left_out() -> None:
    bench = alone()
    show(bench, gecko=1.0, dexscreener=1.02)
    told = bench.estimate(NOW + 1)
    assert told.state[0] == FeedState.NONE
    assert {bench.reason(told, leg) for leg in (GECKO, DEX)} == {LegReason.UNCONFIRMED}


def test_one_aggregator_alone_is_never_enough() -> None:
    bench = alone()
    show(bench, gecko=1.0)
    assert bench.reason(bench.estimate(NOW + 1), GECKO) is LegReason.UNCONFIRMED


def test_an_exchange_confirms_an_aggregator() -> None:
    bench = beside_an_exchange()
    show(bench, kraken=1.0, gecko=1.002, dexscreener=2.0)
    told = bench.estimate(NOW + 1)
    assert bench.reason(told, GECKO) is LegReason.USED
    assert bench.reason(told, DEX) is LegReason.UNCONFIRMED


@given(st.floats(0.99, 1.01), st.floats(0.99, 1.01))
def test_beside_an_exchange_the_price_is_the_exchanges(one: float, other: float) -> None:
    bench = beside_an_exchange()
    assert show(bench, kraken=1.0, gecko=one, dexscreener=other) == 1.0
    weights = dict(zip(bench.legs, bench.estimate(NOW + 1).legs.weight.tolist(), strict=True))
    assert weights[GECKO] + weights[DEX] <= RULES.dex_share_max + 1e-9


def test_a_feed_on_aggregators_alone_moves_at_a_bounded_pace() -> None:
    bench = alone()
    show(bench, gecko=1.0, dexscreener=1.0)
    assert show(bench, NOW + 6, gecko=1.5, dexscreener=1.5) == pytest.approx(1.001)
    assert show(bench, NOW + 12, gecko=1.5, dexscreener=1.5) == pytest.approx(1.001 * 1.001)
    assert bench.estimate(NOW + 13).band_high[0] >= 1.5  # the band says where the pools are


def test_however_long_it_was_silent_one_step_is_that_of_a_minute() -> None:
    bench = alone()
    show(bench, gecko=1.0, dexscreener=1.0)
    assert show(bench, NOW + 7_200, gecko=0.5, dexscreener=0.5) == pytest.approx(0.99)


def test_an_exchange_that_comes_back_is_followed_at_once() -> None:
    bench = beside_an_exchange()
    show(bench, gecko=1.0, dexscreener=1.0)
    assert show(bench, NOW + 1, kraken=1.2) == pytest.approx(1.2)


def test_when_the_exchange_falls_silent_the_price_starts_from_its_last() -> None:
    bench = beside_an_exchange()
    show(bench, kraken=1.0)
    later = NOW + RULES.dead_s + 1
    reach = RULES.dex_move_per_minute * (later - NOW) / 60
    assert show(bench, later, gecko=1.2, dexscreener=1.2) == pytest.approx(1 + reach)


@given(st.lists(st.tuples(st.floats(0.1, 30.0), st.floats(0.2, 5.0)), min_size=1, max_size=20))
def test_no_history_of_pools_moves_a_feed_faster_than_its_pace(steps: list[tuple[float, float]]) -> None:
    bench, at = alone(), NOW
    price = show(bench, gecko=1.0, dexscreener=1.0)
    for wait_s, told in steps:
        at += wait_s
        after = show(bench, at, gecko=told, dexscreener=told)
        assert abs(after / price - 1) <= RULES.dex_move_per_minute * wait_s / 60 + 1e-9
        price = after
