"""The newest price object of each feed, and the messages made of them: each is joined once for all clients.

Pure: no socket, no clock. `ordinal` counts the passes that arrived here, so that a client that was skipped
knows by how many.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Final

import orjson

from core.messages import PassMessage

Feeds = frozenset[str]

MESSAGES_MAX: Final = 4_096
"""Joined messages kept for one pass; more are joined for each client."""


class Board:
    """What all clients look at. A pass that lacks a feed leaves its last object standing."""

    def __init__(self) -> None:
        self.sequence = 0
        self.at = 0.0
        self.ordinal = 0
        self._fragments: dict[str, bytes] = {}
        self._changed: dict[str, int] = {}
        self._joined: dict[tuple[Feeds, int, int], str] = {}

    def apply(self, message: PassMessage) -> None:
        """Take a pass: the one that arrives last is the newest."""
        self.ordinal += 1
        self.sequence, self.at = message.sequence, message.at
        self._fragments.update(message.fragments)
        self._changed.update(dict.fromkeys(message.fragments, self.ordinal))
        self._joined.clear()

    def snapshot(self, feeds: Feeds) -> str:
        """The first message after a subscription: every feed of it."""
        return self._message(feeds, 0, -1)

    def update(self, feeds: Feeds, seen: int, previous: int) -> str:
        """What changed after the ordinal `seen`, for a client whose last message had `previous`."""
        return self._message(feeds, seen, previous)

    def _message(self, feeds: Feeds, seen: int, previous: int) -> str:
        key = (feeds, seen, previous)
        joined = self._joined.get(key)
        if joined is None:
            joined = self._join(feeds, seen, previous)
            if len(self._joined) < MESSAGES_MAX:
                self._joined[key] = joined
        return joined

    def _join(self, feeds: AbstractSet[str], seen: int, previous: int) -> str:
        head: dict[str, object] = {"type": "snapshot", "sequence": self.sequence, "at": self.at}
        if previous >= 0:
            head |= {"type": "update", "previous": previous}
            skipped = self.ordinal - seen - 1
            if skipped > 0:
                head["conflated"] = skipped
        changed = [
            fragment
            for feed, fragment in self._fragments.items()
            if feed in feeds and self._changed[feed] > seen
        ]
        return (orjson.dumps(head)[:-1] + b',"prices":[' + b",".join(changed) + b"]}").decode()
