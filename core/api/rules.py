"""Which routes the gateway guards: how each is billed, which scope opens it, what it costs.

What is not here is not limited: `/ingest` (collectors sign what they send), `/health`, `/ready`, `/metrics`,
the documents and the page's files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

ROWS_A_TOKEN: Final = 1_000
"""Rows of history that one token pays, beside the one that every request costs."""

_LIMIT: Final = re.compile(rb"(?:^|&)limit=([0-9]{1,5})(?:&|$)")
_ROWS_DEFAULT: Final = 1_500


@dataclass(frozen=True, slots=True)
class Rule:
    """How a route is guarded. A `stream` holds one of its caller's open streams while it lasts."""

    endpoint: str
    scope: str | None
    stream: bool = False
    by_rows: bool = False

    def cost(self, query: bytes) -> int:
        """Tokens that a request takes."""
        if not self.by_rows:
            return 1
        found = _LIMIT.search(query)
        return 1 + (int(found[1]) if found else _ROWS_DEFAULT) // ROWS_A_TOKEN


RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        "/v1/prices": Rule("prices", "prices"),
        "/v1/prices/sources": Rule("sources", "prices"),
        "/v1/prices/history": Rule("history", "history", by_rows=True),
        "/v1/stream": Rule("stream", "stream", stream=True),
        "/v1/stream/sse": Rule("stream", "stream", stream=True),
        "/v1/usage": Rule("usage", None),
    }
)
PREFIXES: Final = (
    ("/v1/rounds", Rule("rounds", "prices")),
    ("/v1/", Rule("other", "prices")),
    ("/admin/", Rule("admin", "admin")),
    ("/feed-values", Rule("feed-values", "prices")),
    ("/volumes", Rule("volumes", "prices")),
)


def rule_of(path: str) -> Rule | None:
    """The rule of a path, or None where nothing is guarded."""
    rule = RULES.get(path)
    if rule is not None:
        return rule
    return next((rule for prefix, rule in PREFIXES if path.startswith(prefix)), None)
