"""GeckoTerminal's public API, v2: JSON:API documents, tokens with their largest pools included. Knows
formats; the market comes as rows.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import orjson

from chrono.feeds import Leg
from chrono.venues.pools import TOKENS, token_of
from core.simulator.answers import Answer, Ask, Page, Row, trimmed, web_page
from core.simulator.limits import Limit, Verdict
from core.simulator.pools import WRAPPED, WRAPPED_USD, Pool, pools_of, rows_named

_NETWORKS: Final = frozenset(token.network for token in TOKENS.values())
LIMITS: Final = {"address": Limit(30, 60.0)}
_PATH: Final = re.compile(r"/api/v2/networks/([a-z0-9_-]+)/tokens/multi/([0-9a-zA-Z,]+)")


def names(leg: Leg) -> tuple[str, ...]:
    """The token's id: flare_0x4a77..."""
    token = token_of(leg)
    return (f"{token.network}_{token.address}",)


def charge(ask: Ask) -> tuple[str, int]:  # noqa: ARG001
    """Every request counts one."""
    return "address", 1


def answer(ask: Ask, page: Page, at: float) -> Answer:
    """What the aggregator answers, within its limits."""
    match = _PATH.fullmatch(ask.path)
    if match is None or match[1] not in _NETWORKS:
        return _error(404, "Not Found")
    rows = rows_named(page, [f"{match[1]}_{address}" for address in match[2].split(",")])
    with_pools = ask.one("include") == "top_pools"
    tokens = b",".join(page.text("token", row, _token) for row in rows)
    body = b'{"data":[' + tokens + b"]"
    if with_pools:
        included = [page.json(row, _pool(pool)) for row in rows for pool in pools_of(row, row.name, at)]
        body += b',"included":[' + b",".join(included) + b"]"
    return Answer(200, body + b"}")


def admitted_headers(_: Verdict) -> tuple[tuple[str, str], ...]:
    """Nothing is told of the limit."""
    return ()


def refuse(status: int, at: float, retry_after_s: int | None) -> Answer:  # noqa: ARG001
    """A refusal with a status: the aggregator's own for too many requests, the network's otherwise."""
    return _error(429, "Rate limited") if status == 429 else web_page(status, "Access denied")


def too_many(banned: bool, at: float, retry_after_s: int) -> Answer:  # noqa: ARG001
    """What passing the limit leads to."""
    return refuse(429, at, None)


def _token(row: Row) -> object:
    address = row.name.partition("_")[2]
    return {
        "id": row.name,
        "type": "token",
        "attributes": {
            "address": address,
            "name": row.leg.base,
            "symbol": row.leg.base,
            "decimals": 6,
            "price_usd": trimmed(row.last, row.decimals),
            "total_reserve_in_usd": "250000.0",
            "volume_usd": {"h24": str(row.notional_24h)},
            "market_cap_usd": None,
        },
        "relationships": {
            "top_pools": {"data": [{"id": f"{row.name.partition('_')[0]}_0x{'a' * 40}", "type": "pool"}]}
        },
    }


def _pool(pool: Pool) -> object:
    network = pool.token.partition("_")[0]
    made = datetime.fromtimestamp(int(pool.made_at), UTC)
    return {
        "id": f"{network}_{pool.address}",
        "type": "pool",
        "attributes": {
            "base_token_price_usd": str(WRAPPED_USD),
            "quote_token_price_usd": f"{pool.price_usd:.18f}",
            "base_token_price_quote_token": f"{WRAPPED_USD / pool.price_usd:.12f}",
            "address": pool.address,
            "name": pool.name,
            "pool_created_at": made.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "reserve_in_usd": f"{pool.liquidity_usd:.4f}",
            "volume_usd": {"m5": "0.0", "h24": f"{pool.volume_24h_usd:.8f}"},
        },
        "relationships": {
            "base_token": {"data": {"id": f"{network}_{WRAPPED}", "type": "token"}},
            "quote_token": {"data": {"id": pool.token, "type": "token"}},
            "dex": {"data": {"id": "sparkdex-v3-1", "type": "dex"}},
        },
    }


def _error(status: int, title: str) -> Answer:
    return Answer(status, orjson.dumps({"errors": [{"status": str(status), "title": title}]}))
