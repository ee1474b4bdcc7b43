"""Bybit's spot market data, v5: an envelope with the venue's time around every list, errors as retCode in a
200, a 403 for who asks too often. Knows formats; the market comes as rows.
"""

from __future__ import annotations

from typing import Final

import orjson

from chrono.feeds import Leg
from core.simulator.answers import Answer, Ask, Page, Row, fixed, milliseconds, trimmed, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.source import Print

LIMITS: Final = {"address": Limit(600, 5.0, ban_s=600.0)}

_STABLE_BASES: Final = {"USDC", "USDT"}


def names(leg: Leg) -> tuple[str, ...]:
    """BTCUSDT."""
    return (f"{leg.base}{leg.quote}",)


def charge(_: Ask) -> tuple[str, int]:
    """Every request counts one."""
    return "address", 1


def answer(ask: Ask, page: Page, at: float) -> Answer:  # noqa: PLR0911
    """What the venue answers, within its limits."""
    if ask.path == "/v5/market/time":
        time = {"timeSecond": str(int(at)), "timeNano": str(milliseconds(at) * 1_000_000)}
        return _envelope(orjson.dumps(time), at)
    if ask.path not in {"/v5/market/tickers", "/v5/market/recent-trade"}:
        return web_page(404, "404 Not Found")
    if ask.one("category") != "spot":
        return _error(10001, "params error: Category is invalid", at)
    if ask.path == "/v5/market/tickers" and not ask.one("symbol"):
        return _listing(page.all_texts("ticker", _ticker), at)
    row = page.row(ask.one("symbol"))
    if row is None:
        return _error(10001, "Not supported symbols", at)
    if ask.path == "/v5/market/tickers":
        return _listing(page.text("ticker", row, _ticker), at)
    trades = reversed(page.prints(row, ask.count("limit", 60, 60)))
    return _listing(b",".join(page.json(row, _trade(row, trade)) for trade in trades), at)


def admitted_headers(_: Verdict) -> tuple[tuple[str, str], ...]:
    """Nothing is told of the limit on public requests."""
    return ()


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:  # noqa: ARG001
    """A refusal with a status, from the network in front of the venue."""
    if status == 403:
        return web_page(403, "403, access too frequent")
    return web_page(status, "The request could not be satisfied")


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:  # noqa: ARG001
    """A 403 for an address that passed its limit; the venue's own code otherwise."""
    return (
        refuse(403, at, None)
        if banned
        else _error(10006, "Too many visits. Exceeded the API Rate Limit.", at)
    )


def _ticker(row: Row) -> object:
    return {
        "symbol": row.name,
        "bid1Price": trimmed(row.bid, row.decimals) if row.bid else "",
        "bid1Size": trimmed(row.bid_size, row.size_decimals) if row.bid else "",
        "ask1Price": trimmed(row.ask, row.decimals) if row.ask else "",
        "ask1Size": trimmed(row.ask_size, row.size_decimals) if row.ask else "",
        "lastPrice": trimmed(row.last, row.decimals),
        "prevPrice24h": trimmed(row.open_24h, row.decimals),
        "price24hPcnt": fixed(row.last / row.open_24h - 1, 4),
        "highPrice24h": trimmed(row.high_24h, row.decimals),
        "lowPrice24h": trimmed(row.low_24h, row.decimals),
        "turnover24h": trimmed(row.notional_24h, 8),
        "volume24h": trimmed(row.volume_24h, 8),
        "usdIndexPrice": "" if row.leg.base in _STABLE_BASES else fixed(row.last, row.decimals + 2),
    }


def _trade(row: Row, trade: Print) -> object:
    return {
        "execId": str(2_290_000_000_000_000_000 + trade.id),
        "symbol": row.name,
        "price": trimmed(trade.price, row.decimals),
        "size": trimmed(trade.size, row.size_decimals),
        "side": "Sell" if trade.taker_sells else "Buy",
        "time": str(milliseconds(trade.at)),
        "isBlockTrade": False,
        "isRPITrade": False,
        "seq": str(trade.id),
    }


def _listing(rows: bytes, at: float) -> Answer:
    return _envelope(b'{"category":"spot","list":[' + rows + b"]}", at)


def _envelope(result: bytes, at: float) -> Answer:
    time = str(milliseconds(at)).encode()
    return Answer(
        200, b'{"retCode":0,"retMsg":"OK","result":' + result + b',"retExtInfo":{},"time":' + time + b"}"
    )


def _error(code: int, message: str, at: float) -> Answer:
    document = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": milliseconds(at)}
    return Answer(200, orjson.dumps(document))
