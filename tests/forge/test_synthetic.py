"""The made market has what it promises: lags, pegs that break, pairs that hide their currency, outages."""

from __future__ import annotations

import numpy as np
import pytest

from core.forge.population import WEIGHT_CAP, WEIGHT_UNITS, draw_population
from core.forge.tape import COMMIT_S, EPOCH_S, FIRST_ROUND_AT
from tests.forge.scenes import small_tape


def test_the_same_seed_makes_the_same_market_and_another_one_another() -> None:
    tape, again, other = (small_tape.__wrapped__(seed=seed, rounds=3) for seed in (3, 3, 4))
    np.testing.assert_array_equal(tape.bid, again.bid)
    assert (tape.bid[:, : tape.own] != other.bid[:, : other.own]).any()


def test_commits_fall_where_the_protocol_has_them() -> None:
    tape = small_tape()
    starts = tape.voting_round * EPOCH_S + FIRST_ROUND_AT
    np.testing.assert_array_equal(tape.commit_at, starts + COMMIT_S)
    assert np.all(np.diff(tape.times) > 0)


def test_books_are_never_crossed_and_the_venues_time_is_never_ahead() -> None:
    for regime in ("calm", "crash", "depeg"):
        tape = small_tape(regime)
        assert np.all(tape.bid < tape.ask)
        told = ~np.isnan(tape.told_at)
        assert np.all((tape.told_at <= tape.times[:, None])[told])


def test_a_crash_moves_more_than_a_calm_hour() -> None:
    moved = {
        regime: np.std(np.diff(np.log(small_tape(regime, 20).truth[:, 0]))) for regime in ("calm", "crash")
    }
    assert moved["crash"] > 2 * moved["calm"]


def test_on_a_depeg_day_usdc_loses_percents_and_every_venue_shows_it() -> None:
    tape = small_tape("depeg", 40)
    legs = [at for at, leg in enumerate(tape.legs) if (leg.base, leg.quote) == ("USDC", "USD")]
    lowest = tape.mids()[:, legs].min(axis=0)
    assert np.all(lowest < 0.97)


def test_venues_of_a_feed_stay_close_to_what_it_is_worth() -> None:
    tape = small_tape(rounds=20)
    dollars = [
        at
        for at, leg in enumerate(tape.legs)
        if tape.feed[at] == 0 and leg.quote == "USD" and leg.venue in {"coinbase", "kraken"}
    ]
    off = tape.mids()[:, dollars] / tape.truth[:, :1] - 1
    assert np.percentile(np.abs(off), 95) < 0.003


def test_opponents_are_drawn_from_a_seed_with_capped_and_unequal_weights() -> None:
    drawn = draw_population(5)
    assert drawn == draw_population(5)
    assert drawn != draw_population(6)
    weights = np.array([provider.weight for provider in drawn])
    assert weights.max() <= WEIGHT_CAP * WEIGHT_UNITS * 1.001
    assert weights.max() > 10 * np.percentile(weights, 10)
    assert weights.sum() == pytest.approx(WEIGHT_UNITS, rel=1e-6)
