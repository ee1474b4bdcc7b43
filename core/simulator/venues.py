"""The venues' modules by name, and the legs that their names stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from chrono.feeds import LEGS, Leg
from core.simulator import binance, bybit, coinbase, dexscreener, gecko, kraken, okx
from core.simulator.answers import Answer, Ask, Page
from core.simulator.limits import Limit, Verdict


class VenueFormat(Protocol):
    """What a venue's module offers. Its functions are pure."""

    @property
    def LIMITS(self) -> Mapping[str, Limit]:  # noqa: N802
        """The venue's limits by name."""
        ...

    def names(self, leg: Leg, /) -> tuple[str, ...]:
        """How the venue writes a leg: as answers have it, then other names that requests may use."""
        ...

    def charge(self, ask: Ask, /) -> tuple[str, int]:
        """Against which limit a request counts, and how much."""
        ...

    def answer(self, ask: Ask, page: Page, at: float) -> Answer:
        """The answer within limits; `at` is the venue's own time."""
        ...

    def admitted_headers(self, verdict: Verdict, /) -> tuple[tuple[str, str], ...]:
        """What every answer's headers tell of the limits."""
        ...

    def refuse(self, status: int, at: float, retry_after_s: int | None) -> Answer:
        """A refusal with an HTTP status of 403, 418, 429 or 451."""
        ...

    def too_many(self, banned: bool, at: float, retry_after_s: int) -> Answer:
        """The venue's own refusal of too many requests."""
        ...


VENUE_FORMATS: Final[Mapping[str, VenueFormat]] = {
    "binance": binance,
    "bybit": bybit,
    "coinbase": coinbase,
    "kraken": kraken,
    "okx": okx,
    "gecko": gecko,
    "dexscreener": dexscreener,
}

_LEG_BY_NAME: Final = {
    (leg.venue, name): leg
    for leg in LEGS
    for name in (*VENUE_FORMATS[leg.venue].names(leg), f"{leg.base}/{leg.quote}")
}


def leg_named(venue: str, name: str) -> Leg | None:
    """The leg that a venue's name, or BASE/QUOTE, stands for; None for a name it does not have."""
    return _LEG_BY_NAME.get((venue, name))
