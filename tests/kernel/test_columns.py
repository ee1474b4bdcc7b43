"""The fast decoder held to the plain one."""

from __future__ import annotations

import struct
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import SIGNATURE_BYTES, TICK_BYTES, Batch, decode, encode, read_header
from chrono.feeds import LEGS, Leg
from chrono.ticks import Quote, Reason, Trade
from core.columns import LEG_INDEX, TickColumns, decode_columns
from tests.kernel.ticks_of import batch_of, batches, quote

SIGNATURE = bytes(SIGNATURE_BYTES)


def columns_of(raw: bytes) -> tuple[TickColumns, dict[Reason, int]]:
    return decode_columns(raw, read_header(raw))


def as_float(value: Decimal | float | None) -> float:
    return float("nan") if value is None else float(value)


@given(batches)
def test_both_decoders_read_the_same_ticks(batch: Batch) -> None:
    raw = encode(batch) + SIGNATURE
    columns, refused = columns_of(raw)
    ticks = decode(raw).ticks
    assert refused == {}
    assert [LEGS[index] for index in columns.leg] == [tick.leg for tick in ticks]
    assert list(columns.is_trade) == [isinstance(tick, Trade) for tick in ticks]
    expected = [
        (
            as_float(tick.bid if isinstance(tick, Quote) else None),
            as_float(tick.ask if isinstance(tick, Quote) else None),
            as_float(tick.last if isinstance(tick, Quote) else tick.price),
            as_float(tick.volume_24h if isinstance(tick, Quote) else tick.size),
            as_float(tick.event_at),
            tick.received_at,
        )
        for tick in ticks
    ]
    got = (
        np.stack(
            [columns.bid, columns.ask, columns.last, columns.volume, columns.event_at, columns.received_at],
            axis=1,
        )
        if len(columns)
        else np.empty((0, 6))
    )
    np.testing.assert_allclose(got, np.array(expected).reshape(-1, 6), rtol=1e-12)


def test_a_leg_that_the_core_does_not_read_is_refused_by_itself() -> None:
    strange = replace(quote(), leg=Leg("mtgox", "BTC", "USD"))
    columns, refused = columns_of(
        encode(replace(batch_of(3), ticks=(quote(0), strange, quote(1)))) + SIGNATURE
    )
    assert list(columns.leg) == [0, 1]
    assert refused == {Reason.UNKNOWN_SYMBOL: 1}


FIELDS = struct.Struct("<HBBB3xqqqqqq")
GOOD_QUOTE = (0, 1, 2, 1, 1_750_000_000_000, 0, 9950, 10050, 10010, 89133)
GOOD_TRADE = (0, 2, 2, 1, 1_750_000_000_000, 1_750_000_000_000, 0, 0, 10010, 20)
LEG_AT, KIND, DECIMALS, VOLUME_DECIMALS, RECEIVED, EVENT, BID, ASK, LAST, VOLUME = range(10)


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        (GOOD_QUOTE, {LEG_AT: 9}),
        (GOOD_QUOTE, {KIND: 0}),
        (GOOD_QUOTE, {KIND: 3}),
        (GOOD_QUOTE, {DECIMALS: 19}),
        (GOOD_QUOTE, {VOLUME_DECIMALS: 255}),
        (GOOD_QUOTE, {RECEIVED: 0}),
        (GOOD_QUOTE, {RECEIVED: 2**62}),
        (GOOD_QUOTE, {EVENT: -1}),
        (GOOD_QUOTE, {BID: -1}),
        (GOOD_QUOTE, {BID: 0}),
        (GOOD_QUOTE, {ASK: 0}),
        (GOOD_QUOTE, {BID: 10051}),
        (GOOD_QUOTE, {BID: 0, ASK: 0, LAST: 0}),
        (GOOD_QUOTE, {LAST: -5}),
        (GOOD_QUOTE, {VOLUME: -2}),
        (GOOD_TRADE, {LAST: 0}),
        (GOOD_TRADE, {VOLUME: 0}),
        (GOOD_TRADE, {VOLUME: -1}),
        (GOOD_TRADE, {EVENT: 0}),
    ],
)
def test_a_tick_out_of_bounds_is_refused_and_loses_no_other(
    fields: tuple[int, ...], changes: dict[int, int]
) -> None:
    raw = bytearray(encode(batch_of(3)) + SIGNATURE)
    bad = [changes.get(index, value) for index, value in enumerate(fields)]
    middle = read_header(bytes(raw)).ticks_at + TICK_BYTES
    raw[middle : middle + TICK_BYTES] = FIELDS.pack(*bad)
    columns, refused = columns_of(bytes(raw))
    assert list(columns.leg) == [0, 2]
    assert refused == {Reason.MALFORMED: 1}


@pytest.mark.parametrize("fields", [GOOD_QUOTE, GOOD_TRADE])
def test_the_ticks_that_are_then_spoilt_are_good(fields: tuple[int, ...]) -> None:
    raw = bytearray(encode(batch_of(1)) + SIGNATURE)
    start = read_header(bytes(raw)).ticks_at
    raw[start : start + TICK_BYTES] = FIELDS.pack(*fields)
    assert columns_of(bytes(raw))[1] == {}


@given(st.data())
def test_no_content_of_the_table_of_ticks_raises(data: st.DataObject) -> None:
    raw = bytearray(encode(batch_of(5)) + SIGNATURE)
    header = read_header(bytes(raw))
    raw[header.ticks_at : header.signed] = data.draw(
        st.binary(min_size=header.signed - header.ticks_at, max_size=header.signed - header.ticks_at)
    )
    columns, refused = decode_columns(bytes(raw), header)
    assert len(columns) + sum(refused.values()) == 5
    for values in (columns.bid, columns.ask, columns.last, columns.volume, columns.event_at):
        assert len(values) == len(columns)


def test_an_empty_batch_has_no_rows() -> None:
    columns, refused = columns_of(encode(batch_of(0)) + SIGNATURE)
    assert (len(columns), refused) == (0, {})


def test_every_leg_of_the_table_has_its_index() -> None:
    assert [LEG_INDEX[str(leg)] for leg in LEGS] == list(range(len(LEGS)))
