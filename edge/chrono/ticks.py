"""Ticks: single observations of a venue, already parsed and in bounds.

Prices and sizes are Decimal as the venue wrote them. Times are Unix seconds: `event_at` is the venue's own
time of the event (None where the venue tells none), `received_at` the collector's.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Final

from chrono.errors import MalformedValue
from chrono.feeds import Leg

DIGITS_MAX: Final = 18
DECIMALS_MAX: Final = 18
TEXT_MAX: Final = 40


@dataclass(frozen=True, slots=True)
class Quote:
    """What a venue shows for a leg. A one-sided book has no bid and no ask here: half of a mid is no price.

    `last` and `volume_24h` (base units) are None where the venue's answer has none.
    """

    leg: Leg
    bid: Decimal | None
    ask: Decimal | None
    last: Decimal | None
    volume_24h: Decimal | None
    event_at: float | None
    received_at: float


@dataclass(frozen=True, slots=True)
class Trade:
    """One trade of a leg: `size` base units at `price`, told once."""

    leg: Leg
    price: Decimal
    size: Decimal
    event_at: float
    received_at: float


Tick = Quote | Trade


class Reason(StrEnum):
    """Why a row was refused at the rim; also the label of the counter."""

    MALFORMED = "malformed"
    NON_POSITIVE = "non_positive"
    CROSSED = "crossed_book"
    ONE_SIDED = "one_sided_book"
    JUMP = "absurd_jump"
    UNKNOWN_SYMBOL = "unknown_symbol"
    FUTURE = "future_time"
    STALE = "stale_time"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that was refused, and why; `detail` is a short text for the log."""

    symbol: str
    reason: Reason
    detail: str = ""


def number(field: str, text: object) -> Decimal:
    """The non-negative number that a venue wrote as text, exactly; raises MalformedValue.

    Bounded before it is used: at most 40 characters, 18 digits before and 18 after the point, so that a
    text such as 1e999999999 costs nothing.
    """
    if not isinstance(text, str) or len(text) > TEXT_MAX:
        raise MalformedValue(field, text)
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise MalformedValue(field, text) from None
    if not value.is_finite() or (value.is_signed() and value != 0):
        raise MalformedValue(field, text)
    if value and not -DECIMALS_MAX <= value.adjusted() < DIGITS_MAX:
        raise MalformedValue(field, text)
    return value


def price(field: str, text: object) -> Decimal:
    """A number that is over zero; raises MalformedValue."""
    value = number(field, text)
    if value == 0:
        raise MalformedValue(field, text)
    return value
