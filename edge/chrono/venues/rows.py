"""The reading that all venues share: bytes to JSON, texts to numbers, rows to ticks.

A bad row is refused by itself and never loses the others. Knows no venue's field names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from chrono.errors import ChronoError, MalformedValue
from chrono.feeds import Leg
from chrono.http import BODY_BYTES_MAX, Answer
from chrono.ticks import Quote, Reason, Refusal, Trade, number
from chrono.venue_state import VenueState
from chrono.venues.adapter import Parsed, Refused, Request, ToldTrade

Row = Mapping[str, Any]

QUOTE_CURRENCIES: Final = ("USDT", "USDC", "USD")
DETAIL_CHARS_MAX: Final = 120
_TIME_MS_MAX: Final = 4_102_444_800_000  # the year 2100
_STATES: Final = {
    429: VenueState.RATE_LIMITED,
    418: VenueState.BANNED,
    403: VenueState.FORBIDDEN,
    451: VenueState.GEO_BLOCKED,
}


class BadRow(ChronoError):
    """One row of an answer is no observation. Never leaves the venue modules."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class UnreadableAnswer(ChronoError):
    """The body is not the JSON that was agreed on. Never leaves the venue modules."""


def load(body: bytes) -> Any:
    """The JSON in a body; raises UnreadableAnswer on anything else, or over BODY_BYTES_MAX."""
    if len(body) > BODY_BYTES_MAX:
        raise UnreadableAnswer(f"{len(body)} bytes are over the limit of {BODY_BYTES_MAX}")
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UnreadableAnswer(f"not JSON: {type(error).__name__} {str(error)[:60]}") from None


def load_object(body: bytes) -> Row:
    """The JSON object in a body; raises UnreadableAnswer."""
    value = load(body)
    if not isinstance(value, dict):
        raise UnreadableAnswer(f"{type(value).__name__} in place of an object")
    return value


def rows_of(value: object, where: str) -> list[Any]:
    """The list that a field should hold; raises UnreadableAnswer."""
    if not isinstance(value, list):
        raise UnreadableAnswer(f"{where} is {type(value).__name__} in place of a list")
    return value


def refused_by_status(answer: Answer) -> Refused | None:
    """What an HTTP status other than 200 means at every venue; None for 200."""
    if answer.status == 200:
        return None
    state = _STATES.get(answer.status, VenueState.FAILING)
    detail = answer.body[:DETAIL_CHARS_MAX].decode("utf-8", "replace")
    return Refused(state, answer.status, answer.retry_after_s, detail)


def unreadable(error: UnreadableAnswer) -> Refused:
    return Refused(VenueState.FAILING, detail=str(error))


def read_quotes(
    request: Request, rows: Iterable[tuple[object, object]], read: Callable[[Leg, Row], Quote]
) -> Parsed:
    """The wanted of (symbol, row) pairs; rows of other symbols are not looked into, a second is ignored."""
    wanted = request.wanted()
    quotes: list[Quote] = []
    refusals: list[Refusal] = []
    for symbol, row in rows:
        if not isinstance(symbol, str) or not isinstance(row, dict):
            refusals.append(Refusal("?", Reason.MALFORMED, f"a row of {type(row).__name__} without a symbol"))
            continue
        leg = wanted.pop(symbol, None)
        if leg is None:
            continue
        try:
            quotes.append(read(leg, row))
        except BadRow as refused:
            refusals.append(Refusal(symbol, refused.reason, refused.detail))
    return Parsed(tuple(quotes), (), tuple(refusals), tuple(wanted))


def named_by(field: str, rows: Iterable[object]) -> Iterator[tuple[object, object]]:
    """Rows with the symbol that each holds in `field`."""
    for row in rows:
        yield (row.get(field) if isinstance(row, dict) else None), row


