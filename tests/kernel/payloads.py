"""Answers as the venues write them, quirks included, built by hand for the tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.venues import VENUE_ADAPTERS
from chrono.venues.adapter import Request, RequestKind

AT = 1_750_000_000.0
AT_MS = 1_750_000_000_000

OLD_KRAKEN_KEYS = {
    "XBTUSD": "XXBTZUSD",
    "ETHUSD": "XETHZUSD",
    "XRPUSD": "XXRPZUSD",
    "LTCUSD": "XLTCZUSD",
    "XLMUSD": "XXLMZUSD",
    "ETCUSD": "XETCZUSD",
    "USDTUSD": "USDTZUSD",
}


def answer(body: Any, status: int = 200, at: float = AT, **headers: str) -> Answer:
    """An answer with a JSON body, or with a body given as bytes."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, raw, at, {name.replace("_", "-"): value for name, value in headers.items()})


def binance_ticker(symbol: str, bid: str, ask: str, last: str, at_ms: int = AT_MS) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "priceChange": "-94.99999800",
        "priceChangePercent": "-0.960",
        "weightedAvgPrice": last,
        "prevClosePrice": last,
        "lastPrice": last,
        "lastQty": "0.00200000",
        "bidPrice": bid,
        "bidQty": "1.00000000",
        "askPrice": ask,
        "askQty": "1.00000000",
        "openPrice": last,
        "highPrice": last,
        "lowPrice": last,
        "volume": "8913.30000000",
        "quoteVolume": "15.30000000",
        "openTime": at_ms - 86_400_000,
        "closeTime": at_ms,
        "firstId": 28385,
        "lastId": 28460,
        "count": 76,
    }


def binance_trade(trade_id: int, price: str, size: str, at_ms: int) -> dict[str, Any]:
    return {"a": trade_id, "p": price, "q": size, "f": 1, "l": 2, "T": at_ms, "m": True, "M": True}


def bybit_ticker(symbol: str, bid: str, ask: str, last: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "bid1Price": bid,
        "bid1Size": "1.2",
        "ask1Price": ask,
        "ask1Size": "0.8",
        "lastPrice": last,
        "prevPrice24h": last,
        "price24hPcnt": "0.0068",
        "highPrice24h": last,
        "lowPrice24h": last,
        "turnover24h": "170999382.8",
        "volume24h": "8913.3",
        "usdIndexPrice": last,
    }


def bybit_envelope(rows: Any, at_ms: Any = AT_MS, code: Any = 0, message: str = "OK") -> dict[str, Any]:
    return {
        "retCode": code,
        "retMsg": message,
        "result": {"category": "spot", "list": rows},
        "retExtInfo": {},
        "time": at_ms,
    }


def bybit_trade(symbol: str, trade_id: str, price: str, size: str, at_ms: int) -> dict[str, Any]:
    return {
        "execId": trade_id,
        "symbol": symbol,
        "price": price,
        "size": size,
        "side": "Buy",
        "time": str(at_ms),
        "isBlockTrade": False,
    }


def okx_ticker(symbol: str, bid: str, ask: str, last: str, at_ms: int = AT_MS) -> dict[str, Any]:
    return {
        "instType": "SPOT",
        "instId": symbol,
        "last": last,
        "lastSz": "0.1",
        "askPx": ask,
        "askSz": "11",
        "bidPx": bid,
        "bidSz": "5",
        "open24h": last,
        "high24h": last,
        "low24h": last,
        "volCcy24h": "603190237.2",
        "vol24h": "8913.3",
        "sodUtc0": last,
        "sodUtc8": last,
        "ts": str(at_ms),
    }


def okx_envelope(rows: Any, code: Any = "0", message: str = "") -> dict[str, Any]:
    return {"code": code, "msg": message, "data": rows}


def okx_trade(symbol: str, trade_id: str, price: str, size: str, at_ms: int) -> dict[str, Any]:
    return {
        "instId": symbol,
        "side": "sell",
        "sz": size,
        "px": price,
        "tradeId": trade_id,
        "ts": str(at_ms),
    }


def kraken_ticker(bid: str, ask: str, last: str) -> dict[str, Any]:
    return {
        "a": [ask, "1", "1.000"],
        "b": [bid, "1", "1.000"],
        "c": [last, "0.00009443"],
        "v": ["0.78648221", "8913.3"],
        "p": [last, last],
        "t": [35, 3276],
        "l": [last, last],
        "h": [last, last],
        "o": last,
    }


def kraken_envelope(rows: Any, *errors: str) -> dict[str, Any]:
    return {"error": list(errors)} if errors else {"error": [], "result": rows}


