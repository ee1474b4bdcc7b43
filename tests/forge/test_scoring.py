"""The fast scoring against the protocol's own code, voter by voter."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chrono.feeds import FEED_BY_NAME
from core.forge.population import address_of
from core.forge.scoring import NO_VOTE, Voters, median_of, medians_of, score_all, votes_of
from core.ftso.bands import in_primary, in_secondary, reward_shares
from core.ftso.errors import OutOfRange
from core.ftso.feed_values import scaled

BTC, USDT = FEED_BY_NAME["BTC/USD"], FEED_BY_NAME["USDT/USD"]
ROUND = 1_300_000


@given(st.floats(allow_nan=True, allow_infinity=True))
def test_a_price_becomes_the_integer_that_the_chain_would_hold(price: float) -> None:
    vote = votes_of(np.array([price]), [BTC])[0]
    try:
        expected = scaled(price, BTC.decimals)
    except OutOfRange:
        expected = int(NO_VOTE)
    assert vote == expected


voters = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(99_900, 100_100)), st.integers(1, 50)), min_size=1, max_size=14
).filter(lambda drawn: any(vote is not None for vote, _ in drawn))


@given(voters)
@settings(max_examples=60)
def test_bands_and_rewards_are_those_of_the_protocol(drawn: list[tuple[int | None, int]]) -> None:
    weights = tuple(weight for _, weight in drawn)
    votes = np.array([NO_VOTE if vote is None else vote for vote, _ in drawn])
    addresses = tuple(address_of(str(place)) for place in range(len(drawn)))
    everything = votes[None, None, :]
    decided = medians_of(everything, weights)
    scores = score_all([ROUND], [USDT], everything, decided, Voters(addresses, weights))
    median = median_of(votes, weights)
    assert median.median is not None
    primary, secondary = [], []
    for (vote, _), who in zip(drawn, addresses, strict=True):
        primary.append(vote is not None and in_primary(ROUND, USDT.id, median, vote, who))
        secondary.append(vote is not None and in_secondary(median.median, vote, USDT.secondary_band_ppm))
    assert scores.primary[0, 0].tolist() == primary
    assert scores.secondary[0, 0].tolist() == secondary
    shares = np.array(reward_shares(weights, primary, secondary))
    paid = scores.reward[0, 0] * np.array(weights) / sum(weights)
    np.testing.assert_allclose(paid, shares, atol=1e-12)


def test_weight_that_is_all_inside_earns_one_for_each_unit() -> None:
    weights = (3, 5, 2)
    addresses = tuple(address_of(str(place)) for place in range(3))
    votes = np.array([[[100_000, 100_000, 100_000]]])
    lucky = [in_primary(ROUND, USDT.id, median_of(votes[0, 0], weights), 100_000, who) for who in addresses]
    scores = score_all([ROUND], [USDT], votes, medians_of(votes, weights), Voters(addresses, weights))
    inside = sum(weight for weight, hit in zip(weights, lucky, strict=True) if hit)
    expected = [0.6 + (0.4 * 10 / inside if hit else 0.0) for hit in lucky]
    assert scores.reward[0, 0].tolist() == pytest.approx(expected)


def test_who_gives_no_value_hits_nothing_and_earns_nothing() -> None:
    votes = np.array([[[100_000, int(NO_VOTE), 100_010]]])
    addresses = tuple(address_of(str(place)) for place in range(3))
    scores = score_all([ROUND], [USDT], votes, medians_of(votes, (1, 1, 1)), Voters(addresses, (1, 1, 1)))
    assert not scores.primary[0, 0, 1]
    assert scores.reward[0, 0, 1] == 0
    assert np.isnan(scores.distance_ppm[0, 0, 1])
