"""Coinbase's public Advanced Trade market data: texts everywhere, no bids in products, USDC products as other
names of USD ones, times in ISO 8601. Knows formats; the market comes as rows.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import orjson

from chrono.feeds import Leg
from core.simulator.answers import Answer, Ask, Page, Row, fixed, trimmed, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.source import Print

LIMITS: Final = {"address": Limit(15, 1.5)}

_PRODUCTS: Final = "/api/v3/brokerage/market/products"
_QUOTE_NAMES: Final = {"USD": "US Dollar", "USDT": "Tether", "USDC": "USDC"}
_UNALIASED: Final = {"USDC", "USDT"}


def names(leg: Leg) -> tuple[str, ...]:
    """BTC-USD."""
    return (f"{leg.base}-{leg.quote}",)


def charge(_: Ask) -> tuple[str, int]:
    """Every request counts one."""
    return "address", 1


def answer(ask: Ask, page: Page, at: float) -> Answer:  # noqa: ARG001
    """What the venue answers, within its limits."""
    if ask.path == _PRODUCTS:
        return _products(ask, page)
    product, slash, rest = ask.path.removeprefix(_PRODUCTS + "/").partition("/")
    if not ask.path.startswith(_PRODUCTS + "/") or (slash and rest != "ticker"):
        return web_page(404, "404 Not Found")
    found = _product(page, product)
    if found is None:
        return _error(404, "NOT_FOUND", "valid product_id is required")
    row, make = found
    if not slash:
        return Answer(200, page.text(make.__name__, row, make))
    if not ask.one("limit"):
        return _error(400, "INVALID_ARGUMENT", "limit is required")
    return _market_trades(row, product, page, ask.count("limit", 100, 1000))


def admitted_headers(_: Verdict) -> tuple[tuple[str, str], ...]:
    """Nothing is told of the limit."""
    return ()


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:  # noqa: ARG001
    """A refusal with a status: the venue's own for too many requests, the network's otherwise."""
    if status == 429:
        return _error(429, "rate_limit_exceeded", "too many requests")
    return web_page(status, "Attention Required! | Cloudflare")


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:  # noqa: ARG001
    """What passing the limits leads to."""
    return refuse(429, at, None)


def _products(ask: Ask, page: Page) -> Answer:
    """The products asked for; those the venue does not have are left out in silence."""
    asked = ask.params.get("product_ids")
    every = asked or [name for row in page.rows.values() for name in (row.name, _alias(row)) if name]
    found = [product for name in every if (product := _product(page, name))]
    if not asked:
        start = ask.whole("offset", 0)
        found = found[start : start + ask.count("limit", len(found) or 1, len(found) or 1)]
    texts = [page.text(make.__name__, row, make) for row, make in found]
    count = str(len(texts)).encode()
    return Answer(
        200,
        b'{"products":[' + b",".join(texts) + b'],"num_products":' + count + b',"pagination":null}',
    )


def _product(page: Page, name: str) -> tuple[Row, Callable[[Row], object]] | None:
    row = page.row(name)
    if row:
        return row, _primary
    target = page.row(name.removesuffix("C")) if name.endswith("-USDC") else None
    return (target, _aliased) if target and _alias(target) == name else None


def _alias(row: Row) -> str:
    """The USDC product that is only another name of a USD one; empty for none."""
    return f"{row.leg.base}-USDC" if row.leg.quote == "USD" and row.leg.base not in _UNALIASED else ""


def _primary(row: Row) -> object:
    alias = _alias(row)
    return _shown(row, row.name, row.leg.quote, "", [alias] if alias else [])


def _aliased(row: Row) -> object:
    return _shown(row, _alias(row), "USDC", row.name, [])


def _shown(row: Row, product: str, quote: str, alias: str, alias_to: list[str]) -> object:
    tick = fixed(10.0**-row.decimals, row.decimals)
    return {
        "product_id": product,
        "price": trimmed(row.last, row.decimals),
        "price_percentage_change_24h": trimmed((row.last / row.open_24h - 1) * 100, 14),
        "volume_24h": trimmed(row.volume_24h, 8),
        "volume_percentage_change_24h": "4.20851903174419",
        "base_increment": fixed(10.0**-row.size_decimals, row.size_decimals),
        "quote_increment": tick,
        "quote_min_size": "1",
        "quote_max_size": "10000000",
        "base_min_size": fixed(10.0**-row.size_decimals, row.size_decimals),
        "base_max_size": "100000000",
        "base_name": row.leg.base,
        "quote_name": _QUOTE_NAMES[quote],
        "watched": False,
        "is_disabled": False,
        "new": False,
        "status": "online",
        "cancel_only": False,
        "limit_only": False,
        "post_only": False,
        "trading_disabled": False,
        "auction_mode": False,
        "product_type": "SPOT",
        "quote_currency_id": quote,
        "base_currency_id": row.leg.base,
        "fcm_trading_session_details": None,
        "mid_market_price": "",
        "alias": alias,
        "alias_to": alias_to,
        "base_display_symbol": row.leg.base,
        "quote_display_symbol": row.leg.quote,
        "view_only": False,
        "price_increment": tick,
        "display_name": product,
        "product_venue": "CBE",
        "approximate_quote_24h_volume": fixed(row.volume_24h * row.last, 2),
        "new_at": "2023-01-01T00:00:00Z",
        "market_cap": "",
        "base_cbrn": "",
        "quote_cbrn": "",
        "product_cbrn": "",
        "icon_color": "",
        "icon_url": "",
        "display_name_overwrite": "",
        "is_alpha_testing": False,
        "about_description": "",
        "best_bid_price": "",
        "best_ask_price": "",
    }


def _market_trades(row: Row, product: str, page: Page, limit: int) -> Answer:
    texts = [page.json(row, _trade(row, product, t)) for t in reversed(page.prints(row, limit))]
    bid = trimmed(row.bid, row.decimals) if row.bid else ""
    ask = trimmed(row.ask, row.decimals) if row.ask else ""
    book = f'],"best_bid":"{bid}","best_ask":"{ask}"}}'
    return Answer(200, b'{"trades":[' + b",".join(texts) + book.encode())


def _trade(row: Row, product: str, trade: Print) -> object:
    return {
        "trade_id": str(trade.id),
        "product_id": product,
        "price": trimmed(trade.price, row.decimals),
        "size": trimmed(trade.size, row.size_decimals),
        "time": datetime.fromtimestamp(trade.at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "side": "SELL" if trade.taker_sells else "BUY",
        "bid": "",
        "ask": "",
        "exchange": "coinbase",
    }


def _error(status: int, error: str, message: str) -> Answer:
    document = {"error": error, "error_details": message, "message": message}
    return Answer(status, orjson.dumps(document))
