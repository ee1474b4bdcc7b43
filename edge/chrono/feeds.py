"""The feeds that Flare asks for, and the markets that Chrono reads for each.

Knows names, 21-byte ids, decimals, secondary bands and venue listings. Does not know how a venue spells
a symbol (that is `chrono.venues`) nor what anything is worth.

The table follows Flare mainnet's 63 live anchor feeds (index 52 was retired). Listings are what providers'
configurations showed in 2026, with USDC markets of BTC and ETH beside them; a listing that a venue has
dropped is reported by the collector and costs nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

EXCHANGES: Final = ("coinbase", "binance", "kraken", "bybit", "okx")
DEX_VENUES: Final = ("gecko", "dexscreener")
"""Aggregators of decentralized exchanges: for feeds that hardly any exchange lists, and never trusted alone."""
VENUES: Final = (*EXCHANGES, *DEX_VENUES)

CRYPTO_CATEGORY: Final = 1


class FeedId(bytes):
    """A feed's identity on chain: 21 bytes.

    offset  size  field
    0       1     category (1 = crypto)
    1       20    name in ASCII, such as BTC/USD, padded with zero bytes on the right
    """

    def __new__(cls, raw: bytes) -> FeedId:
        """Accept exactly 21 bytes; raise ValueError otherwise."""
        if len(raw) != 21:
            raise ValueError(f"a feed id has 21 bytes, not {len(raw)}")
        return super().__new__(cls, raw)

    @classmethod
    def of(cls, name: str, category: int = CRYPTO_CATEGORY) -> FeedId:
        """The id of a named feed; raises ValueError if the name is not 1 to 20 ASCII characters."""
        if not name.isascii() or not 1 <= len(name) <= 20:
            raise ValueError(f"a feed name has 1 to 20 ASCII characters: {name!r}")
        return cls(bytes([category]) + name.encode("ascii").ljust(20, b"\0"))

    @property
    def category(self) -> int:
        return self[0]

    @property
    def name(self) -> str:
        return self[1:].rstrip(b"\0").decode("ascii")


@dataclass(frozen=True, slots=True, order=True)
class Leg:
    """One market of one venue: what `base` is worth in `quote` there. Its text is `venue:BASE/QUOTE`."""

    venue: str
    base: str
    quote: str

    def __str__(self) -> str:
        return f"{self.venue}:{self.base}/{self.quote}"

    @classmethod
    def parse(cls, text: str) -> Leg:
        """The leg that `str` wrote; raises ValueError on any other text."""
        venue, colon, pair = text.partition(":")
        base, slash, quote = pair.partition("/")
        if not (venue and colon and base and slash and quote) or "/" in quote:
            raise ValueError(f"not a leg: {text[:60]!r}")
        return cls(venue, base, quote)


@dataclass(frozen=True, slots=True)
class Feed:
    """One of Flare's feeds. `decimals` scales the value on chain; the band is around the median."""

    index: int
    name: str
    decimals: int
    secondary_band_ppm: int
    legs: tuple[Leg, ...]

    @property
    def id(self) -> FeedId:
        return FeedId.of(self.name)

    @property
    def base(self) -> str:
        return self.name.partition("/")[0]


def _feed(index: int, base: str, decimals: int, secondary_band_ppm: int, listings: str) -> Feed:
    """A row of the table; `listings` is `venue:QUOTE,...` by venue, or BASE/QUOTE after a rename."""
    legs = []
    for listing in listings.split():
        venue, _, markets = listing.partition(":")
        for market in markets.split(","):
            renamed, slash, quote = market.rpartition("/")
            legs.append(Leg(venue, renamed if slash else base, quote))
    return Feed(index, f"{base}/USD", decimals, secondary_band_ppm, tuple(legs))


