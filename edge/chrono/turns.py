"""Whose trades are asked for next: the legs of one venue in turn, at a pace, with a back-off of their own.

A venue that fails to answer for trades is still asked for tickers. Knows no request and no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from chrono.backoff import Gate
from chrono.feeds import Leg

UNTRADED_S: Final = 3_600.0
NEVER: Final = float("inf")


class TradeTurns:
    """Round-robin over the legs, one each `interval_s`; None asks for none."""

    def __init__(
        self, legs: tuple[Leg, ...], interval_s: float | None, *, at: float, random: Callable[[], float]
    ) -> None:
        self.gate = Gate(at, random)
        self._legs, self._interval_s = legs, interval_s
        self._due_at = NEVER if interval_s is None else at
        self._turn = 0
        self._disowned: dict[Leg, float] = {}

    def ready_at(self) -> float:
        """When the next turn may be taken; infinity while a probe is out."""
        if self.gate.is_open:
            return self._due_at
        return NEVER if self.gate.retry_at is None else max(self._due_at, self.gate.retry_at)

    def take(self, at: float, is_listed: Callable[[Leg], bool]) -> Leg | None:
        """The leg whose turn it is; None if no leg is listed. Call it only when it is ready."""
        self._due_at = at + (self._interval_s or 0.0)
        for _ in self._legs:
            leg = self._legs[self._turn]
            self._turn = (self._turn + 1) % len(self._legs)
            if is_listed(leg) and at >= self._disowned.get(leg, 0.0):
                if self.gate.wants_probe(at):
                    self.gate.begin_probe(at)
                return leg
        return None

    def disowned(self, leg: Leg, at: float) -> float:
        """The venue has no trades of this leg: it loses its turn until the returned instant."""
        self._disowned[leg] = at + UNTRADED_S
        return self._disowned[leg]
