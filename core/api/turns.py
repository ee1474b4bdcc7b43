"""Callers take turns: of what one has asked, only a little is worked on at a time.

Without it everything that one caller sends at once, up to his burst, is done before anybody else's turn of
the event loop comes. Waiting is bounded by the tokens that those who wait have paid. Knows names.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

AT_ONCE: Final = 2


@dataclass(slots=True)
class _Line:
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    callers: int = 0


class Turns:
    """Lets AT_ONCE requests of each caller be worked on; the others wait in their order."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    async def begin(self, who: str) -> Turn:
        """Come back when it is this request's turn. The turn must be ended."""
        line = self._lines.get(who)
        if line is None:
            line = self._lines[who] = _Line()
        line.callers += 1
        try:
            await line.places.acquire()
        except BaseException:
            self._leave(who, line)
            raise
        return Turn(self, who, line)

    def end(self, who: str, line: _Line) -> None:
        line.places.release()
        self._leave(who, line)

    def __len__(self) -> int:
        return len(self._lines)

    def _leave(self, who: str, line: _Line) -> None:
        line.callers -= 1
        if not line.callers:
            del self._lines[who]


class Turn:
    """One request's turn. It ends once, however often it is told to."""

    __slots__ = ("_line", "_turns", "_who")

    def __init__(self, turns: Turns, who: str, line: _Line) -> None:
        self._turns: Turns | None = turns
        self._who, self._line = who, line

    def end(self) -> None:
        turns, self._turns = self._turns, None
        if turns is not None:
            turns.end(self._who, self._line)
