"""The book of volumes beside its slow twin: a list of trades."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import Batch, encode, read_header
from chrono.feeds import Leg
from chrono.ticks import Quote, Trade
from core.columns import TickColumns, decode_columns
from core.volumes import BUCKET_S, SPAN_S, VolumeBook
from tests.fakes.batches import AT, quote, trade

LEGS = (Leg("kraken", "BTC", "USD"), Leg("binance", "BTC", "USDT"), Leg("kraken", "ETH", "USD"))
RATES = {"USD": 1.0, "USDT": 0.5}


def columns(ticks: Sequence[Quote | Trade]) -> TickColumns:
    sealed = encode(Batch(bytes(8), 1, AT, tuple(ticks))) + bytes(64)
    return decode_columns(sealed, read_header(sealed))[0]


trades = st.builds(
    lambda leg, price, size, at: trade(LEGS[leg], price=str(price), size=str(size), at=AT + at),
    st.integers(0, 2),
    st.integers(1, 1_000),
    st.integers(1, 1_000),
    st.integers(-SPAN_S, 0).map(float),
)


@given(st.lists(trades, max_size=40), st.integers(1, SPAN_S))
def test_volumes_are_the_sum_of_the_trades_in_the_window(told: list[Trade], window_s: int) -> None:
    book = VolumeBook()
    book.apply(columns(told), AT)
    buckets = -(-window_s // BUCKET_S)
    first = (AT // BUCKET_S - buckets + 1) * BUCKET_S
    expected: dict[str, float] = {"kraken": 0.0, "binance": 0.0}
    for each in told:
        if each.leg.base == "BTC" and each.event_at >= first:
            expected[each.leg.venue] += float(each.price * each.size) * RATES[each.leg.quote]
    got = book.traded("BTC/USD", window_s, AT, RATES)
    assert {venue: got[venue] for venue in expected} == pytest.approx(expected)


def test_an_hour_later_nothing_is_left() -> None:
    book = VolumeBook()
    book.apply(columns([trade()]), AT)
    assert book.traded("BTC/USD", SPAN_S, AT, RATES)["kraken"] > 0
    assert book.traded("BTC/USD", SPAN_S, AT + SPAN_S + BUCKET_S, RATES)["kraken"] == 0


def test_quotes_and_unknown_feeds_have_no_volume() -> None:
    book = VolumeBook()
    book.apply(columns([quote()]), AT)
    assert set(book.traded("BTC/USD", 60, AT, RATES).values()) == {0.0}
    assert book.traded("NOPE/USD", 60, AT, RATES) == {}


def test_a_leg_without_a_rate_is_left_out() -> None:
    book = VolumeBook()
    book.apply(columns([trade(LEGS[1])]), AT)
    assert "binance" not in book.traded("BTC/USD", 60, AT, {"USD": 1.0})
