"""GeckoTerminal, an aggregator of decentralized exchanges, Flare's among them.

One request answers for many tokens of one network, with each one's largest pools beside it; a token is either
side of a pool. There is no time on a price, and answers are cached for up to a minute. Without a key 30
requests a minute are allowed.
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
    load_object,
    refused_by_status,
    rows_of,
    time_of_iso,
    unreadable,
)

VENUE: Final = "gecko"


def symbol_of(leg: Leg) -> str:
    """The token's id in answers: its network and its address."""
    token = token_of(leg)
    return f"{token.network}_{token.address}"


def leg_of(symbol: str) -> Leg | None:
    network, _, address = symbol.partition("_")
    return leg_of_token(VENUE, network, address)


def tickers(legs: Sequence[Leg]) -> Request:
    addresses = ",".join(token_of(leg).address for leg in legs)
    path = f"/api/v2/networks/{network_of(legs[0])}/tokens/multi/{addresses}"
    symbols = tuple(map(symbol_of, legs))
    return Request(VENUE, RequestKind.TICKERS, path, (("include", "top_pools"),), tuple(legs), symbols)


def parse(request: Request, answer: Answer) -> Outcome:
    refused = refused_by_status(answer)
    if refused is not None:
        return refused
    try:
        envelope = load_object(answer.body)
        rows_of(envelope.get("data"), "data")
        pools = rows_of(envelope.get("included", []), "included")
    except UnreadableAnswer as error:
        return unreadable(error)
    return read_pools(request, pools, _read_pool, answer.received_at)


def _read_pool(token: str, row: Any) -> Pool | None:
    """What a pool says of a token; None if it is not a pool of it."""
    if not isinstance(row, dict):
        raise BadRow(Reason.MALFORMED, f"a pool is {type(row).__name__}")
    sides = {member(row, "relationships", f"{side}_token", "data", "id"): side for side in ("quote", "base")}
    side = sides.get(token)
    if side is None:
        return None
    told = row.get("attributes")
    created = member(told, "pool_created_at")
    return Pool(
        figure("price", member(told, f"{side}_token_price_usd")),
        figure("liquidity", member(told, "reserve_in_usd")),
        figure("volume", member(told, "volume_usd", "h24")),
        time_of_iso(created) if created else None,
    )


GECKOTERMINAL: Final = VenueAdapter(
    VENUE,
    "https://api.geckoterminal.com",
    WeightLimit(3, 10.0),  # of 5, one a network; an answer is up to a minute old, more often is no use
    symbol_of,
    leg_of,
    tickers,
    None,
    parse,
    part=network_of,
)
