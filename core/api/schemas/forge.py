"""The shapes of what the estimator has learned."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from core.api.schemas.common import Seconds, Shape


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
