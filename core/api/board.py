"""The newest price object of each feed, and the messages made of them: each is joined once for all clients.

Pure: no socket, no clock. `ordinal` counts the passes that arrived here, so that a client that was skipped
knows by how many.
"""

from __future__ import annotations

from typing import Final

import orjson

from core.messages import PassMessage

Feeds = frozenset[str]

MESSAGES_MAX: Final = 4_096
"""Joined updates kept for one pass; more are joined for each client."""


class Board:
    """What all clients look at. A pass that lacks a feed leaves its last object standing."""

    def __init__(self) -> None:
        self.sequence = 0
        self.at = 0.0
        self.ordinal = 0
        self._fragments: dict[str, bytes] = {}
        self._changed: dict[str, int] = {}
        self._updates: dict[tuple[Feeds, int, int], str] = {}

    def apply(self, message: PassMessage) -> None:
        """Take a pass: the one that arrives last is the newest."""
        self.ordinal += 1
        self.sequence, self.at = message.sequence, message.at
        self._fragments.update(message.fragments)
        self._changed.update(dict.fromkeys(message.fragments, self.ordinal))
        self._updates.clear()

    def snapshot(self, feeds: Feeds, at: float) -> str:
        """The first message after a subscription: every feed of it. Its own `at` is now."""
        head = {"type": "snapshot", "sequence": self.sequence, "at": round(max(at, self.at), 3)}
        return self._joined_with(head, feeds, 0)

    def update(self, feeds: Feeds, seen: int, previous: int) -> str:
        """What changed after the ordinal `seen`, for a client whose last message had `previous`."""
        key = (feeds, seen, previous)
        text = self._updates.get(key)
        if text is None:
            text = self._joined_with(self._update_head(seen, previous), feeds, seen)
            if len(self._updates) < MESSAGES_MAX:
                self._updates[key] = text
        return text

    def _update_head(self, seen: int, previous: int) -> dict[str, object]:
        head = {"type": "update", "sequence": self.sequence, "previous": previous, "at": self.at}
        skipped = self.ordinal - seen - 1
        return {**head, "conflated": skipped} if skipped else head

    def _joined_with(self, head: dict[str, object], feeds: Feeds, seen: int) -> str:
        changed = [
            fragment
            for feed, fragment in self._fragments.items()
            if feed in feeds and self._changed[feed] > seen
        ]
        return (orjson.dumps(head)[:-1] + b',"prices":[' + b",".join(changed) + b"]}").decode()
