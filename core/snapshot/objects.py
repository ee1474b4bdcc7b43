"""What snapshots ask of a store of objects, and how it may fail. Calls block: they are made in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from chrono.errors import ChronoError

Order = tuple[int, int]
"""(milliseconds, sequence) of the pass in an object: the greater is the newer."""

Reason = Literal["credentials", "unreachable", "timeout", "refused", "contended"]


class StoreFailed(ChronoError):
    """The store did not do what it was asked. `reason` is one of a few words, for metrics."""

    def __init__(self, reason: Reason, detail: str) -> None:
        self.reason, self.detail = reason, detail
        super().__init__(f"{reason}: {detail}")


class Overtaken(ChronoError):
    """The object is not the one that was to be replaced."""


@dataclass(frozen=True, slots=True)
class Standing:
    """The object that is there: its mark, and its order (None if it tells none)."""

    mark: str
    order: Order | None


class Objects(Protocol):
    """Keeps bytes under names. Every call raises StoreFailed and returns or raises within seconds."""

    def get(self, name: str) -> bytes | None:
        """The bytes, or None if there are none."""
        ...

    def standing(self, name: str) -> Standing | None:
        """What is there, without its bytes."""
        ...

    def put(self, name: str, body: bytes, order: Order, replaces: str | None) -> str:
        """Write, if what is there has the mark `replaces` (None: if nothing is there); the new mark.

        Raises Overtaken.
        """
        ...
