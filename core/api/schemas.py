"""The shapes of requests and answers, for OpenAPI and for the bodies that are read.

Answers of the price path are joined from bytes and do not pass through these models; the tests hold them to
these shapes.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

PriceText = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?$", examples=["64012.3150"])]
Seconds = Annotated[float, Field(description="Unix seconds", examples=[1790000000.25])]


class Shape(BaseModel):
    """An answer: exactly these members."""

    model_config = ConfigDict(extra="forbid")


class ProblemDocument(BaseModel):
    """RFC 9457. Further members are the evidence of the problem's type."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:chrono:problem:unknown-feed",
                    "title": "Unknown feed",
                    "status": 404,
                    "detail": "no such feed: FOO/USD",
                    "instance": "/v1/prices",
                    "feeds": ["FOO/USD"],
                }
            ]
        },
    )

    type: str
    title: str
    status: int
    detail: str
    instance: str


class Acknowledgement(Shape):
    """What was committed for a batch: byte for byte the same when it is delivered again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"sequence": 17, "accepted": 498, "refused": {"malformed": 2}}]},
    )

    sequence: int
    accepted: int
    refused: dict[str, int]


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
_SIGNED: Final = "A signature over `message`; only where it was asked for, null without a price"
Hex = Annotated[str, Field(pattern=_HEX)]


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


class VenueEntry(Shape):
    """How a venue treats a collector, as that collector last told."""

    venue: str
    state: Literal[
        "starting", "healthy", "rate_limited", "banned", "forbidden", "geo_blocked", "failing", "probing"
    ]
    code: int
    since: Seconds
    retry_at: Seconds | None
    requests: int
    failures: int
    refused: dict[str, int]
    collector: Annotated[str, Field(description="Its key id")]
    route: Annotated[str, Field(description="Its name, or its key id if it has none")]
    heard_at: Seconds
    silent_s: float


class RouteEntry(Shape):
    """How one collector delivers, since the core's start.

    `legs` came last by it. `newest_tick_age_s` counts from its own receipt, by its own clock.
    `clock_offset_s` is by how much our clock is ahead of its, with the shortest way on top.
    """

    name: str
    key_id: Annotated[str, Field(pattern="^[0-9a-f]{16}$")]
    heard_at: Seconds
    silent_s: float
    newest_tick_age_s: float | None
    legs: int
    batches: int
    ticks: int
    ticks_dropped: int
    clock_offset_s: float


class RouteList(Shape):
    at: Seconds
    routes: list[RouteEntry]


class VenueList(Shape):
    at: Seconds
    venues: list[VenueEntry]


class Health(BaseModel):
    """Further members say what is served, such as the network and the market."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={"examples": [{"status": "ok", "network": "flare", "market": "live"}]},
    )

    status: Literal["ok"]


class Check(Shape):
    ok: bool
    detail: str


class Readiness(Shape):
    status: Literal["ready", "not ready"]
    checks: dict[str, Check]


def _no_text(value: object) -> object:
    """A number that was sent as a text or a truth value is neither."""
    if isinstance(value, bool | str):
        raise ValueError("Input should be a number")
    return value


class FeedName(BaseModel):
    """A feed as Flare names it. What else a client sends with it is passed over."""

    category: Annotated[int, Field(ge=0, le=255, examples=[1]), BeforeValidator(_no_text)]
    name: Annotated[str, Field(min_length=1, max_length=64, examples=["BTC/USD"])]


class FeedValuesRequest(BaseModel):
    feeds: Annotated[list[FeedName], Field(max_length=1000)]


class FeedValue(Shape):
    """`value` is absent for a feed without a price."""

    feed: FeedName
    value: float | None = None


class FeedValues(Shape):
    data: list[FeedValue]


class RoundFeedValues(Shape):
    votingRoundId: int  # noqa: N815  Flare's own spelling
    data: list[FeedValue]


class Volume(Shape):
    exchange: str
    volume: float


class FeedVolume(Shape):
    feed: FeedName
    volumes: list[Volume]


class FeedVolumes(Shape):
    data: list[FeedVolume]


class BandShares(Shape):
    """Shares of the feeds that had a median; null without any."""

    primary_share: float | None
    secondary_share: float | None
    half_percent_share: float | None


class RoundSteps(Shape):
    """When each step was seen to be done by this provider; null if it was not."""

    frozen: Seconds | None
    committed: Seconds | None
    revealed: Seconds | None
    signed: Seconds | None
    finalized: Seconds | None


class RoundSummary(BandShares):
    """A round of this provider. `random` is a decimal number of up to 78 digits."""

    voting_round_id: int
    state: Literal["frozen", "committed", "revealed", "signed", "finalized"]
    finalized: bool
    steps: RoundSteps
    merkle_root: str | None
    random: str | None
    secure_random: bool | None
    revealed: bool


class FeedResultDocument(Shape):
    """A feed's value on chain and ours, both as whole numbers with `decimals`."""

    feed: str
    value: int
    decimals: int
    turnout_bips: int
    ours: int | None
    primary: bool
    secondary: bool
    half_percent: bool
    rank: int | None
    providers: int
    distance_ppm: float | None


class RoundDocument(RoundSummary):
    feeds: list[FeedResultDocument]


class RoundList(Shape):
    at: Seconds
    rounds: list[RoundSummary]


class FeedShares(BandShares):
    feed: str
    rounds: int


