"""How a venue treats its collector: the states, and the report that travels with every batch.

Knows names and counts. Does not decide when a state changes (`chrono.collector` does).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from chrono.ticks import Reason


class VenueState(IntEnum):
    """What the last answers of a venue mean. The numbers are part of the batch format."""

    STARTING = 0
    HEALTHY = 1
    RATE_LIMITED = 2  # 429, or the venue's own code for it: slow down
    BANNED = 3  # 418: stop until told otherwise
    FORBIDDEN = 4  # 403: a firewall, or "access too frequent"
    GEO_BLOCKED = 5  # 451: this country may not ask
    FAILING = 6  # timeouts, 5xx, answers that cannot be read
    PROBING = 7  # half open: one request is out to see whether the venue answers again


@dataclass(frozen=True, slots=True)
class VenueReport:
    """One venue's state and its counters since the collector's start. Times are Unix seconds.

    `code` is the HTTP status or venue error code (0 if neither) that led to the state; `retry_at` is when
    the next request may go out, None when nothing waits.
    """

    venue: str
    state: VenueState
    since: float
    retry_at: float | None = None
    code: int = 0
    requests: int = 0
    failures: int = 0
    refused: dict[Reason, int] = field(default_factory=dict)

    def told(self) -> dict[str, object]:
        """The members that every JSON object about a venue begins with; refusals are left to its writer."""
        return {
            "venue": self.venue,
            "state": self.state.name.lower(),
            "code": self.code,
            "since": self.since,
            "retry_at": self.retry_at,
            "requests": self.requests,
            "failures": self.failures,
        }
