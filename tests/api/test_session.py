"""One client's side of the stream, without a socket: what it is told, and when."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.api.board import Board
from core.api.session import Close, Outgoing, Session, StreamLimits
from core.messages import PassMessage
from tests.fakes.services import NOW, message_at

LIMITS = StreamLimits()


@pytest.fixture
def board() -> Board:
    return Board()


@pytest.fixture
def session() -> Session:
    return Session(LIMITS, NOW)


def arrive(board: Board, sequence: int) -> None:
    board.apply(message_at(NOW + sequence, sequence))


def told(session: Session, board: Board, at: float = NOW) -> dict[str, Any] | None:
    outgoing = session.next(board, at)
    assert outgoing is None or isinstance(outgoing, Outgoing)
    return None if outgoing is None else json.loads(outgoing.body)


def subscribed(session: Session, board: Board, *feeds: str) -> None:
    session.receive(json.dumps({"op": "subscribe", "feeds": feeds}), NOW)
    answer = told(session, board)
    assert answer is not None
    assert answer["type"] == "subscribed"


def test_nothing_is_told_to_a_client_that_asked_for_nothing(session: Session, board: Board) -> None:
    arrive(board, 1)
    assert told(session, board) is None


def test_a_subscription_before_the_first_pass_waits_for_its_snapshot(session: Session, board: Board) -> None:
    subscribed(session, board, "*")
    assert told(session, board) is None
    arrive(board, 1)
    snapshot = told(session, board)
    assert snapshot is not None
    assert (snapshot["type"], len(snapshot["prices"])) == ("snapshot", 63)


def test_a_pass_already_known_is_told_at_once(session: Session, board: Board) -> None:
    arrive(board, 5)
    subscribed(session, board, "BTC/USD")
    snapshot = told(session, board)
    assert snapshot is not None
    assert (snapshot["sequence"], snapshot["prices"][0]["feed"]) == (5, "BTC/USD")
    assert told(session, board) is None


def test_a_client_that_missed_passes_gets_the_newest_and_how_many(session: Session, board: Board) -> None:
    arrive(board, 1)
    subscribed(session, board, "BTC/USD")
    told(session, board)
    for sequence in (2, 3, 4):
        arrive(board, sequence)
    update = told(session, board)
    assert update is not None
    assert (update["sequence"], update["previous"], update["conflated"]) == (4, 1, 2)
    arrive(board, 5)
    update = told(session, board)
    assert update is not None
    assert (update["previous"], "conflated" in update) == (4, False)


def test_an_update_holds_the_newest_value_of_each_feed_that_changed(session: Session, board: Board) -> None:
    board.apply(PassMessage(1, NOW, {"BTC/USD": b'"b1"', "ETH/USD": b'"e1"', "XRP/USD": b'"x1"'}))
    subscribed(session, board, "BTC/USD", "ETH/USD", "XRP/USD")
    told(session, board)
    board.apply(PassMessage(2, NOW, {"BTC/USD": b'"b2"', "ETH/USD": b'"e2"'}))
    board.apply(PassMessage(3, NOW, {"BTC/USD": b'"b3"'}))
    update = told(session, board)
    assert update is not None
    assert update["prices"] == ["b3", "e2"]


def test_another_subscription_brings_a_snapshot_of_all(session: Session, board: Board) -> None:
    arrive(board, 1)
    subscribed(session, board, "BTC/USD")
    told(session, board)
    session.receive('{"op":"subscribe","feeds":["ETH/USD"]}', NOW)
    assert told(session, board) == {"type": "subscribed", "feeds": ["BTC/USD", "ETH/USD"]}
    snapshot = told(session, board)
    assert snapshot is not None
    assert (snapshot["type"], len(snapshot["prices"])) == ("snapshot", 2)


def test_an_unsubscribed_feed_is_told_no_more(session: Session, board: Board) -> None:
    arrive(board, 1)
    subscribed(session, board, "BTC/USD", "ETH/USD")
    told(session, board)
    session.receive('{"op":"unsubscribe","feeds":["BTC/USD"]}', NOW)
    assert told(session, board) == {"type": "subscribed", "feeds": ["ETH/USD"]}
    arrive(board, 2)
    update = told(session, board)
    assert update is not None
    assert [price["feed"] for price in update["prices"]] == ["ETH/USD"]


def test_silence_is_broken_by_a_heartbeat_that_tells_the_time(session: Session, board: Board) -> None:
    assert told(session, board, NOW + 4.9) is None
    assert told(session, board, NOW + 5.1) == {"type": "heartbeat", "sequence": 0, "at": NOW + 5.1}
    assert told(session, board, NOW + 6) is None


def test_a_heartbeat_says_that_no_pass_comes_any_more(session: Session, board: Board) -> None:
    arrive(board, 1)
    told(session, board, NOW + 1)
    heard = told(session, board, NOW + 21)
    assert heard == {"type": "heartbeat", "sequence": 1, "at": NOW + 21, "late_s": 20.0}


def test_a_snapshot_of_an_old_pass_says_what_time_it_is(session: Session, board: Board) -> None:
    arrive(board, 1)
    subscribed(session, board, "BTC/USD")
    snapshot = told(session, board, NOW + 60)
    assert snapshot is not None
    assert (snapshot["at"], snapshot["prices"][0]["at"]) == (NOW + 60, NOW + 1)


def test_a_ping_is_answered(session: Session, board: Board) -> None:
    session.receive('{"op":"ping"}', NOW)
    assert told(session, board) == {"type": "pong"}


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("", "malformed-json"),
        ("{", "malformed-json"),
        ("[" * 5000, "malformed-json"),
        ("[]", "malformed-message"),
        ('{"op":"shout"}', "unknown-operation"),
        ('{"feeds":["BTC/USD"]}', "unknown-operation"),
        ('{"op":"subscribe"}', "malformed-message"),
        ('{"op":"subscribe","feeds":"BTC/USD"}', "malformed-message"),
        ('{"op":"subscribe","feeds":[]}', "malformed-message"),
        (json.dumps({"op": "subscribe", "feeds": ["BTC/USD"] * 201}), "malformed-message"),
        ('{"op":"subscribe","feeds":["FOO/USD"]}', "unknown-feed"),
        ('{"op":"subscribe","feeds":[["BTC/USD"]]}', "unknown-feed"),
        ('{"op":"subscribe","feeds":[{}, 7, null]}', "unknown-feed"),
    ],
)
def test_a_wrong_message_is_told_and_changes_nothing(
    session: Session, board: Board, text: str, slug: str
) -> None:
    session.receive(text, NOW)
    error = told(session, board)
    assert error is not None
    assert (error["type"], error["problem"]["type"]) == ("error", f"urn:chrono:problem:{slug}")
    assert session.feeds == frozenset()


def test_a_client_that_talks_too_much_is_closed(session: Session, board: Board) -> None:
    for _ in range(LIMITS.messages_burst):
        session.receive('{"op":"ping"}', NOW)
        assert told(session, board) == {"type": "pong"}
    session.receive('{"op":"ping"}', NOW)
    assert session.next(board, NOW) == Close(1008, "too-many-messages")


def test_talking_at_the_allowed_rate_is_never_too_much(session: Session, board: Board) -> None:
    for turn in range(500):
        session.receive('{"op":"ping"}', NOW + turn / LIMITS.messages_per_s)
        assert told(session, board) == {"type": "pong"}


def test_replies_that_are_not_taken_are_bounded(board: Board) -> None:
    session = Session(StreamLimits(messages_burst=1_000, replies_max=3), NOW)
    for _ in range(4):
        session.receive('{"op":"ping"}', NOW)
    assert [told(session, board) for _ in range(3)] == [{"type": "pong"}] * 3
    assert session.next(board, NOW) == Close(1008, "too-many-messages")


def test_clients_of_one_subscription_share_one_text(board: Board) -> None:
    sessions = [Session(LIMITS, NOW) for _ in range(4)]
    arrive(board, 1)
    for session in sessions:
        subscribed(session, board, "BTC/USD", "ETH/USD")
        told(session, board)
    arrive(board, 2)
    first, second, third, fourth = [session.next_plain(board, NOW) for session in sessions]
    assert first == second == third
    assert second is third is fourth


def test_a_plain_update_is_what_is_told_otherwise(board: Board) -> None:
    one, other = Session(LIMITS, NOW), Session(LIMITS, NOW)
    arrive(board, 1)
    for session in (one, other):
        assert session.next_plain(board, NOW) is None, "nothing was asked for"
        session.receive('{"op":"subscribe","feeds":["BTC/USD"]}', NOW)
        assert session.next_plain(board, NOW) is None, "the reply comes first"
        told(session, board)
        assert session.next_plain(board, NOW) is None, "the snapshot comes first"
        told(session, board)
        assert session.next_plain(board, NOW) is None, "nothing is new"
    for sequence in (2, 3):
        arrive(board, sequence)
        outgoing = other.next(board, NOW)
        assert isinstance(outgoing, Outgoing)
        assert one.next_plain(board, NOW) == outgoing.body
    arrive(board, 4)
    arrive(board, 5)
    assert one.next_plain(board, NOW) is None, "what was skipped is to be counted"
    one.close(1001, "stopping")
    assert one.next_plain(board, NOW) is None
