"""What a collector has to tell its operator: values for the log, decided where things happen.

Knows nothing of logging; the loop that drives a collector drains and writes them.
"""

from __future__ import annotations

from dataclasses import dataclass

from chrono.ticks import Refusal
from chrono.venue_state import VenueState


@dataclass(frozen=True, slots=True)
class VenueChanged:
    """A venue entered a state; `retry_at` is when it will be asked again, None for no wait."""

    venue: str
    state: VenueState
    code: int
    retry_at: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class TradesFailed:
    """A venue answers for tickers but not for trades; trades wait until `retry_at`."""

    venue: str
    symbol: str
    code: int
    retry_at: float | None
    detail: str


@dataclass(frozen=True, slots=True)
class RowRefused:
    """A row was refused at the rim."""

    venue: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class SymbolLost:
    """A venue does not know a symbol that it is read for: renamed or delisted, or never listed."""

    venue: str
    symbol: str


@dataclass(frozen=True, slots=True)
class SymbolFound:
    """A lost symbol is answered for again."""

    venue: str
    symbol: str


Notice = VenueChanged | TradesFailed | RowRefused | SymbolLost | SymbolFound
