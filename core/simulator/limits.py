"""Venues' limits on requests: how much may be asked in a window, and what asking on costs.

Knows counts and times. Does not know the words of a refusal (the venue modules do).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` in each window of `window_s`.

    Who is refused more than `patience` times in a window is banned for `ban_s` (0: never).
    """

    most: int
    window_s: float
    ban_s: float = 0.0
    patience: int = 0


class Admission(Enum):
    """What a gate says to a request."""

    ADMITTED = "admitted"
    LIMITED = "limited"
    BANNED = "banned"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A gate's answer: `used` of the window so far, and how long to wait when not admitted."""

    admission: Admission
    used: int
    retry_after_s: float = 0.0


class Gate:
    """Counts the requests of one address against one limit."""

    def __init__(self, limit: Limit) -> None:
        self._limit = limit
        self._window = 0
        self._used = 0
        self._refused = 0
        self._banned_until = 0.0

    def admit(self, cost: int, at: float) -> Verdict:
        """Count a request of a cost; time may not run backwards by more than a window."""
        limit = self._limit
        window = int(at // limit.window_s)
        if window != self._window:
            self._window, self._used, self._refused = window, 0, 0
        if at < self._banned_until:
            return Verdict(Admission.BANNED, self._used, self._banned_until - at)
        if self._used + cost <= limit.most:
            self._used += cost
            return Verdict(Admission.ADMITTED, self._used)
        self._refused += 1
        if limit.ban_s and self._refused > limit.patience:
            self._banned_until = at + limit.ban_s
            return Verdict(Admission.BANNED, self._used, limit.ban_s)
        return Verdict(Admission.LIMITED, self._used, (window + 1) * limit.window_s - at)
