"""Who finalizes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.ftso.errors import OutOfRange
from core.ftso.finalizers import draw
from core.ftso.hashing import keccak

seeds = st.binary(min_size=32, max_size=32)


def twin(weights: list[int], seed: bytes, share_bips: int) -> list[int]:
    """A lottery with as many tickets as there is weight."""
    tickets = [index for index, weight in enumerate(weights) for _ in range(weight)]
    drawn: list[int] = []
    while sum(weights[index] for index in drawn) < len(tickets) * share_bips // 10_000:
        winner = tickets[int.from_bytes(seed, "big") % len(tickets)]
        drawn += [winner] if winner not in drawn else []
        seed = keccak(seed)
    return drawn


@given(st.lists(st.integers(1, 60), max_size=30), seeds, st.integers(1, 5000))
def test_the_draw_is_a_lottery_with_a_ticket_for_each_unit_of_weight(
    weights: list[int], seed: bytes, share_bips: int
) -> None:
    assert list(draw(weights, seed, share_bips)) == twin(weights, seed, share_bips)


@given(st.lists(st.integers(0, 60), max_size=30), seeds)
def test_the_drawn_hold_the_share_and_would_not_without_the_last(weights: list[int], seed: bytes) -> None:
    drawn = draw(weights, seed, 500)
    wanted = sum(weights) * 500 // 10_000
    assert len(set(drawn)) == len(drawn)
    assert sum(weights[index] for index in drawn) >= wanted
    assert not drawn or sum(weights[index] for index in drawn[:-1]) < wanted


def test_a_voter_without_weight_is_drawn_only_where_the_deployed_code_draws_it() -> None:
    weights = [1000, 1000, 0, 1000, 1000]
    where_two_begin, one_further = ((x).to_bytes(32, "big") for x in (2000, 2001))
    assert draw(weights, where_two_begin, 500)[0] == 2
    assert draw(weights, one_further, 500)[0] == 3


def test_a_share_of_less_than_one_unit_draws_nobody() -> None:
    assert draw([10, 9], bytes(32), 500) == ()


def test_a_share_above_half_is_refused_because_drawing_might_not_end() -> None:
    with pytest.raises(OutOfRange):
        draw([1, 1], bytes(32), 5001)
