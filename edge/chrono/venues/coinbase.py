"""Coinbase, through the public market endpoints of its Advanced Trade interface.

The list of products gives last prices and volumes of many markets, without a book and without a time. The
ticker of one product gives its book and its last trades with their times. Coinbase has served old prices
while up, so the book is dated by its newest trade, not by our receipt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.ticks import Quote, Reason, Refusal
from chrono.venues.adapter import (
    Outcome,
    Parsed,
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
    time_of_iso,
    told_trade,
    unreadable,
)

VENUE: Final = "coinbase"
PRODUCTS_PATH: Final = "/api/v3/brokerage/market/products"
TRADES_PER_REQUEST: Final = 100


def symbol_of(leg: Leg) -> str:
    return f"{leg.base}-{leg.quote}"


def leg_of(symbol: str) -> Leg | None:
    base, dash, currency = symbol.partition("-")
    return Leg(VENUE, base, currency) if base and dash and currency and "-" not in currency else None


def tickers(legs: Sequence[Leg]) -> Request:
    symbols = tuple(map(symbol_of, legs))
    params = tuple(("product_ids", symbol) for symbol in symbols)
    return Request(VENUE, RequestKind.TICKERS, PRODUCTS_PATH, params, tuple(legs), symbols)


def trades(leg: Leg) -> Request:
    """The ticker of one product: its book and its last trades."""
    symbol = symbol_of(leg)
    path = f"{PRODUCTS_PATH}/{symbol}/ticker"
    return Request(VENUE, RequestKind.TRADES, path, (("limit", str(TRADES_PER_REQUEST)),), (leg,), (symbol,))


def parse(request: Request, answer: Answer) -> Outcome:
    if answer.status in (400, 404) and b"product" in answer.body[:4_096].lower():
        return SymbolRefused(answer.status, answer.body[:DETAIL_CHARS_MAX].decode("utf-8", "replace"))
    refused = refused_by_status(answer)
    if refused is not None:
        return refused
    try:
        envelope = load_object(answer.body)
        if request.kind is RequestKind.TRADES:
            return _read_market(request, envelope, answer.received_at)
        rows = rows_of(envelope.get("products"), "products")
    except UnreadableAnswer as error:
        return unreadable(error)
    return read_quotes(
        request, named_by("product_id", rows), lambda leg, row: _read_product(leg, row, answer.received_at)
    )


def _read_product(leg: Leg, row: Row, received_at: float) -> Quote:
    return quote(
        leg,
        bid=row.get("best_bid_price"),
        ask=row.get("best_ask_price"),
        last=row.get("price"),
        volume_24h=row.get("volume_24h"),
        event_at=None,
        received_at=received_at,
    )


def _read_market(request: Request, envelope: Row, received_at: float) -> Parsed:
    """The trades, and a quote of the book beside them, dated by the newest of them."""
    symbol = request.symbols[0]
    rows = rows_of(envelope.get("trades"), "trades")
    parsed = read_trades(rows, symbol, lambda row: _read_trade(request, row, received_at))
    if not parsed.trades:  # a book that nothing dates is no observation
        return parsed
    newest = parsed.trades[-1].trade
    try:
        book = quote(
            request.legs[0],
            bid=envelope.get("best_bid") or "",
            ask=envelope.get("best_ask") or "",
            last=str(newest.price),
            volume_24h=None,
            event_at=newest.event_at,
            received_at=received_at,
        )
    except BadRow as refused:
        refusal = Refusal(symbol, refused.reason, refused.detail)
        return replace(parsed, refusals=(*parsed.refusals, refusal))
    return replace(parsed, quotes=(book,))


def _read_trade(request: Request, row: Row, received_at: float) -> ToldTrade:
    if row.get("product_id") != request.symbols[0]:
        raise BadRow(Reason.UNKNOWN_SYMBOL, f"a trade of {str(row.get('product_id'))[:20]}")
    return told_trade(
        request.legs[0],
        trade_id=row.get("trade_id"),
        price=row.get("price"),
        size=row.get("size"),
        event_at=time_of_iso(row.get("time")),
        received_at=received_at,
    )


COINBASE: Final = VenueAdapter(
    VENUE,
    "https://api.coinbase.com",
    WeightLimit(6, 1.0),  # of 10
    symbol_of,
    leg_of,
    tickers,
    trades,
    parse,
)
