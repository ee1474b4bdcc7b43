"""Batches: ticks of one collector as bytes, and back.

Knows the byte layout and its bounds. Does not know who may sign (`chrono.signing`) nor which legs a core
wants. The layout, little-endian:

    offset  size   field
    0       4      magic "CHRB"
    4       1      version, 1
    5       1      V, number of venue reports, uint8
    6       8      key id: the first 8 bytes of SHA-256 of the Ed25519 public key
    14      8      sequence, uint64: rises by at least one a batch under one key, across restarts
    22      8      sent at, int64, Unix milliseconds: when these bytes were signed
    30      2      L, number of legs, uint16
    32      2      N, number of ticks, uint16
    34      4      ticks that the collector's spool has dropped since its start, uint32
    38      ...    L legs: 1 byte length, then the leg's text in ASCII (`kraken:BTC/USD`)
    ...     72 V   venue reports, below
    ...     56 N   ticks, below
    ...     64     Ed25519 signature over all bytes before it

    a tick: offset  size  field
            0       2     index of its leg, uint16
            2       1     kind: 1 quote, 2 trade
            3       1     decimals of bid, ask and last or price, 0..18
            4       1     decimals of the volume or size, 0..18
            5       3     zero
            8       8     received at, int64, Unix milliseconds
            16      8     event at, int64, Unix milliseconds, 0 where the venue tells none
            24      8     bid, int64 mantissa, 0 for none; 0 in a trade
            32      8     ask, int64 mantissa, 0 for none; 0 in a trade
            40      8     last, int64 mantissa, 0 for none; the price of a trade
            48      8     24 h volume, int64 mantissa, -1 for none; the size of a trade

    a venue report: offset  size  field
                    0       12    venue, ASCII, padded with zero bytes
                    12      1     state (chrono.venue_state.VenueState)
                    13      1     zero
                    14      2     status or error code that led to it, uint16
                    16      8     in this state since, int64, Unix milliseconds
                    24      8     next request at, int64, Unix milliseconds, 0 for no wait
                    32      4     requests since the collector's start, uint32
                    36      4     failed requests, uint32
                    40      32    refused rows, uint32 for each of chrono.ticks.Reason in its order

A batch may hold no ticks: its reports say then that the collector is alive. A value is mantissa /
10^decimals; values too long for 63 bits lose their last decimals, nothing else is lost. Resending after an
outage keeps the sequence and signs anew with a new time, so that the freshness window can be narrow while a
spool is hours old.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from chrono.errors import MalformedBatch, OversizedBatch
from chrono.feeds import Leg
from chrono.ticks import DECIMALS_MAX, Quote, Reason, Tick, Trade
from chrono.venue_state import VenueReport, VenueState

MAGIC: Final = b"CHRB"
VERSION: Final = 1
TICKS_MAX: Final = 2_000
BYTES_MAX: Final = 128 * 1024
SIGNATURE_BYTES: Final = 64
KEY_ID_BYTES: Final = 8
TICK_BYTES: Final = 56
KIND_QUOTE: Final = 1
KIND_TRADE: Final = 2

_HEADER: Final = struct.Struct("<4sBB8sQqHHI")
_REPORT: Final = struct.Struct("<12sBxHqqII8I")
_TICK: Final = struct.Struct("<HBBB3xqqqqqq")
_KEY_ID_OFFSET: Final = 6
_SENT_AT_OFFSET: Final = 22
_MANTISSA_MAX: Final = 2**63 - 1
_SEQUENCE_MAX: Final = 2**63 - 1
_UINT32_MAX: Final = 2**32 - 1
_REASONS: Final = tuple(Reason)
_TIME_MS_MAX: Final = 4_102_444_800_000  # the year 2100


@dataclass(frozen=True, slots=True)
class Batch:
    """Ticks that one collector sends together. `sent_at` is in Unix seconds, kept to the millisecond.

    `ticks_dropped` counts what the collector's spool has lost since its start.
    """

    key_id: bytes
    sequence: int
    sent_at: float
    ticks: tuple[Tick, ...]
    reports: tuple[VenueReport, ...] = ()
    ticks_dropped: int = 0


@dataclass(frozen=True, slots=True)
class Header:
    """What the first bytes say, checked against the length of the whole.

    `ticks_at` is the offset of the table of ticks, `signed` the number of signed bytes.
    """

    key_id: bytes
    sequence: int
    sent_at: float
    ticks_dropped: int
    legs: tuple[str, ...]
    reports: tuple[VenueReport, ...]
    tick_count: int
    ticks_at: int
    signed: int


def encode(batch: Batch) -> bytes:
    """The bytes to be signed, without the signature.

    Raises OversizedBatch over TICKS_MAX ticks or BYTES_MAX bytes, MalformedBatch on a key id or sequence
    that the layout cannot hold.
    """
    if len(batch.ticks) > TICKS_MAX:
        raise OversizedBatch(len(batch.ticks), TICKS_MAX, "ticks")
    if len(batch.key_id) != KEY_ID_BYTES or not 0 <= batch.sequence <= _SEQUENCE_MAX:
        raise MalformedBatch("the key id has 8 bytes and the sequence is from 0 to 2^63 - 1")
    legs: dict[Leg, int] = {}
    records = [_encode_tick(tick, legs.setdefault(tick.leg, len(legs))) for tick in batch.ticks]
    parts = [
        _HEADER.pack(
            MAGIC,
            VERSION,
            len(batch.reports),
            batch.key_id,
            batch.sequence,
            _to_ms(batch.sent_at),
            len(legs),
            len(records),
            min(batch.ticks_dropped, _UINT32_MAX),
        )
    ]
    for leg in legs:
        text = str(leg).encode("ascii")
        if len(text) > 255:
            raise MalformedBatch(f"a leg's name has {len(text)} bytes")
        parts.append(bytes([len(text)]) + text)
    encoded = b"".join([*parts, *map(_encode_report, batch.reports), *records])
    if len(encoded) + SIGNATURE_BYTES > BYTES_MAX:
        raise OversizedBatch(len(encoded) + SIGNATURE_BYTES, BYTES_MAX)
    return encoded


def restamp(encoded: bytes, sent_at: float, key_id: bytes | None = None) -> bytes:
    """Encoded bytes with a new sending time, and a new key if one is named, to be signed anew.

    So that a spool can keep bytes, a tenth of what the ticks take as objects, and keep them while its key is
    replaced.
    """
    stamped = bytearray(encoded)
    struct.pack_into("<q", stamped, _SENT_AT_OFFSET, _to_ms(sent_at))
    if key_id is not None:
        struct.pack_into("<8s", stamped, _KEY_ID_OFFSET, key_id)
    return bytes(stamped)


def key_id_of(encoded: bytes) -> bytes:
    """The key that encoded bytes name."""
    return encoded[_KEY_ID_OFFSET : _KEY_ID_OFFSET + KEY_ID_BYTES]


def read_header(sealed: bytes) -> Header:
    """The header of a batch with its signature; the ticks are not looked at.

    Raises OversizedBatch or MalformedBatch: wrong magic or version, or tables that do not fill the bytes.
    """
    if len(sealed) > BYTES_MAX:
        raise OversizedBatch(len(sealed), BYTES_MAX)
    if len(sealed) < _HEADER.size + SIGNATURE_BYTES:
        raise MalformedBatch(f"{len(sealed)} bytes are too few for a batch")
    (magic, version, report_count, key_id, sequence, sent_ms, leg_count, tick_count, dropped) = (
        _HEADER.unpack_from(sealed)
    )
    if magic != MAGIC:
        raise MalformedBatch("the bytes do not begin as a batch does")
    if version != VERSION:
        raise MalformedBatch(f"batch version {version} is not known here")
    if sequence > _SEQUENCE_MAX or not 0 < sent_ms <= _TIME_MS_MAX:
        raise MalformedBatch("the sequence or the time is out of bounds")
    if tick_count > TICKS_MAX:
        raise OversizedBatch(tick_count, TICKS_MAX, "ticks")
    signed = len(sealed) - SIGNATURE_BYTES
    legs, reports_at = _read_legs(sealed, leg_count, signed)
    ticks_at = reports_at + report_count * _REPORT.size
    if ticks_at + tick_count * TICK_BYTES != signed:
        raise MalformedBatch(f"{tick_count} ticks do not fill the bytes of the batch")
    reports = tuple(_decode_report(fields) for fields in _REPORT.iter_unpack(sealed[reports_at:ticks_at]))
    return Header(key_id, sequence, sent_ms / 1000, dropped, legs, reports, tick_count, ticks_at, signed)


def decode(sealed: bytes) -> Batch:
    """The batch in sealed bytes, its signature not checked. The plain twin of `core.columns.decode_columns`.

    Raises OversizedBatch or MalformedBatch; one tick out of bounds spoils the batch here.
    """
    header = read_header(sealed)
    try:
        legs = [Leg.parse(text) for text in header.legs]
    except ValueError as error:
        raise MalformedBatch(str(error)) from None
    table = sealed[header.ticks_at : header.signed]
    ticks = tuple(_decode_tick(fields, legs) for fields in _TICK.iter_unpack(table))
    return Batch(header.key_id, header.sequence, header.sent_at, ticks, header.reports, header.ticks_dropped)


def _read_legs(sealed: bytes, count: int, end: int) -> tuple[tuple[str, ...], int]:
    legs = []
    at = _HEADER.size
    for _ in range(count):
        if at >= end:
            raise MalformedBatch("the table of legs runs over the end")
        length = sealed[at]
        text = sealed[at + 1 : at + 1 + length]
        at += 1 + length
        if at > end or not text.isascii():
            raise MalformedBatch("a leg's name is cut or not ASCII")
        legs.append(text.decode("ascii"))
    return tuple(legs), at


def _encode_report(report: VenueReport) -> bytes:
    venue = report.venue.encode("ascii")
    if not 1 <= len(venue) <= 12:
        raise MalformedBatch(f"a venue's name has 1 to 12 bytes: {report.venue!r}")
    return _REPORT.pack(
        venue,
        report.state,
        min(max(report.code, 0), 2**16 - 1),
        _to_ms(report.since),
        _to_ms(report.retry_at or 0.0),
        min(report.requests, _UINT32_MAX),
        min(report.failures, _UINT32_MAX),
        *(min(report.refused.get(reason, 0), _UINT32_MAX) for reason in _REASONS),
    )


def _decode_report(fields: tuple[Any, ...]) -> VenueReport:
    venue, state, code, since_ms, retry_ms, requests, failures, *refused = fields
    try:
        name = venue.rstrip(b"\0").decode("ascii")
        known_state = VenueState(state)
    except ValueError:
        raise MalformedBatch("a venue report has an unknown state or name") from None
    if not name or not (0 <= since_ms <= _TIME_MS_MAX and 0 <= retry_ms <= _TIME_MS_MAX):
        raise MalformedBatch("a venue report's name or time is out of bounds")
    counts = {reason: count for reason, count in zip(_REASONS, refused, strict=True) if count}
    retry_at = retry_ms / 1000 if retry_ms else None
    return VenueReport(name, known_state, since_ms / 1000, retry_at, code, requests, failures, counts)


def _encode_tick(tick: Tick, leg: int) -> bytes:
    received_ms, event_ms = _to_ms(tick.received_at), _to_ms(tick.event_at or 0.0)
    if isinstance(tick, Trade):
        (price,), price_decimals = _scaled(tick.price)
        (size,), size_decimals = _scaled(tick.size)
        return _TICK.pack(
            leg, KIND_TRADE, price_decimals, size_decimals, received_ms, event_ms, 0, 0, price, size
        )
    (bid, ask, last), price_decimals = _scaled(tick.bid, tick.ask, tick.last)
    volume, volume_decimals = -1, 0
    if tick.volume_24h is not None:
        (volume,), volume_decimals = _scaled(tick.volume_24h)
    return _TICK.pack(
        leg, KIND_QUOTE, price_decimals, volume_decimals, received_ms, event_ms, bid, ask, last, volume
    )


def _decode_tick(fields: tuple[int, ...], legs: Sequence[Leg]) -> Tick:
    leg, kind, decimals, volume_decimals, received_ms, event_ms, bid, ask, last, volume = fields
    if leg >= len(legs) or kind not in (KIND_QUOTE, KIND_TRADE):
        raise MalformedBatch(f"a tick of kind {kind} for leg {leg} of {len(legs)}")
    if max(decimals, volume_decimals) > DECIMALS_MAX or min(bid, ask, last) < 0 or volume < -1:
        raise MalformedBatch("a tick's value is out of bounds")
    if not (0 < received_ms <= _TIME_MS_MAX and 0 <= event_ms <= _TIME_MS_MAX):
        raise MalformedBatch("a tick's time is out of bounds")
    if kind == KIND_TRADE:
        if last == 0 or volume <= 0 or event_ms == 0:
            raise MalformedBatch("a trade needs a price, a size and a time")
        return Trade(
            legs[leg],
            _unscaled(last, decimals),
            _unscaled(volume, volume_decimals),
            event_ms / 1000,
            received_ms / 1000,
        )
    return Quote(
        legs[leg],
        _unscaled(bid, decimals) if bid else None,
        _unscaled(ask, decimals) if ask else None,
        _unscaled(last, decimals) if last else None,
        _unscaled(volume, volume_decimals) if volume >= 0 else None,
        event_ms / 1000 if event_ms else None,
        received_ms / 1000,
    )


def _scaled(*values: Decimal | None) -> tuple[list[int], int]:
    """Mantissas on one scale, and its decimals; None becomes 0.

    By text, a fourth of the time of `_scaled_by_arithmetic`, which stands for what is rare: exponents and
    values that must lose decimals. Encoding is most of what a tick costs at the edge.
    """
    parts = [("0" if value is None else str(value)).partition(".") for value in values]
    tails = [tail.rstrip("0") for _, _, tail in parts]
    decimals = max(map(len, tails))
    try:
        heads = zip(parts, tails, strict=True)
        mantissas = [int(head + tail.ljust(decimals, "0")) for (head, _, _), tail in heads]
    except ValueError:  # an exponent
        return _scaled_by_arithmetic(*values)
    if decimals <= DECIMALS_MAX and max(mantissas) <= _MANTISSA_MAX:
        return mantissas, decimals
    return _scaled_by_arithmetic(*values)


def _scaled_by_arithmetic(*values: Decimal | None) -> tuple[list[int], int]:
    """What `_scaled` gives, for any values; the last decimals are lost where 63 bits are too few."""
    decimals = 0
    for value in values:
        if value:
            exponent = value.normalize().as_tuple().exponent
            if isinstance(exponent, int):
                decimals = max(decimals, -exponent)
    decimals = min(decimals, DECIMALS_MAX)
    while True:
        mantissas = [0 if value is None else round(value.scaleb(decimals)) for value in values]
        if max(mantissas) <= _MANTISSA_MAX or decimals == 0:
            return mantissas, decimals
        decimals -= 1


def _unscaled(mantissa: int, decimals: int) -> Decimal:
    return Decimal(mantissa).scaleb(-decimals)


def _to_ms(at: float) -> int:
    return round(at * 1000)
