"""The shapes of prices, now and in the past, signed and by market."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from core.api.schemas.common import PriceText, Seconds, Shape


class Market(Shape):
    venue: str
    symbol: str


class FeedEntry(Shape):
    feed: str
    id: Annotated[str, Field(pattern="^0x[0-9a-f]{42}$")]
    index: int
    decimals: int
    secondary_band_ppm: int
    markets: list[Market]


class FeedList(Shape):
    feeds: list[FeedEntry]


PRICE_EXAMPLE: Final[dict[str, Any]] = {
    "feed": "BTC/USD",
    "price": "64012.3150",
    "band_low": "64001.1000",
    "band_high": "64020.9000",
    "median": "64012.5000",
    "vwap": "64010.7712",
    "twap": "64008.1290",
    "change_24h_percent": 1.204,
    "change_since": 1789913600.25,
    "venues_used": 5,
    "venues_listed": 5,
    "age_s": 0.412,
    "state": "live",
    "why": None,
    "at": 1790000000.25,
    "sequence": 4711,
}


_HEX: Final = "^0x[0-9a-f]+$"
Hex = Annotated[str, Field(pattern=_HEX)]
_SIGNED: Final = "A signature over `message`; only where it was asked for, null without a price"


class PriceMessage(Shape):
    """The typed data `Price`: whole numbers with `decimals`. Times are milliseconds."""

    feedId: Hex  # noqa: N815  named as on chain, here and below
    value: int
    decimals: int
    bandLow: int  # noqa: N815
    bandHigh: int  # noqa: N815
    observedAtMs: int  # noqa: N815
    sequence: int
    venues: int


class PriceVectorMessage(Shape):
    """The typed data `PriceVector`: every feed that has a price."""

    sequence: int
    atMs: int  # noqa: N815
    prices: list[PriceMessage]


class SignedPrice(Shape):
    message: PriceMessage
    signature: Hex


class SignedPrices(Shape):
    message: PriceVectorMessage
    signature: Hex


class SignerDocument(Shape):
    """`types` as wallets take them, `type_texts` as they are hashed."""

    address: Hex
    domain: dict[str, str | int]
    types: dict[str, list[dict[str, str]]]
    type_texts: dict[str, str]


class Price(Shape):
    """What a feed is worth in US dollars, as text. `why` says in a few words why it is not live, or on what a
    live price rests if that is to be known.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [PRICE_EXAMPLE]})

    feed: str
    price: PriceText | None
    band_low: PriceText | None
    band_high: PriceText | None
    median: PriceText | None
    vwap: PriceText | None
    twap: PriceText | None
    change_24h_percent: float | None
    change_since: Seconds | None
    venues_used: int
    venues_listed: int
    age_s: float | None
    state: Literal["live", "stale", "none"]
    why: str | None
    at: Seconds
    sequence: int
    signed: Annotated[SignedPrice | None, Field(description=_SIGNED)] = None


class PriceList(Shape):
    """`stale` and `age_s` are there while the core is away: then these are the last prices it signed."""

    sequence: int
    at: Seconds
    prices: list[Price]
    signed: Annotated[SignedPrices | None, Field(description=_SIGNED)] = None
    stale: bool | None = None
    age_s: float | None = None


class SourceLeg(Shape):
    """One market behind a feed; `weight` sums to 1 over those used."""

    venue: str
    symbol: str
    price: PriceText | None
    weight: float
    reason: Literal[
        "used", "no_data", "stale", "dead_venue", "no_price", "no_conversion", "outlier", "unconfirmed"
    ]
    age_s: float | None
    route: Annotated[str | None, Field(description="The collector by which it came last")]


class SourceList(Shape):
    feed: str
    sequence: int
    at: Seconds
    price: PriceText | None
    state: Literal["live", "stale", "none"]
    sources: list[SourceLeg]


class CandleEntry(Shape):
    start: Seconds
    open: PriceText
    high: PriceText
    low: PriceText
    close: PriceText
    vwap: PriceText | None
    volume: float


class PointEntry(Shape):
    at: Seconds
    price: PriceText
    band_low: PriceText | None
    band_high: PriceText | None
    vwap: PriceText | None
    twap: PriceText | None
    venues_used: int


class History(Shape):
    """`points` for the interval raw, `candles` for the others. `next` is the address of the rest, or null."""

    feed: str
    interval: Literal["raw", "1m", "5m", "1h", "1d"]
    start: Annotated[float, Field(alias="from")]
    end: Annotated[float, Field(alias="to")]
    points: list[PointEntry] | None = None
    candles: list[CandleEntry] | None = None
    next: str | None
