"""Bybit spot.

One request answers for every spot market; the envelope's `time` dates all rows. Errors come as `retCode` in
a 200. 403 means "access too frequent": all requests stop for ten minutes, unless the text speaks of a
country.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
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
    split_pair,
    time_of_ms,
    told_trade,
    unreadable,
)

VENUE: Final = "bybit"
TRADES_PER_REQUEST: Final = 60
FORBIDDEN_S: Final = 600.0
INVALID_PARAMETER: Final = 10001
_STATES: Final = {
    10006: VenueState.RATE_LIMITED,
    10018: VenueState.RATE_LIMITED,  # the same, counted by address
    10009: VenueState.BANNED,
    10024: VenueState.GEO_BLOCKED,
}


def symbol_of(leg: Leg) -> str:
    return leg.base + leg.quote


def leg_of(symbol: str) -> Leg | None:
    pair = split_pair(symbol)
    return Leg(VENUE, *pair) if pair else None


def tickers(legs: Sequence[Leg]) -> Request:
    return Request(
        VENUE,
        RequestKind.TICKERS,
        "/v5/market/tickers",
        (("category", "spot"),),
        tuple(legs),
        tuple(map(symbol_of, legs)),
    )


def trades(leg: Leg) -> Request:
    params = (("category", "spot"), ("symbol", symbol_of(leg)), ("limit", str(TRADES_PER_REQUEST)))
    return Request(VENUE, RequestKind.TRADES, "/v5/market/recent-trade", params, (leg,), (symbol_of(leg),))


def parse(request: Request, answer: Answer) -> Outcome:
    refused = _refused_by_status(answer)
    if refused is not None:
        return refused
    try:
        envelope = load_object(answer.body)
        refusal = _refused_by_code(request, envelope)
        if refusal is not None:
            return refusal
        result = envelope.get("result")
        rows = rows_of(result.get("list") if isinstance(result, dict) else None, "result.list")
        event_at = time_of_ms(envelope.get("time"))
    except UnreadableAnswer as error:
        return unreadable(error)
    except BadRow as error:
        return Refused(VenueState.FAILING, detail=error.detail)
    if request.kind is RequestKind.TRADES:
        return read_trades(
            rows, request.symbols[0], lambda row: _read_trade(request, row, answer.received_at)
        )
    return read_quotes(
        request,
        named_by("symbol", rows),
        lambda leg, row: _read_ticker(leg, row, event_at, answer.received_at),
    )


def _refused_by_status(answer: Answer) -> Refused | None:
    refused = refused_by_status(answer)
    if refused is None or refused.state is not VenueState.FORBIDDEN:
        return refused
    if b"country" in answer.body[:4_096].lower():
        return replace(refused, state=VenueState.GEO_BLOCKED)
    return replace(refused, retry_after_s=max(refused.retry_after_s or 0.0, FORBIDDEN_S))


def _refused_by_code(request: Request, envelope: Row) -> Refused | SymbolRefused | None:
    code = envelope.get("retCode")
    if isinstance(code, bool) or not isinstance(code, int):
        raise UnreadableAnswer("an envelope without retCode")
    if code == 0:
        return None
    detail = f"retCode {code}: {envelope.get('retMsg')}"[:DETAIL_CHARS_MAX]
    if code == INVALID_PARAMETER and request.kind is RequestKind.TRADES:
        return SymbolRefused(code, detail)
    return Refused(_STATES.get(code, VenueState.FAILING), code, detail=detail)


def _read_ticker(leg: Leg, row: Row, event_at: float, received_at: float) -> Quote:
    return quote(
        leg,
        bid=row.get("bid1Price"),
        ask=row.get("ask1Price"),
        last=row.get("lastPrice"),
        volume_24h=row.get("volume24h"),
        event_at=event_at,
        received_at=received_at,
    )


def _read_trade(request: Request, row: Row, received_at: float) -> ToldTrade:
    if row.get("symbol") != request.symbols[0]:
        raise BadRow(Reason.UNKNOWN_SYMBOL, f"a trade of {str(row.get('symbol'))[:20]}")
    return told_trade(
        request.legs[0],
        trade_id=row.get("execId"),
        price=row.get("price"),
        size=row.get("size"),
        event_at=time_of_ms(row.get("time")),
        received_at=received_at,
    )


BYBIT: Final = VenueAdapter(
    VENUE,
    "https://api.bybit.com",
    WeightLimit(300, 5.0),  # of 600
    symbol_of,
    leg_of,
    tickers,
    trades,
    parse,
)
