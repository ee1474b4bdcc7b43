"""Kraken's public market data: its own pair keys (XXBTZUSD) beside the names of requests (XBTUSD), errors in
a 200, no time in a ticker. Knows formats; the market comes as rows.
"""

from __future__ import annotations

from typing import Final

import orjson

from chrono.feeds import Leg
from core.simulator.answers import Answer, Ask, Page, Row, fixed, milliseconds, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.source import Print

LIMITS: Final = {"address": Limit(15, 15.0)}

_ASSETS: Final = {"BTC": "XBT", "DOGE": "XDG"}
# The pairs that are older than Kraken's plain names keep their classes in the key: X crypto, Z fiat.
_CLASSED: Final = {"BTC", "ETH", "XRP", "LTC", "XLM", "ETC"}
_PRICE_DECIMALS_MIN: Final = 5


def names(leg: Leg) -> tuple[str, ...]:
    """The pair's key in answers, then its other name in requests where it has one."""
    plain = f"{_ASSETS.get(leg.base, leg.base)}{leg.quote}"
    if leg.quote == "USD" and leg.base in _CLASSED:
        return f"X{_ASSETS.get(leg.base, leg.base)}ZUSD", plain
    if (leg.base, leg.quote) == ("USDT", "USD"):
        return "USDTZUSD", plain
    return (plain,)


def charge(_: Ask) -> tuple[str, int]:
    """Every request counts one: one a second, of which some may be saved."""
    return "address", 1


def answer(ask: Ask, page: Page, at: float) -> Answer:
    """What the venue answers, within its limits."""
    if ask.path == "/0/public/Time":
        return _result(orjson.dumps({"unixtime": int(at), "rfc1123": ""}))
    if ask.path == "/0/public/Ticker":
        return _tickers(ask, page)
    if ask.path == "/0/public/Trades":
        return _trades(ask, page)
    return _error("EGeneral:Unknown method")


def admitted_headers(_: Verdict) -> tuple[tuple[str, str], ...]:
    """Nothing is told of the limit."""
    return ()


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:  # noqa: ARG001
    """A refusal with a status comes from the network in front of the venue."""
    return web_page(status, "error code: 1015" if status == 429 else "Attention Required! | Cloudflare")


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:  # noqa: ARG001
    """The venue's own refusal is a 200."""
    return _error("EAPI:Rate limit exceeded")


def _tickers(ask: Ask, page: Page) -> Answer:
    asked = [name for name in ask.one("pair").split(",") if name]
    rows = [page.row(name) for name in asked] if asked else list(page.rows.values())
    if None in rows:
        return _error("EQuery:Unknown asset pair")
    found = {row.name: row for row in rows if row}
    texts = (f'"{name}":'.encode() + page.text("ticker", row, _ticker) for name, row in found.items())
    return _result(b"{" + b",".join(texts) + b"}")


def _trades(ask: Ask, page: Page) -> Answer:
    row = page.row(ask.one("pair"))
    if row is None:
        return _error("EQuery:Unknown asset pair" if ask.one("pair") else "EGeneral:Invalid arguments")
    since = _nanoseconds(ask.one("since"))
    prints = [p for p in page.prints(row, ask.count("count", 1000, 1000)) if round(p.at * 1e9) > since]
    last = round(prints[-1].at * 1e9) if prints else since
    texts = b",".join(page.json(row, _trade(row, trade)) for trade in prints)
    return _result(f'{{"{row.name}":['.encode() + texts + f'],"last":"{last}"}}'.encode())


def _ticker(row: Row) -> object:
    volume = fixed(row.volume_24h, 8)
    average = _price(row, row.average_24h)
    today = row.volume_24h * 0.4
    return {
        "a": _side(row, row.ask, row.ask_size),
        "b": _side(row, row.bid, row.bid_size),
        "c": [_price(row, row.last), fixed(row.last_size, 8)],
        "v": [fixed(today, 8), volume],
        "p": [average, average],
        "t": [row.trades_24h * 4 // 10, row.trades_24h],
        "l": [_price(row, row.low_24h), _price(row, row.low_24h)],
        "h": [_price(row, row.high_24h), _price(row, row.high_24h)],
        "o": _price(row, row.open_24h),
    }


def _side(row: Row, price: float | None, size: float) -> list[str]:
    """Price, whole lots, lots; an empty side of the book is all zeros."""
    if not price:
        return [_price(row, 0.0), "0", "0.000"]
    whole = str(max(round(size), 1))
    return [_price(row, price), whole, f"{whole}.000"]


def _trade(row: Row, trade: Print) -> object:
    return [
        _price(row, trade.price),
        fixed(trade.size, 8),
        trade.at,
        "s" if trade.taker_sells else "b",
        "m",
        "",
        trade.id,
    ]


def _price(row: Row, value: float) -> str:
    return fixed(value, max(row.decimals, _PRICE_DECIMALS_MIN))


def _nanoseconds(text: str) -> int:
    """The `since` of a request: nanoseconds, or seconds as older clients write them."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19:
        return 0
    return int(text) if len(text) > 12 else milliseconds(float(text)) * 1_000_000


def _result(result: bytes) -> Answer:
    return Answer(200, b'{"error":[],"result":' + result + b"}")


def _error(message: str) -> Answer:
    return Answer(200, orjson.dumps({"error": [message]}))
