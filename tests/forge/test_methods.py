"""The published methods on samples whose answers can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.forge.methods import METHODS, PAST, Sample, lower_median, middle


def sample(*prices: float, ages: tuple[float, ...] = (), volume: tuple[float, ...] = ()) -> Sample:
    """One question: prices that have stood all the time, a book a basis point wide."""
    price = np.array([prices])
    ones = np.ones_like(price)
    return Sample(
        mid=price,
        last=price,
        half_spread=ones * 5e-5,
        age_s=np.array([ages]) if ages else ones * 0.0,
        volume=np.array([volume]) if volume else ones * 1e6,
        tier_one=ones > 0,
        past=np.repeat(price[:, None], PAST, axis=1),
        traded=np.ones((1, PAST, len(prices))),
    )


def answer(name: str, asked: Sample) -> float:
    with np.errstate(all="ignore"):
        return float(METHODS[name](asked)[0])


@pytest.mark.parametrize("name", sorted(METHODS))
@given(price=st.floats(1e-6, 1e6), legs=st.integers(3, 9))
def test_where_all_venues_agree_every_method_says_the_same(name: str, price: float, legs: int) -> None:
    assert answer(name, sample(*[price] * legs)) == pytest.approx(price, rel=1e-9)


@pytest.mark.parametrize("name", sorted(set(METHODS) - {"mean"}))
def test_one_venue_that_is_far_off_moves_no_method_but_the_mean_far(name: str) -> None:
    assert answer(name, sample(100.0, 100.02, 100.01, 99.99, 99.98, 100.0, 150.0)) == pytest.approx(
        100, abs=9
    )


@pytest.mark.parametrize("name", sorted(METHODS))
def test_a_feed_without_any_price_has_no_value(name: str) -> None:
    assert np.isnan(answer(name, sample(np.nan, np.nan, np.nan)))


def test_the_example_provider_forgets_old_trades() -> None:
    assert answer("flare-example", sample(99.0, 100.0, 101.0, ages=(0.0, 60.0, 60.0))) == 99.0


def test_pyth_leans_to_those_who_are_sure() -> None:
    assert answer("pyth", sample(100.0, 101.0, 102.0)) == pytest.approx(101.0)


def test_timrowley_leaves_out_what_is_beyond_half_a_percent() -> None:
    assert answer("timrowley", sample(100.0, 100.0, 100.0, 102.0)) == pytest.approx(100.0)


@given(st.lists(st.floats(1, 100), min_size=1, max_size=9))
def test_the_middle_is_numpys_median(values: list[float]) -> None:
    assert middle(np.array([values]))[0] == pytest.approx(np.median(values))


@given(st.lists(st.tuples(st.floats(1, 100), st.integers(1, 9)), min_size=1, max_size=9))
def test_the_lower_median_is_the_first_value_with_half_of_the_weight(drawn: list[tuple[float, int]]) -> None:
    values, weights = (np.array([column], float) for column in zip(*drawn, strict=True))
    spread = sorted(value for value, weight in drawn for _ in range(weight))
    assert lower_median(values, weights)[0] == spread[(len(spread) + 1) // 2 - 1]
