"""DexScreener's public API: a list of pairs, some numbers as texts and some as numbers, times in
milliseconds. Knows formats; the market comes as rows.
"""

from __future__ import annotations

import re
from typing import Final

import orjson

from chrono.feeds import Leg
from chrono.venues.dexscreener import NETWORK
from chrono.venues.pools import token_of
from core.simulator.answers import Answer, Ask, Page, Row, milliseconds, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.pools import WRAPPED, WRAPPED_USD, Pool, pools_of, rows_named

LIMITS: Final = {"address": Limit(300, 60.0)}
_PATH: Final = re.compile(r"/tokens/v1/([a-z0-9_-]+)/([0-9a-zA-Z,]+)")


def names(leg: Leg) -> tuple[str, ...]:
    """The token's address."""
    return (token_of(leg).address,)


def charge(ask: Ask) -> tuple[str, int]:  # noqa: ARG001
    """Every request counts one."""
    return "address", 1


def answer(ask: Ask, page: Page, at: float) -> Answer:
    """What the aggregator answers, within its limits; an unknown chain or token has no pairs."""
    match = _PATH.fullmatch(ask.path)
    if match is None:
        return Answer(404, orjson.dumps({"error": "Not Found"}))
    rows = rows_named(page, match[2].split(",")) if match[1] == NETWORK else []
    pairs = [page.json(row, _pair(row, pool)) for row in rows for pool in pools_of(row, row.name, at)]
    return Answer(200, b"[" + b",".join(pairs) + b"]")


def admitted_headers(_: Verdict) -> tuple[tuple[str, str], ...]:
    """Nothing is told of the limit."""
    return ()


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:  # noqa: ARG001
    """A refusal with a status."""
    return web_page(status, "Too many requests" if status == 429 else "Access denied")


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:  # noqa: ARG001
    """What passing the limit leads to."""
    return refuse(429, at, None)


def _pair(row: Row, pool: Pool) -> object:
    base, quote = pool.name.split(" / ")
    return {
        "chainId": NETWORK,
        "dexId": "sparkdex",
        "pairAddress": pool.address,
        "baseToken": {"address": WRAPPED, "name": base, "symbol": base},
        "quoteToken": {"address": pool.token, "name": row.leg.base, "symbol": quote},
        "priceNative": f"{WRAPPED_USD / pool.price_usd:.12f}",
        "priceUsd": str(WRAPPED_USD),
        "txns": {"h24": {"buys": row.trades_24h, "sells": row.trades_24h}},
        "volume": {"h24": round(pool.volume_24h_usd, 2), "m5": 0},
        "liquidity": {"usd": round(pool.liquidity_usd, 2), "base": 1e7, "quote": 125_000},
        "pairCreatedAt": milliseconds(pool.made_at),
    }
