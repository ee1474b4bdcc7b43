"""Prices from pools of decentralized exchanges, as the aggregators GeckoTerminal and DexScreener tell them.

Knows which token stands for which leg, which pools are too thin or too young to be believed, and how the
deepest of the others becomes a quote. Does not know either aggregator's format.

A pool's price is moved by whoever trades against it, for a time, and the more cheaply the thinner it is. So
a pool counts only if it holds LIQUIDITY_USD_MIN dollars, traded VOLUME_USD_MIN in the last 24 hours and was
made AGE_S_MIN ago, and the core gives these legs little to say (`core.aggregation.pools`).

Where the addresses are from; none could be asked live:

    USDX on Flare: the table of deployed addresses in the README of its issuer's contract ("Hex Stablecoin
    (USDX)"); the same in DefiLlama/DefiLlama-Adapters, projects/usdx/index.js
    SGB, wrapped, on Songbird: its WNat, as Songbird's explorer and its exchanges' interfaces name it
    XDC, wrapped, on XDC: XSwapProtocol/xdc-token-list, mainnet.tokenlist.json

Nothing that was found says by which names DexScreener has Songbird and XDC, so those two are read from
GeckoTerminal only; exchanges confirm them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from chrono.feeds import Leg
from chrono.ticks import Quote, Reason, Refusal
from chrono.venues.adapter import Parsed, Request
from chrono.venues.rows import BadRow, amount


@dataclass(frozen=True, slots=True)
class Token:
    """A token contract: its network as the aggregators name it, and its address in lower case."""

    network: str
    address: str


TOKENS: Final[Mapping[str, Token]] = {
    "USDX": Token("flare", "0x4a771cc1a39fdd8aa08b8ea51f7fd412e73b3d2b"),
    "SGB": Token("songbird", "0x02f0826ef6ad107cfc861152b32b52fd11bab9ed"),
    "XDC": Token("xdc", "0x951857744785e80e2de051c32ee7b25f9c458c42"),
}
"""By base."""
LIQUIDITY_USD_MIN: Final = Decimal(25_000)
VOLUME_USD_MIN: Final = Decimal(500)
AGE_S_MIN: Final = 30 * 86_400.0
_DIGITS: Final = Decimal("1e-6")
_BASES: Final = {token: base for base, token in TOKENS.items()}


@dataclass(frozen=True, slots=True)
class Pool:
    """What one pool says of a token; `created_at` is None where it is not told."""

    price_usd: Decimal
    liquidity_usd: Decimal
    volume_24h_usd: Decimal
    created_at: float | None

    def is_sound(self, at: float) -> bool:
        """Whether it is deep, traded and old enough to be believed at all."""
        return (
            self.price_usd > 0
            and self.liquidity_usd >= LIQUIDITY_USD_MIN
            and self.volume_24h_usd >= VOLUME_USD_MIN
            and self.created_at is not None
            and at - self.created_at >= AGE_S_MIN
        )


def token_of(leg: Leg) -> Token:
    """The token of a leg; raises KeyError for a base that has none here."""
    return TOKENS[leg.base]


def network_of(leg: Leg) -> str:
    """The network of a leg's token, by the aggregators' name: one request asks for one network."""
    return token_of(leg).network


def leg_of(venue: str, network: str, address: str) -> Leg | None:
    """The leg of a token, in dollars; None for an unknown one."""
    base = _BASES.get(Token(network, address.lower()))
    return Leg(venue, base, "USD") if base else None


def deepest_quote(leg: Leg, pools: Iterable[Pool], received_at: float) -> Quote | None:
    """The price of the deepest sound pool, with the volume of all sound ones; None without any."""
    sound = [pool for pool in pools if pool.is_sound(received_at)]
    if not sound:
        return None
    price = max(sound, key=lambda pool: pool.liquidity_usd).price_usd
    volume = sum((pool.volume_24h_usd for pool in sound), Decimal(0)) / price
    return Quote(leg, None, None, price, volume.quantize(_DIGITS), None, received_at)


def figure(field: str, value: object) -> Decimal:
    """The number in a text or a JSON number, 0 where there is none; raises BadRow."""
    if isinstance(value, bool):
        raise BadRow(Reason.MALFORMED, f"{field} is a truth value")
    if isinstance(value, int | float):
        value = format(value, ".12f") if abs(value) < 1e18 else ""
    elif isinstance(value, str):
        value = value[:32]
    return amount(field, value) or Decimal(0)


def member(row: object, *path: str) -> Any:
    """What stands under a path of names in nested objects; None where it leads nowhere."""
    for name in path:
        row = row.get(name) if isinstance(row, dict) else None
    return row


def read_pools(
    request: Request,
    rows: Sequence[object],
    read: Callable[[str, Any], Pool | None],
    received_at: float,
) -> Parsed:
    """The quote of each token that was asked for, from the deepest pool that `read` finds for it in a row.

    A token one of whose rows cannot be read is refused by itself; one without a pool is missing.
    """
    quotes: list[Quote] = []
    refusals: list[Refusal] = []
    missing: list[str] = []
    for symbol, leg in request.wanted().items():
        try:
            told = [pool for row in rows if (pool := read(symbol, row)) is not None]
        except BadRow as bad:
            refusals.append(Refusal(symbol, bad.reason, bad.detail))
            continue
        found = deepest_quote(leg, told, received_at)
        if found is None:
            missing.append(symbol)
        else:
            quotes.append(found)
    return Parsed(tuple(quotes), (), tuple(refusals), tuple(missing))
