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

MESSAGES_MAX: Final = 4_096
"""Updates of one pass that are looked out for; more are joined for each client."""


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
        self._updates: dict[tuple[Feeds, int, int], bytes] = {}
        self._asked: set[tuple[Feeds, int, int]] = set()
        self._heads: dict[tuple[int, int], bytes] = {}
        self._orders: dict[Feeds, tuple[str, ...]] = {}
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
            self._orders.clear()
        self._fragments.update(message.fragments)
        self._changed.update(dict.fromkeys(message.fragments, self.ordinal))
        self._all_changed = min(self._changed.values(), default=0)
        self._updates.clear()
        self._asked.clear()
        self._heads.clear()

    def snapshot(self, feeds: Feeds, at: float) -> bytes:
        """The first message after a subscription: every feed of it. Its own `at` is now."""
        head = {"type": "snapshot", "sequence": self.sequence, "at": round(max(at, self.at), 3)}
        return _joined(orjson.dumps(head), self._newest(feeds, 0))

    def update(self, feeds: Feeds, seen: int, previous: int) -> bytes:
        """What changed after the ordinal `seen`, for a client whose last message had `previous`.

        Kept from the second client on who asks for the same: to keep thousands that one client each asks for
        costs more than to make them.
        """
        key = (feeds, seen, previous)
        message = self._updates.get(key)
        if message is None:
            head = self._heads.get((seen, previous))
            if head is None:
                head = self._heads[seen, previous] = orjson.dumps(self._update_head(seen, previous))
            message = _joined(head, self._newest(feeds, seen))
            if len(self._asked) >= MESSAGES_MAX:
                return message
            if key in self._asked:
                self._updates[key] = message
            self._asked.add(key)
        return message

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
        return _joined(orjson.dumps(head), parts)

    def _update_head(self, seen: int, previous: int) -> dict[str, object]:
        head = {"type": "update", "sequence": self.sequence, "previous": previous, "at": self.at}
        skipped = self.ordinal - seen - 1
        lost = sum(kept.lost for kept in islice(reversed(self._ring), skipped + 1))
        if skipped:
            head["conflated"] = skipped
        if lost:
            head["lost"] = lost
        return head

    def _newest(self, feeds: Feeds, seen: int) -> list[bytes]:
        fragments, order = self._fragments, self._order_of(feeds)
        if seen < self._all_changed:
            return [fragments[feed] for feed in order]
        return [fragments[feed] for feed in order if self._changed[feed] > seen]

    def _order_of(self, feeds: Feeds) -> tuple[str, ...]:
        """The feeds that have a price, in the order of the messages. Looked up for every client and pass."""
        order = self._orders.get(feeds)
        if order is None:
            order = tuple(feed for feed in self._fragments if feed in feeds)
            if len(self._orders) < MESSAGES_MAX:
                self._orders[feeds] = order
        return order


def _joined(head: bytes, prices: list[bytes]) -> bytes:
    return head[:-1] + b',"prices":[' + b",".join(prices) + b"]}"
