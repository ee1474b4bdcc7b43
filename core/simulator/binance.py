"""Binance's spot market data, as `data-api.binance.vision` answers it: weights, padded numbers, one unknown
symbol refuses the whole request. Knows formats; the market comes as rows.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from chrono.feeds import Leg
from core.simulator.answers import Answer, Ask, Page, Row, fixed, milliseconds, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.source import Print

LIMITS: Final = {"weight": Limit(6_000, 60.0, ban_s=120.0, patience=10)}

_TICKERS: Final = {"/api/v3/ticker/24hr", "/api/v3/ticker/bookTicker", "/api/v3/ticker/price"}
_TRADES: Final = {"/api/v3/aggTrades": 4, "/api/v3/trades": 25}
_SYMBOL_LIST: Final = re.compile(r'\["[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}")*\]')
_SYMBOL_RANGE: Final = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
_DECIMALS: Final = 8
_DAY_MS: Final = 86_400_000


def names(leg: Leg) -> tuple[str, ...]:
    """BTCUSDT."""
    return (f"{leg.base}{leg.quote}",)


def charge(ask: Ask) -> tuple[str, int]:
    """The limit a request counts against, and its weight."""
    if ask.path in _TRADES:
        return "weight", _TRADES[ask.path]
    if ask.path not in _TICKERS:
        return "weight", 1
    asked = ask.one("symbols").count('"') // 2
    if ask.path != "/api/v3/ticker/24hr":
        return "weight", 2 if ask.one("symbol") else 4
    if ask.one("symbol") or 0 < asked <= 20:
        return "weight", 2
    return "weight", 40 if 0 < asked <= 100 else 80


def answer(ask: Ask, page: Page, at: float) -> Answer:
    """What the venue answers, within its limits."""
    if ask.path == "/api/v3/ping":
        return Answer(200, b"{}")
    if ask.path == "/api/v3/time":
        return Answer(200, orjson.dumps({"serverTime": milliseconds(at)}))
    if ask.path in _TICKERS:
        return _tickers(ask, page)
    if ask.path in _TRADES:
        return _trades(ask, page)
    return web_page(404, "404 Not Found")


def admitted_headers(verdict: Verdict) -> tuple[tuple[str, str], ...]:
    """Headers of every answer: the weight used in this minute."""
    used = str(verdict.used)
    return (("x-mbx-used-weight", used), ("x-mbx-used-weight-1m", used))


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:
    """A refusal with a status, in the venue's words."""
    if status == 451:
        return _error(
            451, 0, "Service unavailable from a restricted location according to 'b. Eligibility' in terms."
        )
    if status == 403:
        return web_page(403, "403 Forbidden")
    if status == 418:
        until = milliseconds(at + (retry_after_s or 0))
        return _error(
            418,
            -1003,
            f"Way too much request weight used; IP banned until {until}. "
            "Please use WebSocket Streams for live updates to avoid bans.",
        )
    return _error(
        429,
        -1003,
        "Too much request weight used; current limit is 6000 request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API.",
    )


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:
    """What passing the limits leads to: 429, and 418 for who asks on. Both tell when to come back."""
    refusal = refuse(418 if banned else 429, at, retry_after_s)
    headers = (("retry-after", str(retry_after_s)),)
    return Answer(refusal.status, refusal.body, refusal.content_type, headers)


def _tickers(ask: Ask, page: Page) -> Answer:
    kind, make = ask.path, _ROWS[ask.path]
    if ask.path.endswith("24hr") and ask.one("type") == "MINI":
        kind, make = "mini", _mini
    symbol, symbols = ask.one("symbol"), ask.one("symbols")
    if symbol and symbols:
        return _error(400, -1128, "Combination of optional parameters invalid.")
    if symbol:
        row = page.row(symbol)
        return Answer(200, page.text(kind, row, make)) if row else _invalid_symbol()
    if not symbols:
        return Answer(200, b"[" + page.all_texts(kind, make) + b"]")
    if not _SYMBOL_LIST.fullmatch(symbols):
        message = f"Illegal characters found in parameter 'symbols'; legal range is '{_SYMBOL_RANGE}'."
        return _error(400, -1100, message)
    asked = orjson.loads(symbols)
    rows = [page.row(name) for name in asked]
    if len(set(asked)) < len(asked):
        return _error(400, -1151, "Symbol is present multiple times in the list.")
    texts = [page.text(kind, row, make) for row in rows if row]
    return Answer(200, b"[" + b",".join(texts) + b"]") if len(texts) == len(asked) else _invalid_symbol()


