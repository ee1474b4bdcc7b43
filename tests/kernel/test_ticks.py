from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.errors import MalformedValue
from chrono.ticks import number, price


@given(st.decimals(0, Decimal(10) ** 17, places=18))
def test_a_number_is_read_exactly(value: Decimal) -> None:
    assert number("price", format(value, "f")) == value


@pytest.mark.parametrize("text", ["0", "0.00000000", "-0", "1E-7", "68923.66", "0.000000000000000001"])
def test_what_venues_write_is_a_number(text: str) -> None:
    assert number("price", text) == Decimal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "NaN",
        "sNaN",
        "Infinity",
        "-1",
        "1e18",
        "1e-19",
        "1e999999999",
        "1e-999999999",
        "9" * 41,
        1,
        1.5,
        None,
        True,
        ["1"],
        b"1",
    ],
)
def test_what_is_no_number_in_bounds_is_refused(text: object) -> None:
    with pytest.raises(MalformedValue) as refused:
        number("price", text)
    assert refused.value.field == "price"


@given(st.text(max_size=60))
def test_any_text_is_a_bounded_number_or_refused(text: str) -> None:
    try:
        value = number("size", text)
    except MalformedValue:
        return
    assert 0 <= value < Decimal(10) ** 18


def test_a_price_is_over_zero() -> None:
    assert price("bid", "0.01") == Decimal("0.01")
    with pytest.raises(MalformedValue, match="bid"):
        price("bid", "0.00")
