"""OKX's spot market data, v5: an envelope of code, msg and data, every number a text, the time of each row.
Knows formats; the market comes as rows.
"""

from __future__ import annotations

from typing import Final

import orjson

from chrono.feeds import Leg
from core.simulator.answers import Answer, Ask, Page, Row, milliseconds, trimmed, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.source import Print

LIMITS: Final = {"tickers": Limit(20, 2.0), "trades": Limit(100, 2.0)}


def names(leg: Leg) -> tuple[str, ...]:
    """BTC-USDT."""
    return (f"{leg.base}-{leg.quote}",)


def charge(ask: Ask) -> tuple[str, int]:
    """Each endpoint has its own limit, and every request counts one."""
    return "trades" if ask.path == "/api/v5/market/trades" else "tickers", 1


def answer(ask: Ask, page: Page, at: float) -> Answer:
    """What the venue answers, within its limits."""
    if ask.path == "/api/v5/public/time":
        return _data(orjson.dumps({"ts": str(milliseconds(at))}))
    if ask.path == "/api/v5/market/tickers":
        return _tickers(ask.one("instType"), page)
    if ask.path in {"/api/v5/market/ticker", "/api/v5/market/trades"}:
        return _of_instrument(ask, page)
    return _error(404, "50404", "Not Found")


def admitted_headers(_: Verdict) -> tuple[tuple[str, str], ...]:
    """Nothing is told of the limit."""
    return ()


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:  # noqa: ARG001
    """A refusal with a status: the venue's own for too many requests, the network's otherwise."""
    if status == 429:
        return _error(429, "50011", "Too Many Requests")
    return web_page(status, "Access denied")


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:  # noqa: ARG001
    """What passing the limits leads to."""
    return refuse(429, at, None)


def _tickers(kind: str, page: Page) -> Answer:
    if not kind:
        return _error(400, "50014", "Parameter instType cannot be empty.")
    return _data(page.all_texts("ticker", _ticker) if kind == "SPOT" else b"")


def _of_instrument(ask: Ask, page: Page) -> Answer:
    if not ask.one("instId"):
        return _error(400, "50014", "Parameter instId cannot be empty.")
    row = page.row(ask.one("instId"))
    if row is None:
        return _error(200, "51001", "Instrument ID or Spread ID doesn't exist.")
    if ask.path == "/api/v5/market/ticker":
        return _data(page.text("ticker", row, _ticker))
    trades = reversed(page.prints(row, ask.count("limit", 100, 500)))
    return _data(b",".join(page.json(row, _trade(row, trade)) for trade in trades))


def _ticker(row: Row) -> object:
    return {
        "instType": "SPOT",
        "instId": row.name,
        "last": trimmed(row.last, row.decimals),
        "lastSz": trimmed(row.last_size, row.size_decimals),
        "askPx": trimmed(row.ask, row.decimals) if row.ask else "",
        "askSz": trimmed(row.ask_size, row.size_decimals) if row.ask else "",
        "bidPx": trimmed(row.bid, row.decimals) if row.bid else "",
        "bidSz": trimmed(row.bid_size, row.size_decimals) if row.bid else "",
        "open24h": trimmed(row.open_24h, row.decimals),
        "high24h": trimmed(row.high_24h, row.decimals),
        "low24h": trimmed(row.low_24h, row.decimals),
        "volCcy24h": trimmed(row.notional_24h, 8),
        "vol24h": trimmed(row.volume_24h, 8),
        "sodUtc0": trimmed(row.open_24h, row.decimals),
        "sodUtc8": trimmed(row.open_24h, row.decimals),
        "ts": str(milliseconds(row.event_at)),
    }


def _trade(row: Row, trade: Print) -> object:
    return {
        "instId": row.name,
        "side": "sell" if trade.taker_sells else "buy",
        "sz": trimmed(trade.size, row.size_decimals),
        "px": trimmed(trade.price, row.decimals),
        "tradeId": str(trade.id),
        "ts": str(milliseconds(trade.at)),
    }


def _data(rows: bytes) -> Answer:
    return Answer(200, b'{"code":"0","msg":"","data":[' + rows + b"]}")


def _error(status: int, code: str, message: str) -> Answer:
    return Answer(status, orjson.dumps({"code": code, "data": [], "msg": message}))
