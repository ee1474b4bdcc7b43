"""Kraken spot.

It is asked by short names (XBTUSD, XDGUSD) and answers by its older ones where a pair has one (XXBTZUSD,
USDTZUSD); both are accepted. Errors come inside a 200. Its REST ticker tells no time. Trades are not asked
for: at about one request a second an address cannot afford them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.ticks import Quote, Reason
from chrono.venue_state import VenueState
from chrono.venues.adapter import (
    Outcome,
    Refused,
    Request,
    RequestKind,
    SymbolRefused,
    VenueAdapter,
    WeightLimit,
)
from chrono.venues.rows import (
    DETAIL_CHARS_MAX,
    BadRow,
    Row,
    UnreadableAnswer,
    load_object,
    quote,
    read_quotes,
    refused_by_status,
    split_pair,
    unreadable,
)

VENUE: Final = "kraken"
_KRAKEN_NAMES: Final = {"BTC": "XBT", "DOGE": "XDG"}
_COMMON_NAMES: Final = {name: base for base, name in _KRAKEN_NAMES.items()}
_OLD_BASES: Final = frozenset({"XBT", "ETH", "XRP", "LTC", "XLM", "ETC", "XMR", "ZEC", "XDG"})
_RATE_LIMITED: Final = ("EAPI:Rate limit", "EGeneral:Too many requests", "EService:Throttled")
_UNKNOWN_PAIR: Final = ("EQuery:Unknown asset pair", "EQuery:Invalid asset pair")


def symbol_of(leg: Leg) -> str:
    return _KRAKEN_NAMES.get(leg.base, leg.base) + leg.quote


def leg_of(symbol: str) -> Leg | None:
    """The leg of a short or an old name: XBTUSD, XXBTZUSD, USDTZUSD."""
    pair = split_pair(symbol)
    if pair is None:
        return None
    base, currency = pair
    if currency == "USD" and base.endswith("Z"):
        base = _base_of_old_name(base)
    return Leg(VENUE, _COMMON_NAMES.get(base, base), currency)


def _base_of_old_name(text: str) -> str:
    """XXBTZ is XBT and USDTZ is USDT, but a base that merely ends in Z keeps it."""
    base = text.removesuffix("Z")
    if base[:1] == "X" and base[1:] in _OLD_BASES:
        return base[1:]
    return base if base == "USDT" else text


def tickers(legs: Sequence[Leg]) -> Request:
    symbols = tuple(map(symbol_of, legs))
    params = (("pair", ",".join(symbols)),)
    return Request(VENUE, RequestKind.TICKERS, "/0/public/Ticker", params, tuple(legs), symbols)


def whole(legs: Sequence[Leg]) -> Request:
    """All pairs, about ten times what is wanted: at one request a second halving takes too long."""
    symbols = tuple(map(symbol_of, legs))
    return Request(VENUE, RequestKind.TICKERS, "/0/public/Ticker", (), tuple(legs), symbols)


def parse(request: Request, answer: Answer) -> Outcome:
    refused = refused_by_status(answer)
    if refused is not None:
        return refused
    try:
        envelope = load_object(answer.body)
        refusal = _refused_by_error(envelope.get("error"))
        if refusal is not None:
            return refusal
        result = envelope.get("result")
        if not isinstance(result, dict):
            raise UnreadableAnswer("an answer without a result")
    except UnreadableAnswer as error:
        return unreadable(error)
    asked = frozenset(request.symbols)
    rows = ((key if key in asked else _short_name(key), row) for key, row in result.items())
    return read_quotes(request, rows, lambda leg, row: _read_ticker(leg, row, answer.received_at))


def _short_name(key: str) -> str:
    leg = leg_of(key)
    return symbol_of(leg) if leg else key


def _refused_by_error(errors: object) -> Refused | SymbolRefused | None:
    if errors == [] or errors is None:
        return None
    detail = (errors[0] if isinstance(errors, list) else errors).__str__()[:DETAIL_CHARS_MAX]
    if detail.startswith(_RATE_LIMITED):
        return Refused(VenueState.RATE_LIMITED, detail=detail)
    if detail.startswith(_UNKNOWN_PAIR):
        return SymbolRefused(0, detail)
    return Refused(VenueState.FAILING, detail=detail)


def _read_ticker(leg: Leg, row: Row, received_at: float) -> Quote:
    # The second volume is of the last 24 hours, the first since midnight.
    return quote(
        leg,
        bid=_item(row, "b", 0),
        ask=_item(row, "a", 0),
        last=_item(row, "c", 0),
        volume_24h=_item(row, "v", 1),
        event_at=None,
        received_at=received_at,
    )


def _item(row: Row, field: str, index: int) -> object:
    values = row.get(field)
    if not isinstance(values, list) or len(values) <= index:
        raise BadRow(Reason.MALFORMED, f"{field} is no list of {index + 1} or more")
    return values[index]


KRAKEN: Final = VenueAdapter(
    VENUE,
    "https://api.kraken.com",
    WeightLimit(4, 5.0),  # of about 5
    symbol_of,
    leg_of,
    tickers,
    None,
    parse,
    whole,
)
