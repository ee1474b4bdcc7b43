"""What a venue adapter is, and the values that go in and out of it.

Knows requests and outcomes. Does not know any venue (one module each beside this one), when a request is due
(`chrono.polling`) nor how it travels (`chrono.fetch`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from chrono.feeds import Leg
from chrono.http import Answer
from chrono.listing import together
from chrono.ticks import Quote, Refusal, Trade
from chrono.venue_state import VenueState


class RequestKind(StrEnum):
    """What a request asks for."""

    TICKERS = "tickers"
    TRADES = "trades"


@dataclass(frozen=True, slots=True)
class Request:
    """One GET to a venue's public REST interface, for the legs in `legs`.

    `symbols` are the venue's names of these legs, in the same order. `weight` is what the venue counts
    against its limit. `serial` tells one sending from another; the collector gives it.
    """

    venue: str
    kind: RequestKind
    path: str
    params: tuple[tuple[str, str], ...]
    legs: tuple[Leg, ...]
    symbols: tuple[str, ...]
    weight: int = 1
    serial: int = 0

    def wanted(self) -> dict[str, Leg]:
        return dict(zip(self.symbols, self.legs, strict=True))


@dataclass(frozen=True, slots=True)
class ToldTrade:
    """A trade with the id that its venue gives it."""

    trade_id: str
    trade: Trade


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a readable answer held: good rows, refused rows, and symbols that it should have held."""

    quotes: tuple[Quote, ...] = ()
    trades: tuple[ToldTrade, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The venue did not answer the question. `code` is the HTTP status or the venue's own, 0 if neither."""

    state: VenueState
    code: int = 0
    retry_after_s: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SymbolRefused:
    """The venue knows one of the symbols no more, does not say which, and answers for none of them."""

    code: int
    detail: str


Outcome = Parsed | Refused | SymbolRefused


@dataclass(frozen=True, slots=True)
class WeightLimit:
    """What we allow ourselves at a venue: `weight` in any `window_s`, with a margin under its own limit."""

    weight: int
    window_s: float


@dataclass(frozen=True, slots=True)
class VenueAdapter:
    """All that Chrono knows of one venue, as functions without memory.

    `parse` never raises on what an answer holds. `trades` is None where asking for them costs too much.
    `whole` asks for all that the venue has, so that no unknown symbol can fail it; None where halving a
    refused request finds the unknown symbol soon enough. Legs of different `part`s cannot be asked for in one
    request.
    """

    venue: str
    base_url: str
    limit: WeightLimit
    symbol: Callable[[Leg], str]
    leg: Callable[[str], Leg | None]
    tickers: Callable[[Sequence[Leg]], Request]
    trades: Callable[[Leg], Request] | None
    parse: Callable[[Request, Answer], Outcome]
    whole: Callable[[Sequence[Leg]], Request] | None = None
    part: Callable[[Leg], str] = together
