"""A price as the chain holds it: a 32-bit integer with the feed's decimals, four bytes in a submission.

flare-specs FTSO/Encoding (FeedValue). A value v of a feed with d decimals is n = floor(v · 10^d + 0.5),
rounding halves up as JavaScript's Math.round does and Python's round does not; its four bytes are n + 2^31,
and four zero bytes mean that there is no value. So n runs from -2^31 + 1 to 2^31 - 1. Empty values at the end
may be cut off.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from core.ftso.errors import MalformedMessage, OutOfRange
from core.ftso.wire import checked

EXCESS: Final = 1 << 31
VALUE_SIZE: Final = 4
LOWEST: Final = 1 - EXCESS
HIGHEST: Final = EXCESS - 1


def scaled(value: Decimal | float, decimals: int) -> int:
    """The integer that stands for `value` on chain; raise OutOfRange if it has none (NaN and infinities too).

    A Decimal is scaled exactly. A float is scaled in float64, as the reference data provider scales it, so
    that both turn the same float into the same integer; only the rounding after that is exact.
    """
    finite = value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)
    if not finite:
        raise OutOfRange("feed value", value, LOWEST, HIGHEST)
    if isinstance(value, Decimal):
        return checked("feed value", _scaled_decimal(value, decimals), LOWEST, HIGHEST)
    return checked("feed value", _scaled_float(value, decimals), LOWEST, HIGHEST)


def _scaled_decimal(value: Decimal, decimals: int) -> int:
    magnitude = value.adjusted() + decimals
    if not value or magnitude < -1:  # less than a tenth of a unit; spares a power of ten without bound
        return 0
    if magnitude > 10:
        raise OutOfRange("feed value", value, LOWEST, HIGHEST)
    numerator, denominator = value.as_integer_ratio()
    power: int = 10 ** abs(decimals)
    if decimals >= 0:
        numerator *= power
    else:
        denominator *= power
    return (2 * numerator + denominator) // (2 * denominator)


def _scaled_float(value: float, decimals: int) -> int:
    product = value * 10.0**decimals
    if not math.isfinite(product):
        raise OutOfRange("feed value", value, LOWEST, HIGHEST)
    whole = math.floor(product)
    return whole + (product - whole >= 0.5)  # exact: floor(product + 0.5) would round 0.49999999999999994 up


def encode_values(values: Iterable[int | None], *, cut_empty_end: bool = True) -> bytes:
    """Four bytes a value of `scaled`, None for none; raise OutOfRange for what does not fit.

    Empty values at the end are cut off, but one value always remains (as the reference data provider does),
    if there was one at all.
    """
    cells = [
        0 if value is None else checked("feed value", value, LOWEST, HIGHEST) + EXCESS for value in values
    ]
    while cut_empty_end and len(cells) > 1 and cells[-1] == 0:
        cells.pop()
    return struct.pack(f">{len(cells)}I", *cells)


def decode_values(raw: bytes, count: int) -> tuple[int | None, ...]:
    """The values of `count` feeds, in their order; what was cut off is None.

    Raises MalformedMessage for a broken value or for more values than feeds, as the protocol does: such a
    reveal does not count.
    """
    given, remainder = divmod(len(raw), VALUE_SIZE)
    if remainder:
        raise MalformedMessage("feed values", f"{len(raw)} bytes are no whole number of values")
    if given > count:
        raise MalformedMessage("feed values", f"{given} values for {count} feeds")
    values = [cell - EXCESS if cell else None for cell in struct.unpack(f">{given}I", raw)]
    return (*values, *[None] * (count - given))


def encode_prices(prices: Sequence[Decimal | float | None], decimals: Sequence[int]) -> bytes:
    """The bytes of one price a feed, in order; raises OutOfRange, and ValueError if lengths differ."""
    pairs = zip(prices, decimals, strict=True)
    return encode_values(None if price is None else scaled(price, places) for price, places in pairs)
