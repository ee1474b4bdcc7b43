"""One WebSocket client's side of the stream, without its socket.

Knows what the client asked for, what it got last, and what it must be told next. Does not send, wait or read
a clock: `receive(text, at)` takes a message in, `next(board, at)` gives the next one out. The protocol, JSON
texts:

    client  {"op":"subscribe","feeds":["BTC/USD"]}  or ["*"]; with "since":n to go on after the sequence n
            {"op":"unsubscribe","feeds":[..]}
            {"op":"ping"}
    server  {"type":"subscribed","feeds":[..]}      all that is subscribed now
            {"type":"snapshot","sequence","at","prices":[..]}    first after each subscribe
            {"type":"update","sequence","previous","at","prices":[..]}
                     `previous` is the sequence of the last snapshot or update this client really got;
                     with "conflated":n when n passes between were skipped because the client was slow,
                     with "lost":n when n passes between never reached this server,
                     with "replayed":true when it is told late, after a `resumed`
            {"type":"resumed","since","sequence"}   instead of a snapshot: all updates after `since` follow
            {"type":"gap","since","sequence","oldest","why"}    they cannot be told: a snapshot follows;
                     why: too-old (passes up to `oldest` are gone) or unknown (no such sequence here)
            {"type":"heartbeat","sequence","at"}    after 5 s of silence; {"type":"pong"}
                     with "late_s":n when no pass came for n s: no price that was told is live any more
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
from core.messages import LATE_S

_ALL: Final = frozenset(FEED_BY_NAME)
_WILDCARD: Final = "*"
_INSTANCE: Final = "/v1/stream"
FEEDS_MAX: Final = 200
"""Names in one message; more are refused."""
SEQUENCE_MAX: Final = 2**53 - 1


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
    """A message to be sent, as UTF-8.

    `pass_at` is the time of the pass that an update tells while it is new, else None; `sequence` is that of
    the prices in it, if there are any.
    """

    type: str
    body: bytes
    pass_at: float | None = None
    conflated: int = 0
    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Close:
    """The end of the connection, with its code; `reason` is also the metric's label."""

    code: int
    reason: str


