"""The tiers and what each allows: one table.

Limits count for an account, whatever keys it has, and for an address where there is no key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from chrono.feeds import FEEDS


class Tier(StrEnum):
    """What a caller pays for. `PAGE` is a browser on our own page, `FREE` also everybody without a key."""

    FREE = "free"
    PAGE = "page"
    DEVELOPER = "developer"
    PREMIUM = "premium"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Limits:
    """Requests a second on average and at once, requests a UTC day, open streams, feeds of one stream.

    The day has no quota when `per_day` is None.
    """

    tier: Tier
    per_s: float
    burst: int
    per_day: int | None
    sockets: int
    feeds: int

    @property
    def limited(self) -> bool:
        return self.tier is not Tier.INTERNAL


_ALL: Final = len(FEEDS)
LIMITS: Final[Mapping[Tier, Limits]] = MappingProxyType(
    {
        Tier.FREE: Limits(Tier.FREE, 5, 20, 20_000, 2, 10),
        Tier.PAGE: Limits(Tier.PAGE, 10, 60, 50_000, 6, _ALL),
        Tier.DEVELOPER: Limits(Tier.DEVELOPER, 25, 100, 500_000, 10, _ALL),
        Tier.PREMIUM: Limits(Tier.PREMIUM, 200, 800, 10_000_000, 100, _ALL),
        Tier.INTERNAL: Limits(Tier.INTERNAL, 1e6, 1_000_000, None, 100_000, _ALL),
    }
)