def read_trades(rows: Iterable[object], symbol: str, read: Callable[[Row], ToldTrade]) -> Parsed:
    """All trades in the rows of one symbol, oldest first."""
    trades: list[ToldTrade] = []
    refusals: list[Refusal] = []
    for row in rows:
        try:
            if not isinstance(row, dict):
                raise BadRow(Reason.MALFORMED, f"a trade is {type(row).__name__}")
            trades.append(read(row))
        except BadRow as refused:
            refusals.append(Refusal(symbol, refused.reason, refused.detail))
    trades.sort(key=lambda told: told.trade.event_at)
    return Parsed((), tuple(trades), tuple(refusals))


def quote(
    leg: Leg,
    *,
    bid: object,
    ask: object,
    last: object,
    volume_24h: object,
    event_at: float | None,
    received_at: float,
) -> Quote:
    """A quote from a venue's texts, where an empty text, zero and None are "none"; raises BadRow.

    A row without any book keeps its last price; a row with half a book is refused, for its last price
    is often as lame as its book.
    """
    bid_price, ask_price, last_price = amount("bid", bid), amount("ask", ask), amount("last", last)
    if bid_price and ask_price:
        if bid_price > ask_price:
            raise BadRow(Reason.CROSSED, f"bid {bid_price} over ask {ask_price}")
    elif bid_price or ask_price:
        raise BadRow(Reason.ONE_SIDED, f"bid {bid_price}, ask {ask_price}")
    elif not last_price:
        raise BadRow(Reason.NON_POSITIVE, "neither a book nor a last price")
    return Quote(
        leg,
        bid_price or None,
        ask_price or None,
        last_price or None,
        amount("volume", volume_24h),
        event_at,
        received_at,
    )


def told_trade(
    leg: Leg, *, trade_id: object, price: object, size: object, event_at: float, received_at: float
) -> ToldTrade:
    """A trade from a venue's texts; raises BadRow."""
    if isinstance(trade_id, bool) or not isinstance(trade_id, (int, str)) or trade_id == "":
        raise BadRow(Reason.MALFORMED, "a trade without an id")
    price_paid, size_traded = amount("price", price), amount("size", size)
    if price_paid is None or size_traded is None:
        raise BadRow(Reason.MALFORMED, "a trade without a price or a size")
    if not price_paid or not size_traded:
        raise BadRow(Reason.NON_POSITIVE, f"price {price_paid}, size {size_traded}")
    return ToldTrade(str(trade_id)[:64], Trade(leg, price_paid, size_traded, event_at, received_at))


def amount(field: str, text: object) -> Decimal | None:
    """The non-negative number in a text, None where the venue leaves it out; raises BadRow."""
    if text is None or text == "":
        return None
    try:
        return number(field, text)
    except MalformedValue as error:
        negative = isinstance(text, str) and text[:1] == "-" and text[1:2].isdigit()
        reason = Reason.NON_POSITIVE if negative else Reason.MALFORMED
        raise BadRow(reason, str(error)) from None


def time_of_ms(value: object) -> float:
    """Unix seconds of milliseconds as a number or as text; raises BadRow."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 13:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= _TIME_MS_MAX:
        raise BadRow(Reason.MALFORMED, f"not a time in milliseconds: {str(value)[:40]}")
    return value / 1000


def time_of_iso(text: object) -> float:
    """Unix seconds of an ISO 8601 text with its zone; raises BadRow."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) and len(text) <= 40 else None
        if at is not None and at.tzinfo is not None and 0 < at.timestamp() * 1000 <= _TIME_MS_MAX:
            return at.timestamp()
    except (ValueError, OverflowError):
        pass
    raise BadRow(Reason.MALFORMED, f"not an ISO 8601 time with a zone: {str(text)[:40]}")


def split_pair(symbol: str) -> tuple[str, str] | None:
    """Base and quote of a symbol written without a separator; None if the quote currency is not ours."""
    for currency in QUOTE_CURRENCIES:
        if symbol.endswith(currency) and len(symbol) > len(currency):
            return symbol.removesuffix(currency), currency
    return None
