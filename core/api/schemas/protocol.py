"""The shapes of Flare's value provider, of voting rounds and of comparisons with others."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from core.api.schemas.common import Seconds, Shape


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