class Session:
    """What one client wants and got. `at` is in Unix seconds.

    `_settled`: nothing but the next pass can be due. Thousands of sessions are looked at for each pass, and
    what is touched of each has to come from memory.
    """

    __slots__ = (
        "_allowance",
        "_close",
        "_counted_at",
        "_feeds_max",
        "_limits",
        "_ordinal",
        "_replaying",
        "_replies",
        "_sent_at",
        "_sequence",
        "_settled",
        "_since",
        "_snapshot_due",
        "feeds",
    )

    def __init__(self, limits: StreamLimits, at: float, feeds_max: int = len(FEEDS)) -> None:
        self.feeds: Feeds = frozenset()
        self._feeds_max = feeds_max
        self._limits = limits
        self._replies: deque[Outgoing] = deque()
        self._close: Close | None = None
        self._snapshot_due = False
        self._since: int | None = None
        self._replaying = False
        self._settled = False
        self._ordinal = 0
        self._sequence = 0
        self._sent_at = at
        self._allowance = float(limits.messages_burst)
        self._counted_at = at

    def close(self, code: int, reason: str) -> None:
        """End after the replies that wait. The first close stands."""
        self._close = self._close or Close(code, reason)
        self._settled = False

    def receive(self, text: str | bytes, at: float) -> None:
        """Take a client's message; what is wrong with it becomes a reply."""
        if not self._allowed(at) or len(self._replies) >= self._limits.replies_max:
            self.close(1008, "too-many-messages")
            return
        try:
            self._perform(text)
        except Refused as refused:
            self._reply("error", problem=_told(refused.problem))

    def subscribe(self, feeds: Feeds, since: int | None = None) -> None:
        """Add feeds; raises Refused when they are too many."""
        if len(self.feeds | feeds) > self._feeds_max:
            raise _too_many_feeds(len(self.feeds | feeds), self._feeds_max)
        self.feeds |= feeds
        self._snapshot_due, self._replaying, self._ordinal = True, False, 0
        self._since, self._settled = since, False
        self._reply_subscribed()

    def is_silent(self, at: float) -> bool:
        """Whether nothing was sent for so long that a heartbeat is due."""
        return at - self._sent_at >= self._limits.heartbeat_s

    def next(self, board: Board, at: float) -> Outgoing | Close | None:
        """What is to be sent now, or None. It counts as sent."""
        outgoing = self._due(board, at)
        if isinstance(outgoing, Outgoing):
            self._sent_at = at
        waits = self._replies or self._close or self._snapshot_due or self._replaying
        self._settled = bool(self.feeds) and not waits and self._since is None
        return outgoing

    def next_plain(self, board: Board, at: float) -> bytes | None:
        """The next pass's update, if that and nothing else is due, as it nearly always is.

        None means that `next` knows better. It counts as sent.
        """
        if not self._settled or board.ordinal - self._ordinal != 1:
            return None
        body = board.update(self.feeds, self._ordinal, self._sequence)
        self._ordinal, self._sequence, self._sent_at = board.ordinal, board.sequence, at
        return body

    def _due(self, board: Board, at: float) -> Outgoing | Close | None:
        if self._replies:
            return self._replies.popleft()
        if self._close:
            return self._close
        news = self._news(board, at) if self.feeds and board.ordinal else None
        if news is None and self.is_silent(at):
            return Outgoing("heartbeat", _heartbeat(board, at))
        return news

    def _news(self, board: Board, at: float) -> Outgoing | None:
        if self._since is not None:
            return self._resume(board, self._since)
        replay = self._replay(board) if self._replaying else None
        if replay is None and board.ordinal > self._ordinal:
            return self._snapshot(board, at) if self._snapshot_due else self._update(board)
        return replay

    def _resume(self, board: Board, since: int) -> Outgoing:
        """Go on after `since` if every pass after it is still here; else say that it cannot be."""
        self._since = None
        ordinal, oldest = board.find(since), board.oldest
        if ordinal is None:
            why = "too-old" if oldest is not None and since < oldest else "unknown"
            told = _text("gap", since=since, sequence=board.sequence, oldest=oldest, why=why)
            return Outgoing("gap", told)
        self._snapshot_due, self._replaying = False, True
        self._ordinal, self._sequence = ordinal, since
        return Outgoing("resumed", _text("resumed", since=since, sequence=board.sequence))

    def _replay(self, board: Board) -> Outgoing | None:
        """The next pass that was missed. One that is gone meanwhile is conflated with what follows."""
        kept = board.after(self._ordinal) if board.ordinal - self._ordinal > 1 else None
        if kept is None:
            self._replaying = False
            return None
        body = board.replayed(kept, self.feeds, self._sequence)
        self._ordinal, self._sequence = kept.ordinal, kept.sequence
        return Outgoing("update", body, sequence=kept.sequence)

    def _snapshot(self, board: Board, at: float) -> Outgoing:
        self._snapshot_due = False
        self._ordinal, self._sequence = board.ordinal, board.sequence
        return Outgoing("snapshot", board.snapshot(self.feeds, at), sequence=board.sequence)

    def _update(self, board: Board) -> Outgoing:
        body = board.update(self.feeds, self._ordinal, self._sequence)
        skipped = board.ordinal - self._ordinal - 1
        self._ordinal, self._sequence = board.ordinal, board.sequence
        return Outgoing("update", body, board.at, skipped, board.sequence)

    def _perform(self, text: str | bytes) -> None:
        request = _parsed(text)
        op = request.get("op")
        if op == "ping":
            self._reply("pong")
        elif op == "subscribe":
            self.subscribe(_feeds_of(request), _since_of(request))
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
        self._settled = False

    def _allowed(self, at: float) -> bool:
        """A bucket of `messages_burst` that refills at `messages_per_s`."""
        earned = max(0.0, at - self._counted_at) * self._limits.messages_per_s
        self._counted_at = at
        self._allowance = min(float(self._limits.messages_burst), self._allowance + earned) - 1
        return self._allowance >= 0


def _heartbeat(board: Board, at: float) -> bytes:
    late_s = at - board.at
    late = {"late_s": round(late_s, 1)} if board.ordinal and late_s > LATE_S else {}
    return _text("heartbeat", sequence=board.sequence, at=round(at, 3), **late)


def _parsed(text: str | bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad_request("malformed-json", str(error)[:200]) from None
    if not isinstance(request, dict):
        raise bad_request("malformed-message", "a message is a JSON object")
    return request


def _feeds_of(request: dict[str, Any]) -> Feeds:
    names = request.get("feeds", ())
    return feeds_named(names if isinstance(names, list) else ())


def feeds_named(names: Sequence[object]) -> Feeds:
    """The feeds of these names, or all for a `*`; raises Refused."""
    if not 1 <= len(names) <= FEEDS_MAX:
        raise bad_request("malformed-message", f"feeds is a list of 1 to {FEEDS_MAX} names")
    if _WILDCARD in names:
        return _ALL
    unknown = [str(name) for name in names if not isinstance(name, str) or name not in _ALL]
    if unknown:
        raise unknown_feed(*unknown)
    return frozenset(str(name) for name in names)


def _since_of(request: dict[str, Any]) -> int | None:
    since = request.get("since")
    if since is None:
        return None
    if isinstance(since, bool) or not isinstance(since, int) or not 0 <= since <= SEQUENCE_MAX:
        raise bad_request("malformed-message", "since is the sequence of the last message you had")
    return since


def _too_many_feeds(wanted: int, limit: int) -> Refused:
    detail = f"{wanted} feeds are more than the {limit} of this tier"
    hint = "subscribe to fewer feeds, or send a key of a larger tier"
    evidence = {"feeds": wanted, "limit": limit, "hint": hint}
    return Refused(Problem("too-many-feeds", 403, "Too many feeds", detail, evidence))


def _told(problem: Problem) -> dict[str, object]:
    return problem.document(_INSTANCE)


def _text(kind: str, **members: object) -> bytes:
    return orjson.dumps({"type": kind, **members})
