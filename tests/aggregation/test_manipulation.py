"""One venue against all others: the whole feed table, everything learned on, each venue in turn.

`python -m benchmarks manipulation` tries more sizes for longer; the figures are in docs/accuracy.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chrono.feeds import DEX_VENUES, FEEDS, VENUES
from core.aggregation.estimates import FeedState
from core.aggregation.markets import STABLECOINS
from core.forge.one_venue import Manipulation, OneVenue, manipulations
from core.forge.synthetic import REGIMES, simulate
from tests.aggregation.markets import Bench, feed

EXCHANGES = np.array([len({leg.venue for leg in each.legs}.difference(DEX_VENUES)) for each in FEEDS])
STABLE = np.array([each.base in STABLECOINS for each in FEEDS])
BOUND = 1.5
"""Bands: what is learned of the others' medians may lean on one venue, and adds to the centre's move."""
MOVE = (
    ("pump", 0.001, 0.0),
    ("pump", -0.01, 0.0),
    ("pump", 99.0, 0.0),
    ("ramp", -0.95, 60.0),
    ("freeze", 0.0, 0.0),
)


@pytest.fixture(scope="module")
def trial() -> OneVenue:
    """Twelve rounds of a calm market that were learned from, and one in which a venue lies."""
    calm = replace(REGIMES["calm"], outages_hour=0.0)
    tape = simulate(FEEDS, calm, seed=71, segment=0, rounds=14)
    return OneVenue(tape, seed=71, warm_up=12, providers=30)


@pytest.mark.parametrize("venue", VENUES)
def test_one_venue_moves_no_estimate_much_further_than_a_band_or_than_the_others_stand_apart(
    trial: OneVenue, venue: str
) -> None:
    for kind, size, ramp_s in MOVE:
        moved = trial.move(Manipulation(venue, kind, size, ramp_s, of_limit=kind == "ramp"))
        many = (EXCHANGES >= 3) & ~STABLE
        assert moved.beyond[many & ~np.isnan(moved.beyond)].max() < BOUND, (kind, size)
        assert moved.bands[STABLE].max() < 2.5, (kind, size)  # of 1 bp each
        pools = EXCHANGES == 0
        assert moved.bands[pools].max() < 0.02 / 200e-6, (kind, size)  # 1 % a minute, for two minutes


def test_a_venue_whose_stablecoin_markets_lie_moves_no_feed_by_a_band(trial: OneVenue) -> None:
    for venue in ("binance", "kraken"):
        for size in (0.0009, -0.005, 0.1):
            moved = trial.move(Manipulation(venue, "pump", size, where="edges"))
            assert moved.bands[~STABLE].max() < 1, (venue, size)


def test_a_manipulation_changes_the_legs_that_it_names_and_no_others(trial: OneVenue) -> None:
    legs = [leg for each in FEEDS for leg in each.legs]
    every = trial.legs_of(Manipulation("okx", "pump"))
    edges = trial.legs_of(Manipulation("okx", "pump", where="edges"))
    markets = trial.legs_of(Manipulation("okx", "pump", where="markets"))
    assert {legs[leg].venue for leg in every} == {"okx"}
    assert {str(legs[leg]) for leg in edges} == {"okx:USDT/USD", "okx:USDC/USDT", "okx:USDS/USDT"}
    assert sorted([*edges, *markets]) == every.tolist()


def test_each_venue_is_manipulated_in_each_way() -> None:
    tried = list(manipulations(("binance", "okx")))
    assert len(set(tried)) == len(tried)
    assert {each.kind for each in tried if each.venue == "okx"} == {"pump", "ramp", "freeze"}


@settings(max_examples=60)
@given(st.floats(0.01, 100.0), st.sampled_from([1.0, 1e6]), st.booleans())
def test_of_two_venues_the_band_spans_both_so_the_true_price_is_inside(
    lie: float, volume: float, first: bool
) -> None:
    bench = Bench(feed(0, "MON", "coinbase:MON/USD", "kraken:MON/USD"))
    liar, honest = bench.legs if first else bench.legs[::-1]
    bench.quote(honest, 1.0)
    bench.quote(liar, lie, volume=volume)
    got = bench.estimate()
    assert got.state[0] == FeedState.LIVE
    assert got.venues_used[0] == 2
    assert got.band_low[0] * (1 - 1e-9) <= 1.0 <= got.band_high[0] * (1 + 1e-9)
    assert min(lie, 1.0) * (1 - 1e-6) <= got.price[0] <= max(lie, 1.0) * (1 + 1e-6)
