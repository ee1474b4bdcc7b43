"""The shapes of what operators and collectors are told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.api.schemas.common import Seconds, Shape


class Acknowledgement(Shape):
    """What was committed for a batch: byte for byte the same when it is delivered again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"sequence": 17, "accepted": 498, "refused": {"malformed": 2}}]},
    )

    sequence: int
    accepted: int
    refused: dict[str, int]


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
