"""OKX spot.

One request answers for every spot market; each row has its own `ts`. Errors come as a `code` other than "0",
in a 200 or beside another status.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.ticks import Quote, Reason
from chrono.venue_state import VenueState
from chrono.venues.adapter import (
    Outcome,
    Refused,
    Request,
    RequestKind,
    SymbolRefused,
    ToldTrade,
    VenueAdapter,
    WeightLimit,
)
from chrono.venues.rows import (
    DETAIL_CHARS_MAX,
    BadRow,
    Row,
    UnreadableAnswer,
    load_object,
    named_by,
    quote,
    read_quotes,
    read_trades,
    refused_by_status,
    rows_of,
    time_of_ms,
    told_trade,
    unreadable,
)

VENUE: Final = "okx"
TRADES_PER_REQUEST: Final = 100
TOO_MANY_REQUESTS: Final = "50011"
UNKNOWN_INSTRUMENTS: Final = frozenset({"51000", "51001"})


def symbol_of(leg: Leg) -> str:
    return f"{leg.base}-{leg.quote}"


def leg_of(symbol: str) -> Leg | None:
    base, dash, currency = symbol.partition("-")
    return Leg(VENUE, base, currency) if base and dash and currency and "-" not in currency else None


def tickers(legs: Sequence[Leg]) -> Request:
    return Request(
        VENUE,
        RequestKind.TICKERS,
        "/api/v5/market/tickers",
        (("instType", "SPOT"),),
        tuple(legs),
        tuple(map(symbol_of, legs)),
    )


def trades(leg: Leg) -> Request:
    params = (("instId", symbol_of(leg)), ("limit", str(TRADES_PER_REQUEST)))
    return Request(VENUE, RequestKind.TRADES, "/api/v5/market/trades", params, (leg,), (symbol_of(leg),))


def parse(request: Request, answer: Answer) -> Outcome:
    try:
        envelope = load_object(answer.body)
        refusal = _refused_by_code(request, envelope, answer)
        if refusal is not None:
            return refusal
        rows = rows_of(envelope.get("data"), "data")
    except UnreadableAnswer as error:
        return refused_by_status(answer) or unreadable(error)
    if request.kind is RequestKind.TRADES:
        return read_trades(
            rows, request.symbols[0], lambda row: _read_trade(request, row, answer.received_at)
        )
    return read_quotes(
        request, named_by("instId", rows), lambda leg, row: _read_ticker(leg, row, answer.received_at)
    )


def _refused_by_code(request: Request, envelope: Row, answer: Answer) -> Refused | SymbolRefused | None:
    code = envelope.get("code")
    if not isinstance(code, str) or not code.isascii() or not code.isdigit() or len(code) > 5:
        raise UnreadableAnswer("an envelope without a code")
    if code == TOO_MANY_REQUESTS:
        return Refused(VenueState.RATE_LIMITED, int(code), answer.retry_after_s, "code 50011")
    detail = f"code {code}: {envelope.get('msg')}"[:DETAIL_CHARS_MAX]
    if code in UNKNOWN_INSTRUMENTS and request.kind is RequestKind.TRADES:
        return SymbolRefused(int(code), detail)
    refused = refused_by_status(answer)
    if refused is not None or code == "0":
        return refused
    return Refused(VenueState.FAILING, int(code), detail=detail)


def _read_ticker(leg: Leg, row: Row, received_at: float) -> Quote:
    # For spot markets vol24h counts the base currency, volCcy24h the quote currency.
    return quote(
        leg,
        bid=row.get("bidPx"),
        ask=row.get("askPx"),
        last=row.get("last"),
        volume_24h=row.get("vol24h"),
        event_at=time_of_ms(row.get("ts")),
        received_at=received_at,
    )


def _read_trade(request: Request, row: Row, received_at: float) -> ToldTrade:
    if row.get("instId") != request.symbols[0]:
        raise BadRow(Reason.UNKNOWN_SYMBOL, f"a trade of {str(row.get('instId'))[:20]}")
    return told_trade(
        request.legs[0],
        trade_id=row.get("tradeId"),
        price=row.get("px"),
        size=row.get("sz"),
        event_at=time_of_ms(row.get("ts")),
        received_at=received_at,
    )


OKX: Final = VenueAdapter(
    VENUE,
    "https://www.okx.com",
    WeightLimit(12, 2.0),  # of 20
    symbol_of,
    leg_of,
    tickers,
    trades,
    parse,
)
