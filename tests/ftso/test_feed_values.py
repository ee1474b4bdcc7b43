"""A price as four bytes."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.errors import FtsoError, MalformedMessage, OutOfRange
from core.ftso.feed_values import HIGHEST, LOWEST, decode_values, encode_prices, encode_values, scaled

values = st.none() | st.integers(LOWEST, HIGHEST)


@pytest.mark.parametrize(
    ("price", "decimals", "expected"),
    [
        (2.5, 0, 3),  # Python's round says 2
        (-2.5, 0, -2),  # halves go up, not away from zero
        (0.49999999999999994, 0, 0),  # adding a half in float64 would make 1 of it
        (1.005, 2, 100),  # in float64 this is 100.49999999999999, as for the reference
        (Decimal("1.005"), 2, 101),  # as a decimal it is a half
        (Decimal("-1.005"), 2, -100),
        (123456, -2, 1235),
        (Decimal(123449), -2, 1234),
        (Decimal("1E-999999"), 8, 0),
        (Decimal("-0E+999999"), 8, 0),
        (4503599627370497.0, -7, 450359963),
    ],
)
def test_halves_are_rounded_up(price: Decimal | float, decimals: int, expected: int) -> None:
    assert scaled(price, decimals) == expected


TOO_MUCH: list[Decimal | float] = [math.nan, math.inf, -math.inf, 1e308, 21474836.475, -21474836.48]
TOO_MUCH += map(Decimal, ("NaN", "sNaN", "Infinity", "1E+999999", "21474836.475", "-21474836.48"))


@pytest.mark.parametrize("price", TOO_MUCH)
def test_what_has_no_place_in_32_bits_is_refused(price: Decimal | float) -> None:
    with pytest.raises(OutOfRange):
        scaled(price, 2)


def test_the_widest_values_fit() -> None:
    assert encode_prices([21474836.47, -21474836.47], [2, 2]).hex() == "ffffffff00000001"


@given(st.decimals(-(10**12), 10**12, allow_nan=False), st.integers(-8, 20))
def test_a_decimal_is_scaled_exactly(price: Decimal, decimals: int) -> None:
    exact = math.floor(Fraction(price) * Fraction(10) ** decimals + Fraction(1, 2))
    if LOWEST <= exact <= HIGHEST:
        assert scaled(price, decimals) == exact
    else:
        with pytest.raises(OutOfRange):
            scaled(price, decimals)


@given(st.floats(), st.integers(-128, 127))
def test_a_float_is_scaled_or_refused(price: float, decimals: int) -> None:
    try:
        assert LOWEST <= scaled(price, decimals) <= HIGHEST
    except OutOfRange:
        assert not abs(price * 10.0**decimals) < HIGHEST


@given(st.lists(values, max_size=70), st.integers(0, 5), st.booleans())
def test_values_are_read_back_as_they_were_written(written: list[int | None], more: int, cut: bool) -> None:
    raw = encode_values(written, cut_empty_end=cut)
    assert decode_values(raw, len(written) + more) == (*written, *[None] * more)


@given(st.binary(max_size=64), st.integers(0, 8))
def test_any_bytes_are_values_or_refused(raw: bytes, count: int) -> None:
    try:
        read = decode_values(raw, count)
    except MalformedMessage:
        assert len(raw) % 4 or len(raw) > 4 * count
    else:
        assert encode_values(read, cut_empty_end=False)[: len(raw)] == raw


@given(st.lists(st.integers(), max_size=5))
def test_integers_of_any_size_are_written_or_refused(written: list[int]) -> None:
    try:
        encode_values(written)
    except FtsoError:
        assert not all(LOWEST <= value <= HIGHEST for value in written)