def coinbase_product(symbol: str, last: str) -> dict[str, Any]:
    base, _, currency = symbol.partition("-")
    return {
        "product_id": symbol,
        "price": last,
        "price_percentage_change_24h": "-0.28225832119521",
        "volume_24h": "8913.3",
        "status": "online",
        "trading_disabled": False,
        "product_type": "SPOT",
        "quote_currency_id": currency,
        "base_currency_id": base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": "",
        "best_bid_price": "",
        "best_ask_price": "",
    }


def coinbase_trade(symbol: str, trade_id: str, price: str, size: str, time: str) -> dict[str, Any]:
    return {
        "trade_id": trade_id,
        "product_id": symbol,
        "price": price,
        "size": size,
        "time": time,
        "side": "SELL",
        "bid": "",
        "ask": "",
        "exchange": "coinbase",
    }


YEAR_S = 365 * 86_400


def gecko_pool(
    token: str,
    price: str,
    *,
    reserve: str = "250000.5",
    volume: str = "895786.65",
    age_s: float = YEAR_S,
    at: float = AT,
    side: str = "quote",
) -> dict[str, Any]:
    other = "base" if side == "quote" else "quote"
    made = datetime.fromtimestamp(at - age_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "id": "flare_0xpool",
        "type": "pool",
        "attributes": {
            f"{side}_token_price_usd": price,
            f"{other}_token_price_usd": "0.0113",
            "address": "0xpool",
            "name": "WFLR / USDX",
            "pool_created_at": made,
            "reserve_in_usd": reserve,
            "volume_usd": {"m5": "0.0", "h24": volume},
        },
        "relationships": {
            f"{side}_token": {"data": {"id": token, "type": "token"}},
            f"{other}_token": {"data": {"id": "flare_0xother", "type": "token"}},
            "dex": {"data": {"id": "sparkdex-v3-1", "type": "dex"}},
        },
    }


def dexscreener_pair(
    token: str,
    price: str,
    *,
    liquidity: float = 250_000.5,
    volume: float = 895_786.65,
    age_s: float = YEAR_S,
    at: float = AT,
    chain: str = "flare",
) -> dict[str, Any]:
    return {
        "chainId": chain,
        "dexId": "sparkdex",
        "pairAddress": "0xpool",
        "baseToken": {"address": "0x" + token[2:].upper(), "name": "Hex Trust USD", "symbol": "USDX"},
        "quoteToken": {"address": "0xother", "name": "Wrapped Flare", "symbol": "WFLR"},
        "priceNative": "88.5",
        "priceUsd": price,
        "volume": {"h24": volume, "m5": 0},
        "liquidity": {"usd": liquidity, "base": 125_000, "quote": 1e7},
        "pairCreatedAt": round((at - age_s) * 1000),
    }


def tickers_answer(
    request: Request, last: str = "100.5", at: float = AT, skip: tuple[str, ...] = ()
) -> Answer:
    """A good answer to a request for tickers at any venue: bid 100, ask 101, with some symbols left out."""
    at_ms = round(at * 1000)
    symbols = [symbol for symbol in request.symbols if symbol not in skip]
    body: Any
    match request.venue:
        case "binance":
            body = [binance_ticker(symbol, "100", "101", last, at_ms) for symbol in symbols]
        case "bybit":
            body = bybit_envelope([bybit_ticker(symbol, "100", "101", last) for symbol in symbols], at_ms)
        case "okx":
            body = okx_envelope([okx_ticker(symbol, "100", "101", last, at_ms) for symbol in symbols])
        case "kraken":
            rows = {OLD_KRAKEN_KEYS.get(name, name): kraken_ticker("100", "101", last) for name in symbols}
            body = kraken_envelope(rows)
        case "gecko":
            included = [gecko_pool(symbol, last, at=at) for symbol in symbols]
            body = {"data": [{"id": symbol, "type": "token"} for symbol in symbols], "included": included}
        case "dexscreener":
            body = [dexscreener_pair(symbol, last, at=at) for symbol in symbols]
        case _:
            body = {"products": [coinbase_product(symbol, last) for symbol in symbols]}
    return answer(body, at=at)


def tickers_of(*legs: str) -> Request:
    parsed = [Leg.parse(leg) for leg in legs]
    return VENUE_ADAPTERS[parsed[0].venue].tickers(parsed)


def trades_of(leg: str) -> Request:
    parsed = Leg.parse(leg)
    ask = VENUE_ADAPTERS[parsed.venue].trades
    assert ask is not None
    request = ask(parsed)
    assert request.kind is RequestKind.TRADES
    return request
