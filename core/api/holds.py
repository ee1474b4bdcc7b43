"""Refusals that come too often are told late: who floods has to wait, and has fewer connections to flood by.

Without it a caller who is refused asks again at once, and refusing him thousands of times a second takes the
time that others pay for. Knows names and counts; does not know what a refusal is.
"""

from __future__ import annotations

import asyncio
from typing import Final

AT_ONCE: Final = 10
"""Refusals a second that are told at once to one caller."""

HELD_MAX: Final = 1_000
"""Refusals that wait in this process; more are told at once."""

CALLERS_MAX: Final = 10_000
"""Callers that are counted in one second; of more the first are forgotten."""

_GOLDEN: Final = 0.618_033_988_75
"""Its multiples fill [0, 1) evenly, however many are taken."""


class Holds:
    """Holds refusals for about `hold_s` each; 0 holds none."""

    def __init__(self, hold_s: float) -> None:
        self._hold_s = hold_s
        self._second, self._refused = 0, dict[str, int]()
        self.held = self._told = 0

    async def hold(self, who: str, at: float) -> None:
        """Come back when the refusal of this caller may be told."""
        if not self._too_often(who, int(at)) or self.held >= HELD_MAX or not self._hold_s:
            return
        self.held += 1
        self._told += 1
        try:
            # Spread evenly over a span as long, so that those who came at once do not come back at once.
            await asyncio.sleep(self._hold_s * (0.5 + self._told * _GOLDEN % 1))
        finally:
            self.held -= 1

    def _too_often(self, who: str, second: int) -> bool:
        if second != self._second or len(self._refused) >= CALLERS_MAX:
            self._second = second
            self._refused.clear()
        self._refused[who] = self._refused.get(who, 0) + 1
        return self._refused[who] > AT_ONCE