def _trades(ask: Ask, page: Page) -> Answer:
    if not ask.one("symbol"):
        return _error(400, -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
    row = page.row(ask.one("symbol"))
    if row is None:
        return _invalid_symbol()
    prints = page.prints(row, ask.count("limit", 500, 1000))
    aggregated = ask.path.endswith("aggTrades")
    if aggregated:
        prints = [p for p in prints if p.id >= ask.whole("fromId", 0)]
    make = _aggregate if aggregated else _trade
    texts = [page.json(row, make(p)) for p in prints]
    return Answer(200, b"[" + b",".join(texts) + b"]")


def _full(row: Row) -> object:
    change = row.last - row.open_24h
    closed = milliseconds(row.event_at)
    return {
        "symbol": row.name,
        "priceChange": _padded(change),
        "priceChangePercent": fixed(change / row.open_24h * 100, 3),
        "weightedAvgPrice": _padded(row.average_24h),
        "prevClosePrice": _padded(row.open_24h),
        "lastPrice": _padded(row.last),
        "lastQty": _padded(row.last_size),
        **_book(row),
        "openPrice": _padded(row.open_24h),
        "highPrice": _padded(row.high_24h),
        "lowPrice": _padded(row.low_24h),
        "volume": _padded(row.volume_24h),
        "quoteVolume": _padded(row.notional_24h),
        "openTime": closed - _DAY_MS,
        "closeTime": closed,
        "firstId": row.trade_id - row.trades_24h + 1,
        "lastId": row.trade_id,
        "count": row.trades_24h,
    }


def _mini(row: Row) -> object:
    closed = milliseconds(row.event_at)
    return {
        "symbol": row.name,
        "openPrice": _padded(row.open_24h),
        "highPrice": _padded(row.high_24h),
        "lowPrice": _padded(row.low_24h),
        "lastPrice": _padded(row.last),
        "volume": _padded(row.volume_24h),
        "quoteVolume": _padded(row.notional_24h),
        "openTime": closed - _DAY_MS,
        "closeTime": closed,
        "firstId": row.trade_id - row.trades_24h + 1,
        "lastId": row.trade_id,
        "count": row.trades_24h,
    }


def _book_ticker(row: Row) -> object:
    return {"symbol": row.name, **_book(row)}


def _price(row: Row) -> object:
    return {"symbol": row.name, "price": _padded(row.last)}


def _book(row: Row) -> dict[str, str]:
    """The best of both sides; an empty side is all zeros."""
    return {
        "bidPrice": _padded(row.bid or 0.0),
        "bidQty": _padded(row.bid_size if row.bid else 0.0),
        "askPrice": _padded(row.ask or 0.0),
        "askQty": _padded(row.ask_size if row.ask else 0.0),
    }


def _trade(trade: Print) -> object:
    return {
        "id": trade.id,
        "price": _padded(trade.price),
        "qty": _padded(trade.size),
        "quoteQty": _padded(trade.price * trade.size),
        "time": milliseconds(trade.at),
        "isBuyerMaker": trade.taker_sells,
        "isBestMatch": True,
    }


def _aggregate(trade: Print) -> object:
    return {
        "a": trade.id,
        "p": _padded(trade.price),
        "q": _padded(trade.size),
        "f": trade.id,
        "l": trade.id,
        "T": milliseconds(trade.at),
        "m": trade.taker_sells,
        "M": True,
    }


_ROWS: Final = {
    "/api/v3/ticker/24hr": _full,
    "/api/v3/ticker/bookTicker": _book_ticker,
    "/api/v3/ticker/price": _price,
}


def _padded(value: float) -> str:
    return fixed(value, _DECIMALS)


def _invalid_symbol() -> Answer:
    return _error(400, -1121, "Invalid symbol.")


def _error(status: int, code: int, message: str) -> Answer:
    return Answer(status, orjson.dumps({"code": code, "msg": message}))
