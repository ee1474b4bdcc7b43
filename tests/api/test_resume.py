"""Coming back to the stream: everything missed is told, or that it cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.api.board import RING_MAX, Board
from core.api.session import Outgoing, Session, StreamLimits
from core.messages import PassMessage
from tests.fakes.services import NOW

FEED = "BTC/USD"


def arrive(board: Board, sequence: int, at: float | None = None) -> None:
    price = b'{"feed":"BTC/USD","sequence":%d}' % sequence
    board.apply(PassMessage(sequence, NOW + sequence if at is None else at, {FEED: price}))


def board_of(*sequences: int) -> Board:
    board = Board()
    for sequence in sequences:
        arrive(board, sequence)
    return board


def coming_back(since: int, feeds: str = FEED) -> Session:
    session = Session(StreamLimits(), NOW)
    session.receive(json.dumps({"op": "subscribe", "feeds": [feeds], "since": since}), NOW)
    return session


def told(session: Session, board: Board) -> list[dict[str, Any]]:
    """Everything that is due now, but `subscribed`."""
    messages = []
    while (outgoing := session.next(board, NOW)) is not None:
        assert isinstance(outgoing, Outgoing)
        messages.append(json.loads(outgoing.body))
    return [message for message in messages if message["type"] != "subscribed"]


def test_what_was_missed_follows_in_a_chain() -> None:
    messages = told(coming_back(4), board_of(3, 4, 5, 6, 7))
    assert messages[0] == {"type": "resumed", "since": 4, "sequence": 7}
    chain = [(each["previous"], each["sequence"], each["prices"][0]["sequence"]) for each in messages[1:]]
    assert chain == [(4, 5, 5), (5, 6, 6), (6, 7, 7)]
    assert [each.get("replayed", False) for each in messages[1:]] == [True, True, False]


def test_who_missed_nothing_is_told_so_and_gets_the_next_pass() -> None:
    board, session = board_of(3, 4), coming_back(4)
    assert told(session, board) == [{"type": "resumed", "since": 4, "sequence": 4}]
    arrive(board, 5)
    assert [(each["type"], each["previous"]) for each in told(session, board)] == [("update", 4)]


@pytest.mark.parametrize(("since", "why"), [(1, "too-old"), (99, "unknown"), (0, "too-old")])
def test_a_gap_that_cannot_be_filled_is_told_before_the_snapshot(since: int, why: str) -> None:
    gap, snapshot = told(coming_back(since), board_of(3, 4, 5))
    assert gap == {"type": "gap", "since": since, "sequence": 5, "oldest": 3, "why": why}
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 5)


def test_before_the_first_pass_a_client_waits_to_learn_of_its_gap() -> None:
    board, session = Board(), coming_back(4)
    assert told(session, board) == []
    arrive(board, 9)
    assert [each["type"] for each in told(session, board)] == ["gap", "snapshot"]


def test_the_past_has_a_bound() -> None:
    board = board_of(*range(1, RING_MAX + 51))
    assert board.oldest == 51
    assert told(coming_back(50), board)[0]["why"] == "too-old"
    assert len(told(coming_back(51), board)) == RING_MAX


def test_a_pass_that_never_reached_this_server_is_told() -> None:
    board, session = board_of(3), coming_back(3)
    told(session, board)
    arrive(board, 7)
    assert told(session, board)[0]["lost"] == 3
    arrive(board, 8)
    assert "lost" not in told(session, board)[0]
    assert [each.get("lost") for each in told(coming_back(3), board)] == [None, 3, None]


def test_a_core_that_counts_anew_leaves_nothing_to_resume() -> None:
    board = board_of(50, 51)
    arrive(board, 1, at=NOW + 60)
    arrive(board, 2, at=NOW + 61)
    assert told(coming_back(51), board)[0]["why"] == "unknown"
    assert board.oldest == 1


@pytest.mark.parametrize("again", [3, 4, 5, 1])
def test_a_pass_that_comes_a_second_time_makes_nothing_older(again: int) -> None:
    board, session = board_of(3, 4, 5), coming_back(5)
    told(session, board)
    arrive(board, again)
    assert told(session, board) == []
    assert (board.sequence, board.oldest) == (5, 3)
    assert [each["sequence"] for each in told(coming_back(3), board)[1:]] == [4, 5]


@pytest.mark.parametrize("since", [-1, 1.5, "7", True, 2**60])
def test_what_is_no_sequence_is_refused(since: object) -> None:
    session = Session(StreamLimits(), NOW)
    session.receive(json.dumps({"op": "subscribe", "feeds": [FEED], "since": since}), NOW)
    (error,) = told(session, board_of(1))
    assert error["problem"]["type"] == "urn:chrono:problem:malformed-message"


def test_more_feeds_than_the_tier_allows_are_refused_with_a_hint() -> None:
    session = Session(StreamLimits(), NOW, feeds_max=2)
    session.receive('{"op":"subscribe","feeds":["BTC/USD","ETH/USD"]}', NOW)
    for feeds in ('["XRP/USD"]', '["*"]'):
        session.receive(f'{{"op":"subscribe","feeds":{feeds}}}', NOW)
    errors = [each["problem"] for each in told(session, Board())]
    assert [(each["type"], each["limit"]) for each in errors] == [
        ("urn:chrono:problem:too-many-feeds", 2)
    ] * 2
    assert session.feeds == {"BTC/USD", "ETH/USD"}


steps = st.lists(
    st.one_of(st.integers(1, 3), st.sampled_from(["read", "reconnect", "long away"])), max_size=60
)


@given(steps)
def test_no_gap_goes_untold(steps: list[int | str]) -> None:
    """A client that reads, goes and comes back accounts for every pass: had, skipped, lost, or a gap."""
    board, session = Board(), coming_back(0)
    sequence, last, accounted = 0, 0, True
    for step in steps:
        if isinstance(step, int):
            sequence += step
            arrive(board, sequence)
        elif step == "long away":
            for _ in range(RING_MAX + 1):
                sequence += 1
                arrive(board, sequence)
            session = coming_back(last)
        elif step == "reconnect":
            session = coming_back(last)
        for message in told(session, board) if step == "read" else []:
            if message["type"] == "gap":
                accounted = False
            elif message["type"] == "snapshot":
                assert last == 0 or not accounted
                last, accounted = message["sequence"], True
            elif message["type"] == "update":
                assert message["previous"] == last
                steps_told = 1 + message.get("conflated", 0) + message.get("lost", 0)
                assert message["sequence"] - last == steps_told
                last = message["sequence"]
