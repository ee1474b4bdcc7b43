"""Limits of this process alone. Knows who took how much; forgets who has been idle when it is full."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from core.gateway.bucket import State, Verdict, take
from core.gateway.tiers import Limits

CALLERS_MAX: Final = 100_000


class Limiter(Protocol):
    """Gives tokens out."""

    async def take(self, who: str, limits: Limits, cost: int) -> Verdict:
        """Take tokens for a caller if they are there. Never raises; answers within 0.1 s."""
        ...


class LocalLimiter:
    """A Limiter in memory. Over CALLERS_MAX callers the longest idle one is forgotten: it begins anew."""

    def __init__(self, clock: Callable[[], float], callers_max: int = CALLERS_MAX) -> None:
        self._clock, self._callers_max = clock, callers_max
        self._states: OrderedDict[str, State] = OrderedDict()

    async def take(self, who: str, limits: Limits, cost: int) -> Verdict:
        return self.take_now(who, limits, cost)

    def take_now(self, who: str, limits: Limits, cost: int) -> Verdict:
        """What `take` does, without waiting."""
        state, verdict = take(self._states.get(who), limits, cost, self._clock())
        self._states[who] = state
        self._states.move_to_end(who)
        if len(self._states) > self._callers_max:
            self._states.popitem(last=False)
        return verdict

    def __len__(self) -> int:
        return len(self._states)