class ScoreDocument(BandShares):
    """Over the newest finished rounds, at most as many as asked for."""

    rounds: int
    revealed: int
    feeds: list[FeedShares]


class ShadowPair(Shape):
    """Values in US dollars; `ppm` is theirs less ours, of ours."""

    ours: float | None
    theirs: float | None
    ppm: float | None
    in_our_band: bool | None
    in_secondary: bool | None


class ShadowFeed(Shape):
    """Shares are of the compared pairs; null without any. `missing_ours` and `missing_theirs` count pairs."""

    feed: str
    compared: int
    missing_ours: int
    missing_theirs: int
    our_band_share: float | None
    secondary_share: float | None
    ppm_mean: float | None
    ppm_abs_mean: float | None
    ppm_abs_max: float | None
    last: ShadowPair


class ShadowEntry(Shape):
    """Our values beside one other provider's. `last_round` is null when present values were compared."""

    endpoint: str
    comparisons: int
    failures: int
    first_at: Seconds | None
    last_at: Seconds | None
    last_round: int | None
    last_failure: str | None
    secondary_share: float | None
    feeds: list[ShadowFeed]


class ShadowDocument(Shape):
    shadows: list[ShadowEntry]


class UsageEntry(Shape):
    account: str
    key: Annotated[str, Field(description="The key's prefix")]
    endpoint: str
    day: date
    requests: int


class UsageList(Shape):
    """Requests that were answered below 500, stored so far; `from` and `to` are included."""

    start: Annotated[date, Field(alias="from")]
    end: Annotated[date, Field(alias="to")]
    requests: int
    usage: list[UsageEntry]


class KeyDocument(Shape):
    """A key without its secret, which nobody keeps."""

    prefix: Annotated[str, Field(examples=["4f7k2m9x0a1b"])]
    account: str
    tier: Literal["free", "developer", "premium", "internal"]
    name: str
    scopes: list[str]
    created_at: Seconds
    expires_at: Seconds | None
    revoked_at: Seconds | None


class NewKeyDocument(KeyDocument):
    """A key just made. `key` is shown this once."""

    key: Annotated[str, Field(pattern="^chr_[0-9a-z]{12}_[0-9A-Za-z]{43}$")]


class KeyList(Shape):
    keys: list[KeyDocument]


_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]


class KeyOrder(BaseModel):
    """A key that is to be made; its account gets the tier if it has another."""

    model_config = ConfigDict(extra="forbid")

    account: Annotated[_Word, Field(examples=["acme"])]
    tier: Literal["free", "developer", "premium", "internal"] = "free"
    name: Annotated[_Word, Field(examples=["server"])] = "key"
    scopes: Annotated[
        list[Literal["prices", "history", "stream", "admin"]], Field(min_length=1, max_length=4)
    ] = ["prices", "history", "stream"]
    expires_in_days: Annotated[int | None, Field(ge=1, le=3_650)] = None


class KeyRotation(BaseModel):
    """For so long the old key counts beside the new one."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: Annotated[int, Field(ge=0, le=90 * 86_400)] = 86_400


class BlockEntry(Shape):
    address: str
    reason: str
    since: Seconds
    until: Seconds


class BlockList(Shape):
    blocks: list[BlockEntry]


class ForgeDocument(Shape):
    """The model: `version` changes with the feed table and with what is learned."""

    at: Seconds
    version: Annotated[str, Field(pattern="^[0-9a-f]{16}$", examples=["3f0c1a5be7d92a44"])]
    began_at: Seconds
    restored_from: Annotated[float | None, Field(description="when the memory it began with was saved")]
    saved_at: float | None
    rounds_learned: int
    newest_round_at: float | None
    feeds: int
    legs: int
    legs_taught: int
    hidden_quotes: Annotated[dict[str, str], Field(description="venues whose dollars are another currency")]
    anomalies_lasting: int


class LearnedLeg(Shape):
    feed: str
    leg: Annotated[str, Field(examples=["kraken:BTC/USD"])]
    venue: str
    reliability: Annotated[float, Field(ge=0, le=1, description="share of time in which it was used")]
    trust: Annotated[float, Field(ge=0, le=1, description="factor on its weight")]
    bias_bps: float
    venue_offset_bps: float
    noise_bps: float
    lag_share: Annotated[float, Field(ge=0, le=1, description="part of the latest move not made yet")]
    hidden_quote: str | None
    taught_s: float


class LearnedLegs(Shape):
    at: Seconds
    legs: list[LearnedLeg]


class AnomalyEntry(Shape):
    """An episode of one leg; `ended_at` is null while it lasts. The rest is of its worst look."""

    feed: str
    leg: str
    venue: str
    began_at: Seconds
    ended_at: float | None
    score: float
    off_bps: float
    reasons: Annotated[list[str], Field(examples=[["stuck"], ["together", "volume"]])]


class AnomalyList(Shape):
    at: Seconds
    anomalies: list[AnomalyEntry]


class FeedSkillEntry(Shape):
    """`error_ppm`: mean distance to the median by choice of prediction, over the latest rounds."""

    feed: str
    rounds: int
    prediction: Literal["none", "weights", "lateness", "both"]
    error_ppm: dict[str, float] | None
    band_stretch: float
    coverage: Annotated[float | None, Field(description="share of medians inside the stated band")]
    coverage_rounds: int


class SkillList(Shape):
    at: Seconds
    coverage_target: float
    coverage: float | None
    coverage_rounds: int
    feeds: list[FeedSkillEntry]
