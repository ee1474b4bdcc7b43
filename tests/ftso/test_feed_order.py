"""The canonical order of feeds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import FeedId
from core.ftso.errors import ConflictingOffers, OutOfRange
from core.ftso.feed_order import CommunityOffer, Feed, canonical_feed_order


def feed(name: str, decimals: int = 2) -> Feed:
    return Feed(FeedId.of(name), decimals)


A, B, C, D = (feed(name) for name in ("A/USD", "B/USD", "C/USD", "D/USD"))


def test_inflation_comes_first_by_id_then_the_communitys_by_what_is_offered() -> None:
    offers = [CommunityOffer(A, 5), CommunityOffer(C, 9), CommunityOffer(A, 5), CommunityOffer(D, 10**20)]
    assert canonical_feed_order([D, B], offers) == (B, D, A, C)


def test_equal_offers_stand_by_id() -> None:
    assert canonical_feed_order([], [CommunityOffer(feed, 7) for feed in (C, A, B)]) == (A, B, C)


feeds = st.sampled_from([A, B, C, D])
offers = st.lists(st.builds(CommunityOffer, feeds, st.integers(0, 3)), max_size=9)


@given(
    st.lists(feeds, max_size=6), offers.flatmap(lambda made: st.tuples(st.just(made), st.permutations(made)))
)
def test_the_order_of_the_offers_does_not_matter_and_every_feed_stands_once(
    inflation: list[Feed], community: tuple[list[CommunityOffer], list[CommunityOffer]]
) -> None:
    found = canonical_feed_order(inflation, community[0])
    assert found == canonical_feed_order(reversed(inflation), community[1])
    assert sorted(f.id for f in found) == sorted(
        {f.id for f in [*inflation, *(o.feed for o in community[0])]}
    )


@pytest.mark.parametrize("inflation", [[A], []])
def test_offers_that_disagree_on_decimals_are_refused(inflation: list[Feed]) -> None:
    community = [CommunityOffer(A, 1), CommunityOffer(feed("A/USD", 3), 1)]
    with pytest.raises(ConflictingOffers) as refused:
        canonical_feed_order(inflation, community)
    assert (refused.value.decimals, refused.value.other) == (2, 3)


def test_decimals_are_a_signed_byte() -> None:
    with pytest.raises(OutOfRange):
        feed("A/USD", 128)
