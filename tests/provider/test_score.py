"""Our score in a round, held against a computation by hand."""

from __future__ import annotations

import pytest

from chrono.feeds import FEEDS
from core.ftso.feed_order import Feed
from core.ftso.feed_values import encode_values
from core.ftso.identities import Address, VotingRoundId
from core.ftso.results import RoundResults, Voter, round_results
from core.ftso.reveal import Reveal
from core.provider.score import score

FEED = Feed(FEEDS[0].id, FEEDS[0].decimals)
MEDIAN = 1_000_000
WIDTH = MEDIAN * FEEDS[0].secondary_band_ppm // 1_000_000


def address(number: int) -> Address:
    return Address(bytes([number]) * 20)


def results(*values: int | None) -> RoundResults:
    voters = [Voter(address(place), 100) for place in range(1, len(values) + 1)]
    kept = {
        voter.submit_address: Reveal(b"\x01" * 32, encode_values([value]))
        for voter, value in zip(voters, values, strict=True)
    }
    return round_results(VotingRoundId(7), feeds=[FEED], voters=voters, kept=kept, offended=[], benched=[])


def scored(*values: int | None, own: int = 1):  # type: ignore[no-untyped-def]
    voters = tuple(address(place) for place in range(1, len(values) + 1))
    return score(results(*values), voters, address(own)).feeds[0]


def test_a_value_between_the_quartiles_is_in_the_primary_band() -> None:
    feed = scored(MEDIAN, MEDIAN - 10, MEDIAN - 9, MEDIAN + 9, MEDIAN + 10)
    assert (feed.primary, feed.rank, feed.distance_ppm) == (True, 1, 0.0)


@pytest.mark.parametrize(("distance", "inside"), [(WIDTH - 1, True), (WIDTH, False), (WIDTH + 1, False)])
def test_the_secondary_band_leaves_its_border_out(distance: int, inside: bool) -> None:
    feed = scored(MEDIAN + distance, MEDIAN, MEDIAN, MEDIAN, MEDIAN)
    assert (feed.value, feed.secondary) == (MEDIAN, inside)


@pytest.mark.parametrize(("distance", "inside"), [(5_000, True), (5_001, False)])
def test_the_half_percent_band_includes_its_border(distance: int, inside: bool) -> None:
    assert scored(MEDIAN - distance, MEDIAN, MEDIAN, MEDIAN, MEDIAN).minimal is inside


def test_equal_distances_share_a_rank() -> None:
    values = (MEDIAN + 5, MEDIAN, MEDIAN - 5, MEDIAN + 6, MEDIAN - 7)
    assert [scored(*values, own=place).rank for place in range(1, 6)] == [2, 1, 2, 4, 5]


def test_a_feed_that_we_gave_no_value_for_has_no_score() -> None:
    feed = scored(None, MEDIAN, MEDIAN)
    assert (feed.ours, feed.rank, feed.primary, feed.providers) == (None, None, False, 2)


def test_on_the_border_of_the_primary_band_a_hash_decides_for_each_provider_alike() -> None:
    values = (MEDIAN,) * 40
    hits = [scored(*values, own=place).primary for place in range(1, 41)]
    assert 5 < sum(hits) < 35
