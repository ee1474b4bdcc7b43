"""What the estimator learns of legs, of others and of its own band, told in small markets."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation.calibration import BandMemory, factor, learn_from_round
from core.aggregation.estimates import Estimates
from core.aggregation.legs import dollar_level
from core.aggregation.markets import Markets
from core.aggregation.rules import RULES
from tests.aggregation.markets import NOW, Bench, feed

_VENUES = ("binance", "bybit", "coinbase", "kraken", "okx")
_BAND = 500e-6


def _market() -> Bench:
    """Bitcoin in dollars and in USDT, and what ties USDT to the dollar."""
    return Bench(
        feed(0, "BTC", *(f"{v}:BTC/USD" for v in _VENUES), "okx:BTC/USDT", "bybit:BTC/USDT", band_ppm=500),
        feed(1, "USDT", *(f"{v}:USDT/USD" for v in ("coinbase", "kraken", "binance")), band_ppm=100),
    )


def _show(bench: Bench, at: float, worth: float = 20_000.0, usdt: float = 1.0, **off: float) -> Estimates:
    """Every leg at its worth, times one plus what its venue is `off`, and the pass at that time."""
    for leg in bench.legs:
        venue, pair = leg.split(":")
        base, quote = pair.split("/")
        price = (worth if base == "BTC" else usdt) / (usdt if quote == "USDT" else 1.0)
        bench.quote(leg, price * (1 + off.get(venue, 0.0)), at=at)
    return bench.estimate(at)


@settings(max_examples=12)
@given(
    st.sampled_from(_VENUES),
    st.one_of(st.floats(-0.9, 5.0), st.floats(-0.003, 0.003)),
    st.integers(1, 6),
    st.lists(st.floats(-1e-4, 1e-4), min_size=5, max_size=5),
)
def test_one_pumped_venue_moves_the_price_by_no_more_than_a_secondary_band(
    pumped: str, by: float, passes: int, noise: list[float]
) -> None:
    honest, forged = _market(), _market()
    here = dict(zip(_VENUES, noise, strict=True))
    for step in range(passes):
        at = NOW + 5 * step
        wanted = _show(honest, at, **here).price[0]
        got = _show(forged, at, **(here | {pumped: by})).price[0]
        assert abs(got / wanted - 1) <= _BAND


def test_dollars_that_are_worth_less_at_a_venue_are_found_out() -> None:
    bench = _market()
    for minute in range(100):
        got = _show(bench, NOW + 60 * minute, kraken=-8e-4)
    leg = bench.legs.index("kraken:BTC/USD")
    assert got.legs.price[leg] == pytest.approx(20_000 * (1 - 8e-4), rel=1e-6)  # what the venue shows
    kraken = bench.window.markets.venues.index("kraken")
    offset = bench.aggregator.memory.legs.offset.reshape(len(bench.window.markets.venues), -1)
    assert offset[kraken, 0] == pytest.approx(8e-4, rel=0.2)


def test_dollars_that_stand_far_apart_from_the_first_look_on_are_found_out_too() -> None:
    bench = _market()
    for minute in range(300):
        _show(bench, NOW + 60 * minute, kraken=-27e-4)
    kraken = bench.window.markets.venues.index("kraken")
    offset = bench.aggregator.memory.legs.offset.reshape(len(bench.window.markets.venues), -1)
    assert offset[kraken, 0] == pytest.approx(27e-4, rel=0.2)


def test_a_pair_that_is_called_dollar_and_moves_like_usdt_is_treated_so() -> None:
    bench = _market()
    for step in range(240):
        usdt = 1.0 + min(step, 100) * 1e-4  # one percent, little by little
        got = _show(bench, NOW + 2 * step, usdt=usdt, okx=1 / usdt - 1 if step else 0.0)
    okx = bench.window.markets.venues.index("okx")
    assert bench.window.markets.currencies[bench.aggregator.memory.legs.hidden[okx]] == "USDT"
    assert got.price[0] == pytest.approx(20_000, rel=1e-4)


@given(st.lists(st.floats(-0.01, 0.01), min_size=3, max_size=8), st.floats(-1, 1))
def test_one_venue_cannot_put_the_dollar_outside_what_the_others_say(others: list[float], lie: float) -> None:
    level = dollar_level(np.array([*others, lie]), np.ones(len(others) + 1))
    assert min(others) <= level <= max(others)


def test_the_others_constant_distance_is_learned_and_forgotten_when_rounds_stop() -> None:
    bench, others = _market(), 20_000 * (1 + 3e-4)
    for voting_round in range(60):
        at = NOW + 90 * voting_round
        got = _show(bench, at)
        bench.aggregator.learn(np.array([others, math.nan]), at)
    assert got.price[0] == pytest.approx(others, rel=1e-4)
    at += RULES.follow_stale_s + 1
    assert _show(bench, at).price[0] == pytest.approx(20_000, rel=1e-6)


def _apart(rng: np.random.Generator) -> dict[str, float]:
    """How far each venue is from the others for a round."""
    return dict(zip(_VENUES, rng.normal(0, 1e-4, len(_VENUES)).tolist(), strict=True))


@pytest.mark.parametrize("lie", [-0.9, -3e-3, -1e-3, 1e-3, 3e-3, 5.0])
def test_a_venue_that_the_others_follow_takes_the_price_no_further_than_a_secondary_band(lie: float) -> None:
    """The others show what Kraken shows, until it is believed; then it lies, and nobody can know yet."""
    honest, forged, rng = _market(), _market(), np.random.default_rng(7)
    for voting_round in range(100):
        at, here = NOW + 90 * voting_round, _apart(rng)
        for bench in (honest, forged):
            _show(bench, at, **here)
            bench.aggregator.learn(np.array([20_000 * (1 + here["kraken"]), math.nan]), at)
    here = _apart(rng)
    wanted = _show(honest, at + 90, **here).price[0]
    got = _show(forged, at + 90, **(here | {"kraken": lie})).price[0]
    assert abs(wanted / (20_000 * (1 + here["kraken"])) - 1) < 0.5e-4  # it is followed
    assert abs(got / wanted - 1) <= _BAND


def test_a_venue_that_others_follow_is_followed_whole_where_it_has_stood_and_hardly_in_what_is_new() -> None:
    """Kraken stands 8 bps off and the others are with it; then it stands 8 bps farther for one look."""
    bench, rng = _market(), np.random.default_rng(17)
    for voting_round in range(60):
        at, here = NOW + 90 * voting_round, _apart(rng) | {"kraken": 8e-4}
        got = _show(bench, at, **here)
        bench.aggregator.learn(np.array([20_000 * (1 + 8e-4), math.nan]), at)
    assert got.price[0] == pytest.approx(20_000 * (1 + 8e-4), rel=1.5e-4)
    here = _apart(rng)
    before = _show(bench, at + 90, **(here | {"kraken": 8e-4})).price[0]
    after = _show(bench, at + 90.5, **(here | {"kraken": 16e-4})).price[0]
    assert abs(after / before - 1) < 8e-4 / 2


def test_others_that_read_last_trades_are_followed_to_them() -> None:
    """Books stand still while trades wander: the median of readers of trades is not in any book."""
    bench, rng = _market(), np.random.default_rng(11)
    errors = []
    for voting_round in range(120):
        at = NOW + 90 * voting_round
        off = rng.normal(0, 3e-4, len(_VENUES))
        for venue, each in zip(_VENUES, off, strict=True):
            bench.quote(f"{venue}:BTC/USD", 20_000.0, at=at, last=20_000 * (1 + each))
        for venue in ("coinbase", "kraken", "binance"):
            bench.quote(f"{venue}:USDT/USD", 1.0, at=at)
        median = 20_000 * (1 + off.mean())
        errors.append(abs(bench.estimate(at).price[0] / median - 1))
        bench.aggregator.learn(np.array([median, math.nan]), at)
    assert np.mean(errors[80:]) < 0.4 * np.mean(errors[:10])


def test_the_band_is_as_wide_as_errors_are_and_wider_at_once_when_rounds_stop() -> None:
    bench, rng = _market(), np.random.default_rng(13)
    for voting_round in range(240):
        at = NOW + 90 * voting_round
        got = _show(bench, at)
        others = 20_000 * (1 + 3e-4 + rng.normal(0, 2e-5))
        bench.aggregator.learn(np.array([others, math.nan]), at)
    assert 2e-5 < (got.band_high[0] / got.band_low[0] - 1) / 2 < 8e-5
    later = _show(bench, at + RULES.follow_stale_s + 1)
    assert later.band_low[0] < 20_000 * (1 + 3e-4) < later.band_high[0]


@pytest.mark.parametrize("odd", [math.nan, math.inf, 0.0, -1.0, 25_000.0])
def test_after_an_odd_median_the_price_is_the_legs_own_at_once(odd: float) -> None:
    bench = _market()
    for voting_round in range(40):
        at = NOW + 90 * voting_round
        _show(bench, at)
        bench.aggregator.learn(np.array([20_006.0, math.nan]), at)
    _show(bench, at + 90)
    bench.aggregator.learn(np.array([odd, math.nan]), at + 90)
    assert _show(bench, at + 95).price[0] == pytest.approx(20_000, rel=1e-6)


def test_a_round_that_no_pass_was_near_teaches_nothing() -> None:
    bench = _market()
    _show(bench, NOW)
    before = bench.aggregator.memory
    bench.aggregator.learn(np.array([20_006.0, 1.0]), NOW - 500)
    assert bench.aggregator.memory is before


def test_moving_behind_the_market_is_learned() -> None:
    """The others show what we showed ten seconds ago: while the market moves, so does what is learned."""
    bench, rng = _market(), np.random.default_rng(3)
    worth, errors = 20_000.0, {"ours": [], "plain": []}
    for voting_round in range(150):
        for second in (10.0, 0.0):
            at = NOW + 90 * voting_round - second
            before, worth = worth, worth * (1 + rng.normal(0, 2e-4))
            got = _show(bench, at, worth)
        errors["ours"].append(abs(got.price[0] / before - 1))
        errors["plain"].append(abs(worth / before - 1))
        bench.aggregator.learn(np.array([before, math.nan]), at)
    assert np.median(errors["ours"][75:]) < 0.5 * np.median(errors["plain"][75:])


def test_nine_in_ten_are_inside_whatever_the_noise_is() -> None:
    """The width is stated before each outcome; noise that is eight times as wide is met half way through."""
    markets = Markets.of([feed(0, "BTC", "kraken:BTC/USD")])
    memory, rng, inside = BandMemory.blank(markets), np.random.default_rng(5), []
    for step in range(6_000):
        noise = 1.0 if step < 3_000 else 8.0
        miss = float(abs(rng.normal(0, noise)) > factor(memory, RULES)[0])
        inside.append(1 - miss)
        memory = learn_from_round(memory, np.array([miss]), float(step), RULES)
    assert np.mean(inside[200:]) == pytest.approx(0.9, abs=0.02)
