"""Answers of the API as values. Pure: prices are Decimal, times Unix seconds; strange members are ignored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from chrono.client.errors import Unreachable


@dataclass(frozen=True, slots=True)
class Price:
    """What a feed is worth in US dollars. `price` is None and `state` "none" where nothing is known.

    Rely on it while `state` is "live"; a stale price is the last one, and `why` says what is wrong.
    """

    feed: str
    price: Decimal | None
    band_low: Decimal | None
    band_high: Decimal | None
    venues_used: int
    age_s: float | None
    state: str
    why: str | None
    at: float
    sequence: int


@dataclass(frozen=True, slots=True)
class Candle:
    """One interval of a feed's past."""

    start: float
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: float


@dataclass(frozen=True, slots=True)
class Update:
    """Prices of one pass. `skipped` passes before it were not told, because we or the server were slow."""

    sequence: int
    at: float
    prices: Mapping[str, Price]
    skipped: int = 0
    snapshot: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """What was between `since` and the next update cannot be had any more."""

    since: int
    sequence: int
    why: str


def read_price(told: Any) -> Price:
    """A price object; raises Unreachable if it is none."""
    try:
        return Price(
            str(told["feed"]),
            _decimal(told["price"]),
            _decimal(told["band_low"]),
            _decimal(told["band_high"]),
            int(told["venues_used"]),
            None if told["age_s"] is None else float(told["age_s"]),
            str(told["state"]),
            told["why"],
            float(told["at"]),
            int(told["sequence"]),
        )
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise Unreachable(f"the answer is no price: {error!r}") from None


def read_prices(told: Any) -> dict[str, Price]:
    """The prices of an answer or a message, by feed; raises Unreachable."""
    try:
        prices = [read_price(each) for each in told["prices"]]
    except (KeyError, TypeError) as error:
        raise Unreachable(f"the answer has no prices: {error!r}") from None
    return {price.feed: price for price in prices}


def read_candles(told: Any) -> list[Candle]:
    """The candles of an answer; raises Unreachable."""
    try:
        return [
            Candle(
                float(each["start"]),
                Decimal(each["open"]),
                Decimal(each["high"]),
                Decimal(each["low"]),
                Decimal(each["close"]),
                float(each["volume"]),
            )
            for each in told["candles"]
        ]
    except (KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise Unreachable(f"the answer has no candles: {error!r}") from None


def read_event(message: Any) -> Update | Gap | None:
    """What a message of the stream means to its listener; None for what is only between us and the server."""
    try:
        kind = message["type"]
        if kind == "gap":
            return Gap(int(message["since"]), int(message["sequence"]), str(message["why"]))
        if kind not in ("snapshot", "update"):
            return None
        skipped = int(message.get("conflated", 0)) + int(message.get("lost", 0))
        sequence, at = int(message["sequence"]), float(message["at"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreachable(f"the message cannot be read: {error!r}") from None
    return Update(sequence, at, read_prices(message), skipped, kind == "snapshot")


def _decimal(text: Any) -> Decimal | None:
    return None if text is None else Decimal(text)
