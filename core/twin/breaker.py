"""When to ask a core that may be away, and when to spare everybody the wait. Pure: time is an argument."""

from __future__ import annotations

from typing import Final

FAILURES_MAX: Final = 2
PAUSE_S_MIN: Final = 2.0
PAUSE_S_MAX: Final = 30.0


class Breaker:
    """After FAILURES_MAX failures in a row it opens: one question a pause is let through, and each pause that
    ends in a failure is twice as long as the one before, up to PAUSE_S_MAX. A success closes it.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = PAUSE_S_MIN
        self._pause_ends_at = 0.0

    @property
    def is_open(self) -> bool:
        return self._failures >= FAILURES_MAX

    def allows(self, at: float) -> bool:
        """Whether to ask now. While open, a yes is the one question of this pause."""
        if not self.is_open:
            return True
        if at < self._pause_ends_at:
            return False
        self._pause_ends_at = at + self._pause_s
        return True

    def succeeded(self) -> None:
        self._failures, self._pause_s = 0, PAUSE_S_MIN

    def failed(self, at: float) -> None:
        if self.is_open:
            self._pause_s = min(PAUSE_S_MAX, self._pause_s * 2)
        self._failures += 1
        if self.is_open:
            self._pause_ends_at = at + self._pause_s
