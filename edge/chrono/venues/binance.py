"""Binance spot, through its market-data host.

One request for any number of tickers; one invalid symbol fails the whole request with 400 and code -1121.
Its limit counts weights: tickers cost by the number of symbols, trades 4 a request. Over it come 429, then
418 for two minutes to three days, both with Retry-After; 403 is its firewall, 451 a country.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.ticks import Quote
from chrono.venues.adapter import (
    Outcome,
    Request,
    RequestKind,
    SymbolRefused,
    ToldTrade,
    VenueAdapter,
    WeightLimit,
)
from chrono.venues.rows import (
    Row,
    UnreadableAnswer,
    load,
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

VENUE: Final = "binance"
TRADES_PER_REQUEST: Final = 500
TRADES_WEIGHT: Final = 4
INVALID_SYMBOL: Final = -1121


def symbol_of(leg: Leg) -> str:
    return leg.base + leg.quote


def leg_of(symbol: str) -> Leg | None:
    pair = split_pair(symbol)
    return Leg(VENUE, *pair) if pair else None


def tickers(legs: Sequence[Leg]) -> Request:
    """All tickers with one request; the list is JSON without spaces."""
    symbols = tuple(map(symbol_of, legs))
    listed = '["' + '","'.join(symbols) + '"]'
    weight = 2 if len(symbols) <= 20 else 40 if len(symbols) <= 100 else 80
    return Request(
        VENUE,
        RequestKind.TICKERS,
        "/api/v3/ticker/24hr",
        (("symbols", listed),),
        tuple(legs),
        symbols,
        weight,
    )


def trades(leg: Leg) -> Request:
    params = (("symbol", symbol_of(leg)), ("limit", str(TRADES_PER_REQUEST)))
    return Request(
        VENUE, RequestKind.TRADES, "/api/v3/aggTrades", params, (leg,), (symbol_of(leg),), TRADES_WEIGHT
    )


def parse(request: Request, answer: Answer) -> Outcome:
    try:
        if answer.status == 400 and load_object(answer.body).get("code") == INVALID_SYMBOL:
            return SymbolRefused(answer.status, "code -1121")
        refused = refused_by_status(answer)
        if refused is not None:
            return refused
        rows = rows_of(load(answer.body), "the answer")
    except UnreadableAnswer as error:
        return refused_by_status(answer) or unreadable(error)
    if request.kind is RequestKind.TRADES:
        leg = request.legs[0]
        return read_trades(rows, request.symbols[0], lambda row: _read_trade(leg, row, answer.received_at))
    return read_quotes(
        request, named_by("symbol", rows), lambda leg, row: _read_ticker(leg, row, answer.received_at)
    )


def _read_ticker(leg: Leg, row: Row, received_at: float) -> Quote:
    return quote(
        leg,
        bid=row.get("bidPrice"),
        ask=row.get("askPrice"),
        last=row.get("lastPrice"),
        volume_24h=row.get("volume"),
        event_at=time_of_ms(row.get("closeTime")),
        received_at=received_at,
    )


def _read_trade(leg: Leg, row: Row, received_at: float) -> ToldTrade:
    return told_trade(
        leg,
        trade_id=row.get("a"),
        price=row.get("p"),
        size=row.get("q"),
        event_at=time_of_ms(row.get("T")),
        received_at=received_at,
    )


BINANCE: Final = VenueAdapter(
    VENUE,
    "https://data-api.binance.vision",
    WeightLimit(3_600, 60.0),  # of 6,000
    symbol_of,
    leg_of,
    tickers,
    trades,
    parse,
)
