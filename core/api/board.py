"""The newest price object of each feed, and the messages made of them: each is joined once for all clients.

Pure: no socket, no clock. `ordinal` counts the passes that arrived here, so that a client that was skipped
knows by how many. The last passes are kept whole, for clients that come back and say what they had.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

import orjson

from core.messages import PassMessage

Feeds = frozenset[str]

CHOICES_MAX: Final = 16_384
"""Sets of feeds that are remembered; then all are forgotten, and those that still matter come again."""

RING_MAX: Final = 256
"""Passes that are kept for clients that come back: at five a second, 51 s of them, 7 MB at most."""


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass that arrived as the `ordinal`th here. `lost` passes before it never arrived."""

    ordinal: int
    sequence: int
    at: float
    fragments: Mapping[str, bytes]
    lost: int


@dataclass(slots=True)
class _Choice:
    """A set of feeds that clients chose: those that have a price, in the order of the messages, and the last
    update that was asked for. Its text is kept from the second client on: to keep thousands that one client
    each asks for costs more than to make them.
    """

    order: tuple[str, ...]
    asked: tuple[int, int, int] | None = None
    text: bytes | None = None


class Board:
    """What all clients look at. A pass that lacks a feed leaves its last object standing.

    Sequences count passes, also from run to run of the core, so a hole in them is a pass that never arrived
    here. One that goes backwards begins anew if its pass is later than the newest here; else it is told a
    second time, and nothing becomes older by it.
    """

    def __init__(self) -> None:
        self.sequence = 0
        self.at = 0.0
        self.ordinal = 0
        self._fragments: dict[str, bytes] = {}
        self._changed: dict[str, int] = {}
        self._all_changed = 0
        self._heads: dict[tuple[int, int], bytes] = {}
        self._choices: dict[Feeds, _Choice] = {}
        self._ring: deque[Pass] = deque(maxlen=RING_MAX)

    @property
    def oldest(self) -> int | None:
        """The oldest sequence that a client may come back with; None before the first pass."""
        return self._ring[0].sequence if self._ring else None

    @property
    def last(self) -> PassMessage | None:
        """The newest pass; None before the first."""
        kept = self._ring[-1] if self._ring else None
        return None if kept is None else PassMessage(kept.sequence, kept.at, kept.fragments)

    def apply(self, message: PassMessage) -> None:
        """Take a pass, unless it is an old one."""
        if self.ordinal and message.sequence <= self.sequence and message.at <= self.at:
            return
        lost = message.sequence - self.sequence - 1 if self.ordinal else 0
        if lost < 0:
            self._ring.clear()
        self.ordinal += 1
        self.sequence, self.at = message.sequence, message.at
        self._ring.append(Pass(self.ordinal, message.sequence, message.at, message.fragments, max(0, lost)))
        if not message.fragments.keys() <= self._fragments.keys():
            self._choices.clear()
        self._fragments.update(message.fragments)
        self._changed.update(dict.fromkeys(message.fragments, self.ordinal))
        self._all_changed = min(self._changed.values(), default=0)
        self._heads.clear()

    def snapshot(self, feeds: Feeds, at: float) -> bytes:
        """The first message after a subscription: every feed of it. Its own `at` is now."""
        head = {"type": "snapshot", "sequence": self.sequence, "at": round(max(at, self.at), 3)}
        return _joined(_opened(head), self._newest(self._choice(feeds).order, 0))

    def update(self, feeds: Feeds, seen: int, previous: int) -> bytes:
        """What changed after the ordinal `seen`, for a client whose last message had `previous`."""
        choice = self._choice(feeds)
        asked = (self.ordinal, seen, previous)
        again = choice.asked == asked
        if again and choice.text is not None:
            return choice.text
        head = self._heads.get((seen, previous))
        if head is None:
            head = self._heads[seen, previous] = _opened(self._update_head(seen, previous))
        text = _joined(head, self._newest(choice.order, seen))
        choice.asked, choice.text = asked, text if again else None
        return text

    def find(self, sequence: int) -> int | None:
        """The ordinal of a pass that is still kept, or None."""
        if not self._ring or not self._ring[0].sequence <= sequence <= self.sequence:
            return None
        return next((kept.ordinal for kept in self._ring if kept.sequence == sequence), None)

    def after(self, ordinal: int) -> Pass | None:
        """The pass that followed the one of this ordinal; None if it is not kept."""
        place = ordinal + 1 - self._ring[0].ordinal if self._ring else -1
        return self._ring[place] if 0 <= place < len(self._ring) else None

    def replayed(self, kept: Pass, feeds: Feeds, previous: int) -> bytes:
        """A pass of the past as an update."""
        head: dict[str, object] = {"type": "update", "sequence": kept.sequence, "previous": previous}
        head |= {"at": kept.at, "replayed": True}
        if kept.lost:
            head["lost"] = kept.lost
        parts = [part for feed, part in kept.fragments.items() if feed in feeds]
        return _joined(_opened(head), parts)

    def _update_head(self, seen: int, previous: int) -> dict[str, object]:
        head = {"type": "update", "sequence": self.sequence, "previous": previous, "at": self.at}
        skipped = self.ordinal - seen - 1
        lost = sum(kept.lost for kept in islice(reversed(self._ring), skipped + 1))
        if skipped:
            head["conflated"] = skipped
        if lost:
            head["lost"] = lost
        return head

    def _newest(self, order: tuple[str, ...], seen: int) -> list[bytes]:
        fragments = self._fragments
        if seen < self._all_changed:
            return [fragments[feed] for feed in order]
        return [fragments[feed] for feed in order if self._changed[feed] > seen]

    def _choice(self, feeds: Feeds) -> _Choice:
        choice = self._choices.get(feeds)
        if choice is None:
            if len(self._choices) >= CHOICES_MAX:
                self._choices.clear()
            choice = self._choices[feeds] = _Choice(tuple(feed for feed in self._fragments if feed in feeds))
        return choice


def _opened(head: dict[str, object]) -> bytes:
    """A message up to its first price."""
    return orjson.dumps(head)[:-1] + b',"prices":['


def _joined(head: bytes, prices: list[bytes]) -> bytes:
    return head + b",".join(prices) + b"]}"
