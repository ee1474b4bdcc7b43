"""A store of objects in memory, true to the port, and open to the tests."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.snapshot.objects import Order, Overtaken, Standing, StoreFailed


@dataclass
class FakeObjects:
    """Keeps objects under marks that never come again."""

    held: dict[str, tuple[bytes, Standing]] = field(default_factory=dict)
    fails_with: StoreFailed | None = None
    gets: int = 0
    _marks: int = 0

    def get(self, name: str) -> bytes | None:
        self._check()
        self.gets += 1
        return self.held[name][0] if name in self.held else None

    def standing(self, name: str) -> Standing | None:
        self._check()
        return self.held[name][1] if name in self.held else None

    def put(self, name: str, body: bytes, order: Order, replaces: str | None) -> str:
        self._check()
        there = self.standing(name)
        if (there.mark if there else None) != replaces:
            raise Overtaken(name)
        self._marks += 1
        self.held[name] = (body, Standing(str(self._marks), order))
        return str(self._marks)

    def _check(self) -> None:
        if self.fails_with:
            raise self.fails_with
