from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import Leg
from chrono.listing import ASIDE_S, Listing

AT = 1_750_000_000.0
LEGS = tuple(Leg("binance", f"A{index}", "USDT") for index in range(58))


def search(listing: Listing, bad: set[Leg], at: float = AT, requests_max: int = 2_000) -> int:
    """Ask for every due group as a venue that refuses any group with a bad leg; the number of requests."""
    for count in range(requests_max):
        group = listing.due_group(at)
        if group is None:
            return count
        group.due_at = at + 1.5
        if bad.intersection(group.legs):
            listing.disowned(group, at)
        else:
            listing.answered(group)
    raise AssertionError("the search does not end")


def groups_due(listing: Listing, at: float) -> list[tuple[Leg, ...]]:
    groups = []
    while group := listing.due_group(at):
        group.in_flight = True
        groups.append(group.legs)
    return groups


def test_all_legs_are_asked_for_with_one_request() -> None:
    assert groups_due(Listing(LEGS, AT), AT) == [LEGS]


def test_one_unknown_symbol_is_found_by_halving_and_the_rest_is_joined_again() -> None:
    listing = Listing(LEGS, AT)
    requests = search(listing, {LEGS[17]})
    assert requests <= 14
    assert listing.aside == {LEGS[17]}
    assert groups_due(listing, AT + 1.5) == [LEGS[:17] + LEGS[18:]]


@given(st.sets(st.sampled_from(LEGS), max_size=12))
def test_any_few_unknown_symbols_are_all_found_and_no_other(bad: set[Leg]) -> None:
    listing = Listing(LEGS, AT)
    search(listing, bad)
    assert listing.aside == bad
    assert groups_due(listing, AT + 1.5) == [tuple(leg for leg in LEGS if leg not in bad)]


def test_a_symbol_set_aside_is_tried_again_after_an_hour_by_itself() -> None:
    listing = Listing(LEGS, AT)
    search(listing, {LEGS[0]})
    listing.recall(AT + ASIDE_S - 1)
    assert listing.aside == {LEGS[0]}
    listing.recall(AT + ASIDE_S)
    assert (LEGS[0],) in groups_due(listing, AT + ASIDE_S)


def test_all_that_a_venue_has_shows_every_unknown_symbol_at_once() -> None:
    listing = Listing(LEGS, AT)
    group = listing.due_group(AT)
    assert group is not None
    listing.narrowed(group, LEGS[:3], AT)
    assert listing.aside == set(LEGS[:3])
    assert groups_due(listing, AT) == [LEGS[3:]]


def test_a_symbol_that_is_known_again_joins_the_others() -> None:
    listing = Listing(LEGS, AT)
    search(listing, {LEGS[0]})
    listing.recall(AT + ASIDE_S)
    search(listing, set(), AT + ASIDE_S)
    assert groups_due(listing, AT + ASIDE_S + 2) == [LEGS]


def test_a_venue_that_disowns_most_of_its_symbols_is_not_believed() -> None:
    listing = Listing(LEGS[:4], AT)
    search(listing, set(LEGS[:2]))
    assert not listing.is_mostly_aside
    search(listing, {LEGS[2]}, AT + 2)
    assert listing.is_mostly_aside
    listing.start_over(AT + 2)
    assert groups_due(listing, AT + 2) == [LEGS[:4]]


def test_a_late_answer_for_a_group_that_was_joined_changes_nothing() -> None:
    listing = Listing(LEGS[:2], AT)
    whole = listing.due_group(AT)
    assert whole is not None
    listing.disowned(whole, AT)
    assert listing.disowned(whole, AT) is None
    assert sorted(groups_due(listing, AT)) == [(LEGS[0],), (LEGS[1],)]
