"""Faults: what may go wrong at a venue, how it is written, and which faults are on at an instant.

Knows words, bounds and times. Does not do any of it: `page` bends the market, `server` the answers.
A fault is written `venue:kind[=value][,option=value...]`:

    kraken:dead                              closes connections without an answer (=silent: never answers)
    binance:banned=418,retry_after=120       refuses with 418, 429, 451 or 403, with or without Retry-After
    okx:rate_limited                         refuses in the venue's own words for too many requests
    bybit:slow=3                             answers after 3 s
    coinbase:server_error=502                answers 5xx
    kraken:malformed                         truncated JSON (=html: a web page; =types: wrong types in rows)
    bybit:huge                               an answer of 5 MB (=bytes)
    okx:stuck                                the same prices and times for ever
    okx:off_by=1.05                          every price times 1.05
    kraken:one_sided=bid                     no bids (=ask: no asks)
    kraken:crossed                           bids above asks
    bybit:future=3600                        the venue's clock is an hour ahead
    bybit:delisted=BTCUSDT                   a symbol is gone (several: BTCUSDT+ETHUSDT)

Options: `after=SECONDS` before it begins, `for=SECONDS` it lasts (until removed otherwise), and, where the
fault is about a market, `symbol=BTCUSDT+...` in the venue's spelling or as BTC/USDT.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chrono.errors import ChronoError
from chrono.feeds import VENUES, Leg
from core.simulator.venues import leg_named

FAULTS_MAX: Final = 100
SYMBOLS_MAX: Final = 100


class FaultError(ChronoError):
    """A fault is not one that the simulator knows; the text says which word is wrong."""


class FaultKind(StrEnum):
    """What can go wrong."""

    SLOW = "slow"
    DEAD = "dead"
    BANNED = "banned"
    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    HUGE = "huge"
    STUCK = "stuck"
    OFF_BY = "off_by"
    ONE_SIDED = "one_sided"
    CROSSED = "crossed"
    FUTURE = "future"
    DELISTED = "delisted"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, valid. `amount` is seconds, a status, a factor or bytes; `variant` a word.

    `legs` are those it is about, empty for all of the venue.
    """

    venue: str
    kind: FaultKind
    amount: float = 0.0
    variant: str = ""
    retry_after_s: int | None = None
    legs: frozenset[Leg] = frozenset()
    after_s: float = 0.0
    for_s: float | None = None

    def touches(self, leg: Leg) -> bool:
        return not self.legs or leg in self.legs


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault with its time. `end` is None where only a removal ends it."""

    id: int
    fault: Fault
    start: float
    end: float | None

    def on(self, at: float) -> bool:
        return self.start <= at and (self.end is None or at < self.end)


class FaultBoard:
    """The faults that were injected, at most FAULTS_MAX; those that ended make room."""

    def __init__(self) -> None:
        self._injected: dict[int, Injected] = {}
        self._next_id = 1

    def add(self, fault: Fault, at: float) -> Injected:
        """Inject a fault now; its own `after_s` counts from `at`. Raises FaultError when full."""
        self._injected = {n: i for n, i in self._injected.items() if i.end is None or at < i.end}
        if len(self._injected) >= FAULTS_MAX:
            raise FaultError(f"{FAULTS_MAX} faults are the limit; remove some first")
        start = at + fault.after_s
        end = None if fault.for_s is None else start + fault.for_s
        injected = Injected(self._next_id, fault, start, end)
        self._injected[injected.id] = injected
        self._next_id += 1
        return injected

    def remove(self, fault_id: int) -> bool:
        """End a fault; false if there is none of that id."""
        return self._injected.pop(fault_id, None) is not None

    def clear(self, venue: str | None = None) -> int:
        """End all faults, or all of one venue; returns how many."""
        kept = {n: i for n, i in self._injected.items() if venue is not None and i.fault.venue != venue}
        ended = len(self._injected) - len(kept)
        self._injected = kept
        return ended

    def injected(self) -> tuple[Injected, ...]:
        """All faults, also those still to come, in the order they were added."""
        return tuple(self._injected.values())

    def active(self, venue: str, at: float) -> tuple[Injected, ...]:
        """The faults that are on at a venue, in the order they were added."""
        return tuple(i for i in self._injected.values() if i.fault.venue == venue and i.on(at))


def parse_fault(text: str) -> Fault:
    """The fault that a text of the form above describes. Raises FaultError naming the wrong word."""
    venue, colon, rest = text.strip().partition(":")
    if not colon:
        raise FaultError(f"a fault is written venue:kind[=value][,option=value], not {text[:80]!r}")
    head, *options = rest.split(",")
    kind, _, value = head.partition("=")
    fields: dict[str, str] = {}
    for option in options:
        name, equals, option_value = option.partition("=")
        if not equals or name in fields:
            raise FaultError(f"not an option, or given twice: {option[:40]!r} in {text[:80]!r}")
        fields[name] = option_value
    return _fault(venue, kind, value, fields)


def fault_of_json(document: object) -> Fault:
    """The fault in a document with `venue` and `fault`, and as they are needed `value`, `retry_after`,
    `symbol` (text or a list), `after` and `for`. Raises FaultError.
    """
    if not isinstance(document, dict) or not {"venue", "fault"} <= document.keys():
        raise FaultError('a fault is an object with at least "venue" and "fault"')
    texts = {str(name): _text_of(value) for name, value in document.items()}
    venue, kind, value = texts.pop("venue"), texts.pop("fault"), texts.pop("value", "")
    return _fault(venue, kind, value, texts)


def describe(injected: Injected) -> dict[str, object]:
    """An injected fault as a document, for listing."""
    fault = injected.fault
    return {
        "id": injected.id,
        "venue": fault.venue,
        "fault": fault.kind.value,
        "value": fault.variant or fault.amount or None,
        "retry_after": fault.retry_after_s,
        "symbols": sorted(map(str, fault.legs)),
        "start": injected.start,
        "end": injected.end,
    }


_VARIANTS: Final[Mapping[FaultKind, tuple[str, ...]]] = {
    # the first is what is meant without a value
    FaultKind.DEAD: ("closed", "silent"),
    FaultKind.MALFORMED: ("truncated", "types", "html"),
    FaultKind.ONE_SIDED: ("ask", "bid"),
}
_AMOUNTS: Final[Mapping[FaultKind, tuple[float | None, float, float]]] = {
    # default (None: a value is needed), least, most
    FaultKind.SLOW: (5.0, 0.0, 600.0),
    FaultKind.OFF_BY: (None, 0.01, 100.0),
    FaultKind.FUTURE: (3600.0, -1e8, 1e8),
    FaultKind.HUGE: (5_000_000.0, 1.0, 50_000_000.0),
    FaultKind.SERVER_ERROR: (503.0, 500.0, 599.0),
    FaultKind.BANNED: (None, 403.0, 451.0),
}
_STATUSES: Final = (403, 418, 429, 451)
_ABOUT_MARKETS: Final = frozenset(
    {
        FaultKind.STUCK,
        FaultKind.OFF_BY,
        FaultKind.ONE_SIDED,
        FaultKind.CROSSED,
        FaultKind.FUTURE,
        FaultKind.DELISTED,
    }
)
_DURATION_MAX_S: Final = 1e9


def _fault(venue: str, kind_text: str, value: str, options: dict[str, str]) -> Fault:
    if venue not in VENUES:
        raise FaultError(f"no such venue: {venue[:40]!r}; there are {', '.join(sorted(VENUES))}")
    try:
        kind = FaultKind(kind_text)
    except ValueError:
        raise FaultError(f"no such fault: {kind_text[:40]!r}; there are {', '.join(FaultKind)}") from None
    variant, amount, symbols = "", 0.0, options.pop("symbol", "")
    if kind in _VARIANTS:
        variant = _variant(kind, value)
    elif kind in _AMOUNTS:
        amount = _amount(kind, value)
    elif kind is FaultKind.DELISTED:
        symbols = "+".join(filter(None, (value, symbols)))
        if not symbols:
            raise FaultError("delisted needs a symbol: bybit:delisted=BTCUSDT")
    elif value:
        raise FaultError(f"{kind} takes no value, got {value[:40]!r}")
    if symbols and kind not in _ABOUT_MARKETS and variant != "types":
        raise FaultError(f"{kind} is about a whole venue and takes no symbol")
    fault = Fault(
        venue,
        kind,
        amount,
        variant,
        _retry_after(kind, options.pop("retry_after", "")),
        _legs(venue, symbols),
        _number("after", options.pop("after", "0"), 0, _DURATION_MAX_S),
        _number("for", options.pop("for"), 0, _DURATION_MAX_S) if "for" in options else None,
    )
    if options:
        raise FaultError(
            f"no such option: {next(iter(options))[:40]!r}; there are after, for, retry_after, symbol"
        )
    return fault


def _variant(kind: FaultKind, value: str) -> str:
    known = _VARIANTS[kind]
    if value and value not in known:
        raise FaultError(f"{kind} is one of {', '.join(known)}, not {value[:40]!r}")
    return value or known[0]


def _amount(kind: FaultKind, value: str) -> float:
    default, least, most = _AMOUNTS[kind]
    if not value and default is None:
        raise FaultError(f"{kind} needs a value: {kind}={'418' if kind is FaultKind.BANNED else '1.05'}")
    amount = _number(kind, value, least, most) if value else default or 0.0
    if kind is FaultKind.BANNED and amount not in _STATUSES:
        raise FaultError(f"banned is one of {', '.join(map(str, _STATUSES))}, not {value[:40]!r}")
    return amount


def _retry_after(kind: FaultKind, text: str) -> int | None:
    if not text:
        return None
    if kind not in {FaultKind.BANNED, FaultKind.RATE_LIMITED, FaultKind.SERVER_ERROR}:
        raise FaultError(f"{kind} takes no retry_after")
    return int(_number("retry_after", text, 0, _DURATION_MAX_S))


def _number(name: str, text: str, least: float, most: float) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise FaultError(f"{name} is a number from {least:g} to {most:g}, not {text[:40]!r}")
    return number


def _legs(venue: str, symbols: str) -> frozenset[Leg]:
    legs = set()
    for symbol in filter(None, symbols.split("+")):
        leg = leg_named(venue, symbol)
        if leg is None:
            raise FaultError(f"{venue} has no symbol {symbol[:40]!r} here")
        legs.add(leg)
    if len(legs) > SYMBOLS_MAX:
        raise FaultError(f"{len(legs)} symbols are over the limit of {SYMBOLS_MAX}")
    return frozenset(legs)


def _text_of(value: object) -> str:
    if isinstance(value, list):
        return "+".join(map(_text_of, value))
    return "" if value is None else str(value)
