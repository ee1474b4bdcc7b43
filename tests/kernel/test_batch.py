from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.batch import (
    BYTES_MAX,
    MAGIC,
    SIGNATURE_BYTES,
    TICK_BYTES,
    TICKS_MAX,
    Batch,
    _scaled,
    _scaled_by_arithmetic,
    decode,
    encode,
    read_header,
    restamp,
)
from chrono.errors import BatchError, MalformedBatch, OversizedBatch
from chrono.feeds import Leg
from chrono.ticks import Quote, Trade
from chrono.venue_state import VenueReport, VenueState
from tests.kernel.ticks_of import AT, KEY_ID, batch_of, batches

SIGNATURE = bytes(SIGNATURE_BYTES)


def sealed(batch: Batch) -> bytes:
    return encode(batch) + SIGNATURE


@given(batches)
def test_a_batch_comes_back_as_it_went(batch: Batch) -> None:
    assert decode(sealed(batch)) == batch


def test_the_bytes_lie_as_the_layout_draws_them() -> None:
    leg = Leg("kraken", "BTC", "USD")
    ticks = (
        Quote(leg, Decimal("99.5"), Decimal("100.25"), None, Decimal("8.125"), None, AT),
        Trade(leg, Decimal("100.1"), Decimal(2), AT - 1, AT),
    )
    report = VenueReport("kraken", VenueState.BANNED, AT - 9, AT + 9, 418, 3, 1)
    encoded = encode(Batch(KEY_ID, 7, AT, ticks, (report,), 5))
    assert encoded[:6] == MAGIC + bytes([1, 1])
    assert encoded[6:14] == KEY_ID
    assert struct.unpack_from("<QqHHI", encoded, 14) == (7, 1_750_000_000_000, 1, 2, 5)
    assert encoded[38:53] == bytes([14]) + b"kraken:BTC/USD"
    assert encoded[53:65] == b"kraken\0\0\0\0\0\0"
    assert struct.unpack_from("<BxH", encoded, 65) == (VenueState.BANNED, 418)
    quote, trade = encoded[53 + 72 :][:TICK_BYTES], encoded[53 + 72 + TICK_BYTES :]
    assert struct.unpack("<HBBB3xqqqqqq", quote) == (0, 1, 2, 3, 1_750_000_000_000, 0, 9950, 10025, 0, 8125)
    assert struct.unpack("<HBBB3xqqqqqq", trade) == (
        0, 2, 1, 0, 1_750_000_000_000, 1_749_999_999_000, 0, 0, 1001, 2,
    )  # fmt: skip


@given(st.binary(max_size=400))
def test_garbage_is_a_clean_refusal(garbage: bytes) -> None:
    with pytest.raises(BatchError):
        decode(garbage)


@given(batches, st.data())
def test_flipped_bytes_are_refused_or_are_another_batch(batch: Batch, data: st.DataObject) -> None:
    raw = bytearray(sealed(batch))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
    with suppress(BatchError):
        decode(bytes(raw))


@given(batches, st.data())
def test_a_batch_cut_anywhere_is_refused(batch: Batch, data: st.DataObject) -> None:
    raw = sealed(batch)
    with pytest.raises(BatchError):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(batches, st.binary(min_size=1, max_size=100))
def test_bytes_behind_a_batch_are_refused(batch: Batch, tail: bytes) -> None:
    with pytest.raises(BatchError):
        read_header(sealed(batch) + tail)


def test_the_largest_batch_fits_and_one_tick_more_does_not() -> None:
    assert len(sealed(batch_of(TICKS_MAX))) <= BYTES_MAX
    with pytest.raises(OversizedBatch) as refused:
        encode(batch_of(TICKS_MAX + 1))
    assert (refused.value.size, refused.value.limit) == (TICKS_MAX + 1, TICKS_MAX)


def test_too_many_bytes_are_refused_before_they_are_read() -> None:
    with pytest.raises(OversizedBatch):
        read_header(bytes(BYTES_MAX + 1))


@pytest.mark.parametrize(("offset", "value"), [(0, b"X"), (4, b"\x02"), (21, b"\x80"), (29, b"\x7f")])
def test_a_header_out_of_bounds_is_refused(offset: int, value: bytes) -> None:
    raw = bytearray(sealed(batch_of(1)))
    raw[offset : offset + 1] = value
    with pytest.raises(MalformedBatch):
        read_header(bytes(raw))


@pytest.mark.parametrize("change", [{"key_id": b"short"}, {"sequence": -1}, {"sequence": 2**63}])
def test_what_the_layout_cannot_hold_is_refused_at_once(change: dict[str, object]) -> None:
    with pytest.raises(MalformedBatch):
        encode(replace(batch_of(1), **change))  # type: ignore[arg-type]


def test_a_value_too_long_for_63_bits_loses_its_last_decimals_only() -> None:
    leg = Leg("okx", "PEPE", "USDT")
    volume = Decimal("123456789012345678.123456789")
    quote = Quote(leg, Decimal("0.000012345678"), Decimal("0.00002"), None, volume, AT, AT)
    (back,) = decode(sealed(Batch(KEY_ID, 1, AT, (quote,)))).ticks
    assert isinstance(back, Quote)
    assert back.bid == quote.bid
    assert back.volume_24h is not None
    assert abs(back.volume_24h - volume) < 1


@given(batches, st.integers(1_600_000_000_000, 4_000_000_000_000))
def test_a_batch_is_stamped_anew_with_nothing_else_changed(batch: Batch, ms: int) -> None:
    stamped = decode(restamp(encode(batch), ms / 1000) + SIGNATURE)
    assert stamped == replace(batch, sent_at=ms / 1000)


def numbers() -> st.SearchStrategy[Decimal]:
    digits, shift = st.integers(0, 10**18 - 1), st.integers(-18, 0)
    return st.builds(lambda value, exponent: Decimal(value).scaleb(exponent), digits, shift)


@given(st.lists(st.none() | numbers(), min_size=1, max_size=3))
def test_the_fast_scaling_gives_what_the_plain_one_does(values: list[Decimal | None]) -> None:
    assert _scaled(*values) == _scaled_by_arithmetic(*values)
