"""One WebSocket client's side of the stream, without its socket.

Knows what the client asked for, what it got last, and what it must be told next. Does not send, wait or read
a clock: `receive(text, at)` takes a message in, `next(board, at)` gives the next one out. The protocol, JSON
texts:

    client  {"op":"subscribe","feeds":["BTC/USD"]}  or ["*"]
            {"op":"unsubscribe","feeds":[..]}
            {"op":"ping"}
    server  {"type":"subscribed","feeds":[..]}      all that is subscribed now
            {"type":"snapshot","sequence","at","prices":[..]}    first after each subscribe
            {"type":"update","sequence","previous","at","prices":[..]}
                     `previous` is the sequence of the last snapshot or update this client really got;
                     with "conflated":n when n passes between were skipped because the client was slow
            {"type":"heartbeat","sequence","at"}    after 5 s of silence; {"type":"pong"}
                     `at` of a snapshot or heartbeat is now, of an update the time of its pass
            {"type":"error","problem":{..}}         RFC 9457; the connection stays

Codes of a close: 1001 the server stops, 1008 too many messages, 1013 the client took nothing for too long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from chrono.feeds import FEED_BY_NAME, FEEDS
from core.api.board import Board, Feeds
from core.api.problems import Problem, Refused, bad_request, unknown_feed

_ALL: Final = frozenset(FEED_BY_NAME)
_WILDCARD: Final = "*"
_INSTANCE: Final = "/v1/stream"
FEEDS_MAX: Final = 200
"""Names in one message; more are refused."""


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """The bounds of the stream. Over `clients_max` a handshake is refused with 503."""

    clients_max: int = 1_000
    message_bytes_max: int = 8_192
    messages_burst: int = 30
    messages_per_s: float = 5.0
    replies_max: int = 32
    heartbeat_s: float = 5.0
    stuck_s: float = 30.0
    tick_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A text to be sent. `pass_at` is the time of the pass that an update tells, else None."""

    type: str
    text: str
    pass_at: float | None = None
    conflated: int = 0


@dataclass(frozen=True, slots=True)
class Close:
    """The end of the connection, with its code; `reason` is also the metric's label."""

    code: int
    reason: str


class Session:
    """What one client wants and got. `at` is in Unix seconds."""

    def __init__(self, limits: StreamLimits, at: float) -> None:
        self.feeds: Feeds = frozenset()
        self._limits = limits
        self._replies: deque[Outgoing] = deque()
        self._close: Close | None = None
        self._snapshot_due = False
        self._ordinal = 0
        self._sequence = 0
        self._sent_at = at
        self._allowance = float(limits.messages_burst)
        self._counted_at = at

    def close(self, code: int, reason: str) -> None:
        """End after the replies that wait. The first close stands."""
        self._close = self._close or Close(code, reason)

    def receive(self, text: str | bytes, at: float) -> None:
        """Take a client's message; what is wrong with it becomes a reply."""
        if not self._allowed(at) or len(self._replies) >= self._limits.replies_max:
            self.close(1008, "too-many-messages")
            return
        try:
            self._perform(text)
        except Refused as refused:
            self._reply("error", problem=_told(refused.problem))

    def next(self, board: Board, at: float) -> Outgoing | Close | None:
        """What is to be sent now, or None. It counts as sent."""
        outgoing = self._due(board, at)
        if isinstance(outgoing, Outgoing):
            self._sent_at = at
        return outgoing

    def _due(self, board: Board, at: float) -> Outgoing | Close | None:
        if self._replies:
            return self._replies.popleft()
        if self._close:
            return self._close
        if board.ordinal > self._ordinal and self.feeds:
            return self._snapshot(board, at) if self._snapshot_due else self._update(board)
        if at - self._sent_at >= self._limits.heartbeat_s:
            return Outgoing("heartbeat", _text("heartbeat", sequence=board.sequence, at=round(at, 3)))
        return None

    def _snapshot(self, board: Board, at: float) -> Outgoing:
        self._snapshot_due = False
        self._ordinal, self._sequence = board.ordinal, board.sequence
        return Outgoing("snapshot", board.snapshot(self.feeds, at))

    def _update(self, board: Board) -> Outgoing:
        text = board.update(self.feeds, self._ordinal, self._sequence)
        skipped = board.ordinal - self._ordinal - 1
        self._ordinal, self._sequence = board.ordinal, board.sequence
        return Outgoing("update", text, board.at, skipped)

    def _perform(self, text: str | bytes) -> None:
        request = _parsed(text)
        op = request.get("op")
        if op == "ping":
            self._reply("pong")
        elif op == "subscribe":
            self.feeds |= _feeds_of(request)
            self._snapshot_due, self._ordinal = True, 0
            self._reply_subscribed()
        elif op == "unsubscribe":
            self.feeds -= _feeds_of(request)
            self._reply_subscribed()
        else:
            detail = "op is one of subscribe, unsubscribe, ping"
            raise bad_request("unknown-operation", detail, op=str(op)[:40])

    def _reply_subscribed(self) -> None:
        self._reply("subscribed", feeds=[feed.name for feed in FEEDS if feed.name in self.feeds])

    def _reply(self, kind: str, **members: object) -> None:
        self._replies.append(Outgoing(kind, _text(kind, **members)))

    def _allowed(self, at: float) -> bool:
        """A bucket of `messages_burst` that refills at `messages_per_s`."""
        earned = max(0.0, at - self._counted_at) * self._limits.messages_per_s
        self._counted_at = at
        self._allowance = min(float(self._limits.messages_burst), self._allowance + earned) - 1
        return self._allowance >= 0


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request("malformed-json", str(error)[:200]) from None
    if not isinstance(request, dict):
        raise bad_request("malformed-message", "a message is a JSON object")
    return request


def _feeds_of(request: dict[str, Any]) -> Feeds:
    names: Sequence[object] = request.get("feeds", ())
    if not isinstance(names, list) or not 1 <= len(names) <= FEEDS_MAX:
        raise bad_request("malformed-message", f"feeds is a list of 1 to {FEEDS_MAX} names")
    if _WILDCARD in names:
        return _ALL
    unknown = [str(name) for name in names if not isinstance(name, str) or name not in _ALL]
    if unknown:
        raise unknown_feed(*unknown)
    return frozenset(str(name) for name in names)


def _told(problem: Problem) -> dict[str, object]:
    return problem.document(_INSTANCE)


def _text(kind: str, **members: object) -> str:
    return orjson.dumps({"type": kind, **members}).decode()
