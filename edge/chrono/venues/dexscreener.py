"""DexScreener, an aggregator of decentralized exchanges.

One request answers with all pairs of up to 30 tokens of one chain. The price in dollars is that of a pair's
base token; that of its quote token follows from the pair's own price. There is no time on a price. The limit
is not promised anywhere, so little is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.ticks import Reason
from chrono.venues.adapter import Outcome, Request, RequestKind, VenueAdapter, WeightLimit
from chrono.venues.pools import Pool, figure, member, network_of, read_pools, token_of
from chrono.venues.pools import leg_of as leg_of_token
from chrono.venues.rows import (
    BadRow,
    UnreadableAnswer,
    load,
    refused_by_status,
    rows_of,
    time_of_ms,
    unreadable,
)

VENUE: Final = "dexscreener"
NETWORK: Final = "flare"
"""The one chain whose name here is known; it is told in every pair."""


def symbol_of(leg: Leg) -> str:
    return token_of(leg).address


def leg_of(symbol: str) -> Leg | None:
    return leg_of_token(VENUE, NETWORK, symbol)


def tickers(legs: Sequence[Leg]) -> Request:
    symbols = tuple(map(symbol_of, legs))
    path = f"/tokens/v1/{NETWORK}/{','.join(symbols)}"
    return Request(VENUE, RequestKind.TICKERS, path, (), tuple(legs), symbols)


def parse(request: Request, answer: Answer) -> Outcome:
    refused = refused_by_status(answer)
    if refused is not None:
        return refused
    try:
        pairs = rows_of(load(answer.body), "the answer")
    except UnreadableAnswer as error:
        return unreadable(error)
    return read_pools(request, pairs, _read_pair, answer.received_at)


def _read_pair(token: str, row: Any) -> Pool | None:
    """What a pair says of a token; None if it is not a pair of it on the wanted chain."""
    if not isinstance(row, dict):
        raise BadRow(Reason.MALFORMED, f"a pair is {type(row).__name__}")
    sides = [str(member(row, side, "address")).lower() for side in ("baseToken", "quoteToken")]
    if row.get("chainId") != NETWORK or token not in sides:
        return None
    price = figure("priceUsd", row.get("priceUsd"))
    if sides[0] != token:
        native = figure("priceNative", row.get("priceNative"))
        price = price / native if native else native
    created = row.get("pairCreatedAt")
    return Pool(
        price,
        figure("liquidity", member(row, "liquidity", "usd")),
        figure("volume", member(row, "volume", "h24")),
        time_of_ms(created) if created else None,
    )


DEXSCREENER: Final = VenueAdapter(
    VENUE,
    "https://api.dexscreener.com",
    WeightLimit(1, 5.0),
    symbol_of,
    leg_of,
    tickers,
    None,
    parse,
    part=network_of,
)