# fmt: off
FEEDS: Final[tuple[Feed, ...]] = (
    _feed(0, "FLR", 6, 1150, "coinbase:USD kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(1, "SGB", 7, 1400, "kraken:USD gecko:USD"),
    _feed(
        2,
        "BTC",
        2,
        500,
        "coinbase:USD,USDT binance:USDT,USDC kraken:USD,USDT,USDC bybit:USDT,USDC okx:USD,USDT,USDC",
    ),
    _feed(3, "XRP", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(4, "LTC", 4, 900, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(5, "XLM", 6, 900, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(6, "DOGE", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(7, "ADA", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(8, "ALGO", 5, 900, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(
        9,
        "ETH",
        3,
        500,
        "coinbase:USD,USDT binance:USDT,USDC kraken:USD,USDT,USDC bybit:USDT,USDC okx:USD,USDT,USDC",
    ),
    _feed(10, "FIL", 5, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(11, "ARB", 5, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(12, "AVAX", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(13, "BNB", 4, 500, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(14, "POL", 5, 900, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(15, "SOL", 4, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(16, "USDC", 5, 100, "binance:USD,USDT kraken:USD,USDT bybit:USDT okx:USDT"),
    _feed(17, "USDT", 5, 100, "coinbase:USD binance:USD kraken:USD okx:USD"),
    _feed(18, "XDC", 6, 500, "kraken:USD bybit:USDT gecko:USD"),
    _feed(19, "TRX", 5, 500, "binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(20, "LINK", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(21, "ATOM", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(22, "DOT", 5, 1150, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(
        23,
        "TON",
        5,
        1150,
        "coinbase:USD binance:USDT,GRAM/USDT kraken:USD,USDT bybit:USDT,GRAM/USDT okx:USD,USDT,GRAM/USDT",
    ),
    _feed(24, "ICP", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(25, "SHIB", 9, 900, "coinbase:USD,USDT binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(26, "USDS", 5, 100, "coinbase:USD binance:USDT kraken:USD okx:USDT"),
    _feed(27, "BCH", 4, 500, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(28, "NEAR", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(29, "LEO", 5, 1600, "okx:USD,USDT"),
    _feed(30, "UNI", 5, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(31, "ETC", 5, 900, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(32, "WIF", 5, 1400, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(33, "BONK", 9, 1400, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(34, "JUP", 5, 1150, "binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(35, "ETHFI", 5, 1400, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(36, "ENA", 5, 1400, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(37, "PYTH", 5, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(38, "HNT", 5, 900, "coinbase:USD kraken:USD bybit:USDT"),
    _feed(39, "SUI", 5, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(40, "PEPE", 10, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(41, "QNT", 4, 1150, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT"),
    _feed(42, "AAVE", 4, 900, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(43, "S", 5, 1400, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(44, "ONDO", 5, 1150, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(45, "TAO", 4, 1150, "coinbase:USD binance:USDT kraken:USD"),
    _feed(46, "FET", 5, 1150, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USDT"),
    _feed(47, "RENDER", 5, 1400, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(48, "NOT", 7, 1400, "binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(49, "RUNE", 5, 1150, "binance:USDT kraken:USD bybit:USDT"),
    _feed(50, "TRUMP", 5, 1400, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(51, "USDX", 5, 200, "gecko:USD dexscreener:USD"),
    _feed(53, "HBAR", 5, 900, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(54, "PENGU", 6, 1400, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(55, "HYPE", 5, 1150, "bybit:USDT okx:USD,USDT"),
    _feed(56, "APT", 5, 1150, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(57, "PAXG", 3, 500, "coinbase:USD binance:USDT kraken:USD okx:USD,USDT"),
    _feed(58, "BERA", 5, 1400, "coinbase:USD binance:USDT kraken:USD,USDT bybit:USDT okx:USD,USDT"),
    _feed(59, "OP", 5, 1150, "coinbase:USD,USDT binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(60, "PUMP", 7, 1400, "coinbase:USD binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(61, "XPL", 5, 1400, "binance:USDT kraken:USD bybit:USDT okx:USD,USDT"),
    _feed(62, "MON", 7, 1400, "coinbase:USD bybit:USDT"),
    _feed(63, "NIGHT", 6, 1400, "kraken:USD bybit:USDT okx:USDT"),
)
# fmt: on

FEED_BY_NAME: Final = {feed.name: feed for feed in FEEDS}

LEGS: Final[tuple[Leg, ...]] = tuple(leg for feed in FEEDS for leg in feed.legs)
"""Every leg once, in feed order: a leg belongs to exactly one feed."""


def legs_of(venue: str) -> tuple[Leg, ...]:
    """The legs that are read at one venue, in feed order."""
    return tuple(leg for leg in LEGS if leg.venue == venue)
