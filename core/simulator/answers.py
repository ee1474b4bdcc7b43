"""What a venue module gets and gives: a request, a row of its market, an answer; and how numbers are written.

Knows no venue and no fault. Everything here is plain data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chrono.feeds import Leg
from core.simulator.source import Print

JSON = "application/json; charset=utf-8"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Ask:
    """A request below a venue's base URL. `params` keeps repeated names."""

    path: str
    params: Mapping[str, Sequence[str]]

    def one(self, name: str, default: str = "") -> str:
        """The last value of a parameter."""
        values = self.params.get(name)
        return values[-1] if values else default

    def count(self, name: str, default: int, most: int) -> int:
        """A parameter that limits, within 1 and `most`; what is no number is the default."""
        return min(max(self.whole(name, default), 1), most)

    def whole(self, name: str, default: int) -> int:
        """A whole number of at most 18 digits; any other text is the default."""
        text = self.one(name)
        return int(text) if len(text) <= 18 and text.isascii() and text.isdigit() else default


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back over HTTP."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One market of a venue as its answers show it; a side of the book that is empty is None."""

    index: int
    leg: Leg
    name: str
    decimals: int
    size_decimals: int
    bid: float | None
    ask: float | None
    bid_size: float
    ask_size: float
    last: float
    last_size: float
    open_24h: float
    high_24h: float
    low_24h: float
    volume_24h: float
    event_at: float
    trade_id: int
    trades_24h: int

    @property
    def average_24h(self) -> float:
        return (self.open_24h + self.high_24h + self.low_24h + self.last) / 4

    @property
    def notional_24h(self) -> float:
        return self.volume_24h * self.average_24h


class Page(Protocol):
    """A venue at one instant. Rows and their texts are kept until the market moves."""

    @property
    def rows(self) -> Mapping[str, Row]:
        """By name, in the venue's order."""
        ...

    def row(self, name: str) -> Row | None:
        """The row of any name that the venue accepts for it, None where the venue has no such market."""
        ...

    def text(self, kind: str, row: Row, make: Callable[[Row], object]) -> bytes:
        """The JSON of a row; `make` is called once a row and kind."""
        ...

    def all_texts(self, kind: str, make: Callable[[Row], object]) -> bytes:
        """The JSON of all rows, with commas between."""
        ...

    def prints(self, row: Row, limit: int) -> Sequence[Print]:
        """The last trades of a market, oldest first."""
        ...

    def json(self, row: Row, made: object) -> bytes:
        """The JSON of something about a market that is not kept, such as a trade."""
        ...


def fixed(value: float, decimals: int) -> str:
    """With exactly so many decimals: 4.00000000."""
    return f"{value:.{decimals}f}"


def trimmed(value: float, decimals: int) -> str:
    """Without zeros at the end: 0.00064."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def milliseconds(at: float) -> int:
    """Unix seconds as whole milliseconds."""
    return round(at * 1000)


def web_page(status: int, title: str) -> Answer:
    """What a firewall or a load balancer in front of a venue answers."""
    body = f"<html>\n<head><title>{title}</title></head>\n<body><h1>{title}</h1></body>\n</html>\n"
    return Answer(status, body.encode(), HTML)
