"""Which routes the gateway guards: how each is billed, which scope opens it, what it costs.

What is not here is not limited: `/ingest` (collectors sign what they send), `/health`, `/ready`, `/metrics`,
the documents and the page's files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl

from core.api.bodies import BODY_BYTES_MAX

ROWS_A_TOKEN: Final = 500
"""Rows of history that one token pays, beside the one that every request costs. 5,000 take 30 ms to tell."""

SIGNATURES_A_TOKEN: Final = 5
"""Signatures of single feeds that one token pays likewise."""

BYTES_A_TOKEN: Final = 8_192
"""Bytes of a body that one token pays likewise: 64 kB that are no request take up to 6 ms to refuse."""

QUERY_BYTES_MAX: Final = 4_096
"""A longer query is not read, and costs as much as any: the longest that means something is half of it."""

PARAMETERS_MAX: Final = 16
"""So it is with more parameters. Reading 16,000 of them, which a head has room for, would take 17 ms."""

_ROWS_DEFAULT: Final = 1_500
_ROWS_MAX: Final = 5_000
_FEEDS_MAX: Final = 63
_NO_HEADERS: Final[Mapping[bytes, bytes]] = MappingProxyType({})
_NO: Final = frozenset({"0", "f", "false", "n", "no", "off"})


class By(StrEnum):
    """What a request costs more for."""

    ROWS = "rows"
    SIGNATURES = "signatures"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Rule:
    """How a route is guarded. A `stream` holds one of its caller's open streams while it lasts."""

    endpoint: str
    scope: str | None
    stream: bool = False
    by: By | None = None

    def cost(self, query: bytes, headers: Mapping[bytes, bytes] = _NO_HEADERS) -> int:
        """Tokens that a request takes. What cannot be read is refused later, and costs as much as any."""
        if self.by is None:
            return 1
        if self.by is By.BYTES:
            return 1 + _body_bytes(headers) // BYTES_A_TOKEN
        asked = _read(query)
        if self.by is By.ROWS:
            return 1 + _rows(asked) // ROWS_A_TOKEN
        return 1 + _signatures(asked) // SIGNATURES_A_TOKEN


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "/v1/prices": Rule("prices", "prices", by=By.SIGNATURES),
        "/v1/prices/sources": Rule("sources", "prices"),
        "/v1/prices/history": Rule("history", "history", by=By.ROWS),
        "/v1/stream": Rule("stream", "stream", stream=True),
        "/v1/stream/sse": Rule("stream", "stream", stream=True),
        "/v1/usage": Rule("usage", None),
    }
)
PREFIXES: Final = (
    ("/v1/rounds", Rule("rounds", "prices")),
    ("/v1/", Rule("other", "prices")),
    ("/admin/", Rule("admin", "admin", by=By.BYTES)),
    ("/feed-values", Rule("feed-values", "prices", by=By.BYTES)),
    ("/volumes", Rule("volumes", "prices", by=By.BYTES)),
)


def rule_of(path: str) -> Rule | None:
    """The rule of a path, or None where nothing is guarded."""
    rule = RULES.get(path)
    if rule is not None:
        return rule
    return next((rule for prefix, rule in PREFIXES if path.startswith(prefix)), None)


def _read(query: bytes) -> Mapping[str, str] | None:
    """The parameters as the routes read them, however they are spelled; None of what is too long."""
    if len(query) > QUERY_BYTES_MAX or query.count(b"&") >= PARAMETERS_MAX:
        return None
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))


def _rows(asked: Mapping[str, str] | None) -> int:
    limit = "?" if asked is None else asked.get("limit", str(_ROWS_DEFAULT))
    return min(_ROWS_MAX, int(limit[:5])) if limit.isascii() and limit.isdigit() else _ROWS_MAX


def _body_bytes(headers: Mapping[bytes, bytes]) -> int:
    """What is announced; a body whose length is not told may be as long as any."""
    announced = headers.get(b"content-length")
    if announced is None:
        return BODY_BYTES_MAX if b"transfer-encoding" in headers else 0
    return min(BODY_BYTES_MAX, int(announced[:9])) if announced.isdigit() else BODY_BYTES_MAX


def _signatures(asked: Mapping[str, str] | None) -> int:
    """One for each feed that is asked for by name; one over all without names."""
    if asked is None:
        return _FEEDS_MAX
    if asked.get("signed", "no").lower() in _NO:
        return 0
    return min(_FEEDS_MAX, asked["feeds"].count(",") + 1) if "feeds" in asked else 1
