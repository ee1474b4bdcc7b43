"""The board of venues: the latest word of every collector on every venue."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from chrono.ticks import Reason
from chrono.venue_state import VenueReport, VenueState
from core.venue_board import CHANGES_MAX, COLLECTORS_MAX, FORGET_S, Board, BoardMetrics

AT = 1_800_000_000.0
EDGE, LOCAL = bytes([1] * 8), bytes([2] * 8)


def kraken(state: VenueState = VenueState.HEALTHY) -> VenueReport:
    return VenueReport("kraken", state, AT, requests=7, refused={Reason.JUMP: 2})


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def board(registry: CollectorRegistry) -> Board:
    return Board(BoardMetrics(registry))


def test_two_collectors_may_say_different_things_of_one_venue(board: Board) -> None:
    board.post(EDGE, [kraken()], 0, AT)
    board.post(LOCAL, [kraken(VenueState.BANNED)], 0, AT)
    states = {heard.collector: heard.report.state for heard in board.reports(AT)}
    assert states == {EDGE.hex(): VenueState.HEALTHY, LOCAL.hex(): VenueState.BANNED}


def test_only_changes_of_state_are_told(board: Board) -> None:
    for state in (VenueState.HEALTHY, VenueState.HEALTHY, VenueState.BANNED, VenueState.BANNED):
        board.post(EDGE, [kraken(state)], 0, AT)
    assert [heard.report.state for heard in board.take_changes()] == [VenueState.HEALTHY, VenueState.BANNED]
    assert board.take_changes() == []


def test_changes_that_were_put_back_come_first_and_newest_win_when_full(board: Board) -> None:
    board.post(EDGE, [kraken()], 0, AT)
    first = board.take_changes()
    board.post(EDGE, [kraken(VenueState.BANNED)], 0, AT)
    board.put_back(first)
    assert [heard.report.state for heard in board.take_changes()] == [VenueState.HEALTHY, VenueState.BANNED]
    for number in range(CHANGES_MAX + 5):
        board.post(EDGE, [kraken(VenueState.BANNED if number % 2 else VenueState.HEALTHY)], 0, AT + number)
    assert len(board.take_changes()) == CHANGES_MAX


def test_a_silent_collector_is_forgotten(board: Board) -> None:
    board.post(EDGE, [kraken()], 0, AT)
    assert board.reports(AT + FORGET_S)
    assert board.reports(AT + FORGET_S + 1) == []


def test_collectors_are_bounded_and_the_latest_heard_stay(board: Board) -> None:
    for number in range(COLLECTORS_MAX + 3):
        board.post(number.to_bytes(8, "big"), [kraken()], 0, AT + number)
    heard = {each.collector for each in board.reports(AT + COLLECTORS_MAX)}
    assert len(heard) == COLLECTORS_MAX
    assert (0).to_bytes(8, "big").hex() not in heard


def test_counters_of_the_collector_are_measured(board: Board, registry: CollectorRegistry) -> None:
    board.post(EDGE, [kraken()], 9, AT)
    labels = {"collector": EDGE.hex(), "venue": "kraken"}
    dropped = {"collector": EDGE.hex(), "venues": "kraken"}
    assert registry.get_sample_value("chrono_venue_requests", labels) == 7
    assert registry.get_sample_value("chrono_venue_rows_refused", {**labels, "reason": "absurd_jump"}) == 2
    assert registry.get_sample_value("chrono_collector_ticks_dropped", dropped) == 9
