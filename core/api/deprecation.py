"""What of the API will go: one table, from which come the headers, the marks in the document and the counts.

A line in DEPRECATED is all that deprecating takes. It stays until the route or the parameter is gone, for
DAYS_MIN at least. Knows RFC 9745 (`Deprecation`) and RFC 8594 (`Sunset`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog

from core.api.metrics import ApiMetrics
from core.api.rules import PARAMETERS_MAX

DAYS_MIN: Final = 180
TOLD_MAX: Final = 1_000
"""Users of what is deprecated that are logged, each once; all are counted."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Deprecated:
    """A route as the document names it, or with `parameter` one query parameter of it.

    It goes on until `sunset`. `successor` is the address of what to ask instead.
    """

    method: str
    path: str
    since: date
    sunset: date
    successor: str | None = None
    parameter: str | None = None

    def __post_init__(self) -> None:
        if (self.sunset - self.since).days < DAYS_MIN:
            raise ValueError(f"{self.name} must go on for {DAYS_MIN} days")

    @property
    def name(self) -> str:
        """How it is told in log and metrics."""
        asked = f"?{self.parameter}" if self.parameter else ""
        return f"{self.method} {self.path}{asked}"


DEPRECATED: Final[Sequence[Deprecated]] = ()


class Notices:
    """Tells those who use what is deprecated, and counts and logs them for the operator."""

    def __init__(self, metrics: ApiMetrics, table: Sequence[Deprecated] = DEPRECATED) -> None:
        self._metrics = metrics
        self._by_route: dict[tuple[str, str], list[Deprecated]] = defaultdict(list)
        self._told: set[tuple[str, str]] = set()
        for each in table:
            self._by_route[each.method, each.path].append(each)

    def headers(self, scope: Mapping[str, Any], user: str) -> list[tuple[bytes, bytes]]:
        """What an answer has to say; `scope` has been routed. `user` is the key's prefix, or empty."""
        if not self._by_route:
            return []
        route = getattr(scope.get("route"), "path", "")
        used = _used(self._by_route.get((scope["method"], route), ()), scope["query_string"])
        for each in used:
            self._metrics.deprecated.labels(each.name).inc()
            if (each.name, user) not in self._told and len(self._told) < TOLD_MAX:
                self._told.add((each.name, user))
                log.info("deprecated_used", what=each.name, key=user, sunset=each.sunset.isoformat())
        return headers_of(used)


def headers_of(used: Sequence[Deprecated]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer; where several are used, those of the first to go."""
    if not used:
        return []
    since, sunset = _midnight(min(each.since for each in used)), _midnight(min(each.sunset for each in used))
    links = [f'<{each.successor}>; rel="successor-version"' for each in used if each.successor]
    told = [
        (b"deprecation", f"@{int(since.timestamp())}".encode()),
        (b"sunset", format_datetime(sunset, usegmt=True).encode()),
    ]
    return [*told, (b"link", ", ".join(links).encode())] if links else told


def mark(paths: Mapping[str, Any], table: Sequence[Deprecated]) -> None:
    """Mark the table's lines in an OpenAPI document's paths. Raises KeyError for a line that is not there."""
    for each in table:
        operation = paths[each.path][each.method.lower()]
        if each.parameter is not None:
            named = {(told["in"], told["name"]): told for told in operation["parameters"]}
            operation = named["query", each.parameter]
        operation["deprecated"] = True
        operation["x-sunset"] = each.sunset.isoformat()
        if each.successor is not None:
            operation["x-successor"] = each.successor


def _used(lines: Sequence[Deprecated], query: bytes) -> list[Deprecated]:
    if not lines or query.count(b"&") >= PARAMETERS_MAX:
        return [each for each in lines if each.parameter is None]
    asked = {name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    return [each for each in lines if each.parameter is None or each.parameter in asked]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
