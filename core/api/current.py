"""The prices of the last pass as bodies, encoded once a pass whoever asks.

Knows fragments and how they are joined. Does not know how a price is estimated or spelled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import orjson
from starlette.exceptions import HTTPException

from core.api.answers import squeeze
from core.messages import PassMessage, as_seen, is_late

_BODIES_MAX: Final = 256
"""Bodies of distinct sets of feeds that are kept for one pass; more are joined anew."""


class CurrentPrices:
    """What the last pass says, for REST. A pass that is late is told with its feeds stale."""

    def __init__(self, last_pass: Callable[[], PassMessage | None], clock: Callable[[], float]) -> None:
        self._last_pass, self._clock = last_pass, clock
        self._key: tuple[int, float, int] | None = None
        self._message: PassMessage | None = None
        self._bodies: dict[tuple[str, ...], bytes] = {}
        self._squeezed: dict[tuple[str, ...], bytes] = {}

    def message(self) -> PassMessage:
        """The last pass; raises 503 before the first."""
        last, now = self.untouched(), self._clock()
        late_s = int(now - last.at) if is_late(last, now) else 0
        key = (last.sequence, last.at, late_s)
        if key != self._key or self._message is None:
            self._message = as_seen(last, now)
            self._key = key
            self._bodies.clear()
            self._squeezed.clear()
        return self._message

    def untouched(self) -> PassMessage:
        """The last pass as it was made, however late; raises 503 before the first."""
        last = self._last_pass()
        if last is None:
            raise no_estimates_yet()
        return last

    def body(self, feeds: tuple[str, ...]) -> bytes:
        """The answer of `/v1/prices` for these feeds, in this order."""
        message = self.message()
        body = self._bodies.get(feeds)
        if body is None:
            prices = b",".join([message.fragments[feed] for feed in feeds])
            head = orjson.dumps({"sequence": message.sequence, "at": message.at})
            body = head[:-1] + b',"prices":[' + prices + b"]}"
            if len(self._bodies) < _BODIES_MAX:
                self._bodies[feeds] = body
        return body

    def tag(self) -> str:
        """An ETag that changes with every pass, and while a pass is late every second."""
        message = self.message()
        late_s = 0 if self._key is None else self._key[2]
        return f'W/"{message.sequence}-{late_s}"'

    def squeezed(self, feeds: tuple[str, ...]) -> bytes:
        """The body in gzip, made once a pass."""
        body = self.body(feeds)
        small = self._squeezed.get(feeds)
        if small is None:
            small = squeeze(body)
            if len(self._squeezed) < _BODIES_MAX:
                self._squeezed[feeds] = small
        return small


def no_estimates_yet() -> HTTPException:
    return HTTPException(503, "no estimate was made yet", {"Retry-After": "1"})
