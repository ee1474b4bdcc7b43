"""The weighted median against a slow, obvious twin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.errors import NoResult, OutOfRange
from core.ftso.median import NO_MEDIAN, turnout_bips, weighted_median


def twin(values: list[int | None], weights: list[int]) -> tuple[int | None, int | None, int | None]:
    """Every vote written out as many times as it weighs: the middle ones are simply looked up."""
    written = sorted(v for v, w in zip(values, weights, strict=True) if v is not None for _ in range(w))
    if not written:
        return None, None, None
    size = len(written)
    low, high = written[(size - 1) // 2], written[size // 2]
    return (low + high) // 2, written[size // 4], written[size - 1 - size // 4]


votes = st.lists(st.tuples(st.none() | st.integers(-50, 50), st.integers(1, 9)), max_size=12)


@given(votes)
def test_the_median_and_quartiles_are_those_of_the_written_out_votes(
    given_votes: list[tuple[int | None, int]],
) -> None:
    values, weights = [v for v, _ in given_votes], [w for _, w in given_votes]
    found = weighted_median(values, weights)
    assert (found.median, found.quartile1, found.quartile3) == twin(values, weights)
    assert found.weight == sum(w for v, w in given_votes if v is not None)


@given(votes.flatmap(lambda drawn: st.tuples(st.just(drawn), st.permutations(drawn))))
def test_the_order_of_the_voters_does_not_matter(
    pair: tuple[list[tuple[int | None, int]], list[tuple[int | None, int]]],
) -> None:
    one, other = (weighted_median([v for v, _ in some], [w for _, w in some]) for some in pair)
    assert one == other


@pytest.mark.parametrize(
    ("values", "weights", "median"),
    [
        ([1, 4], [1, 1], 2),  # exactly half of an even total: the floor of the mean with the next
        ([-4, -1], [1, 1], -3),  # the floor, below zero too
        ([1, 4], [2, 1], 1),  # an odd total is never halved
        ([1, 4, 9], [2, 1, 1], 2),
        ([1, 2, 9], [1, 0, 1], 1),  # the next value may weigh nothing: floor((1 + 2) / 2)
        ([5, 5, 9], [1, 0, 1], 5),  # among equal values the next one is the next voter's
        ([5, 5, 9], [0, 1, 1], 7),
        ([1, 9, 9], [10**28, 10**28 - 1, 2], 9),  # integers, however large
    ],
)
def test_the_median_of_an_even_total_follows_the_deployed_code(
    values: list[int | None], weights: list[int], median: int
) -> None:
    assert weighted_median(values, weights).median == median


def test_without_votes_there_is_no_median() -> None:
    assert weighted_median([None, None], [1, 2]) == weighted_median([], []) == NO_MEDIAN


def test_votes_that_weigh_nothing_have_a_median_but_no_quartiles() -> None:
    found = weighted_median([1, 4, 8], [0, 0, 0])
    assert (found.median, found.quartile1, found.quartile3, found.weight) == (2, None, None, 0)


def test_a_single_vote_that_weighs_nothing_is_no_result() -> None:
    with pytest.raises(NoResult):
        weighted_median([1, None], [0, 5])


def test_turnout_is_rounded_down_in_hundredths_of_a_percent() -> None:
    assert [turnout_bips(weight, 3) for weight in (0, 1, 2, 3)] == [0, 3333, 6666, 10000]


def test_a_turnout_of_nothing_or_of_more_than_all_is_refused() -> None:
    with pytest.raises(NoResult):
        turnout_bips(0, 0)
    with pytest.raises(OutOfRange):
        turnout_bips(5, 4)
