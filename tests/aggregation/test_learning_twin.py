"""What is learned, against the plain twins, over random lessons with gaps, odd rounds and wrong legs."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation import calibration
from core.aggregation.follow import FollowMemory, SignalHistory, choices, learn_round, predicted
from core.aggregation.legs import (
    LegMemory,
    Lesson,
    cells_of,
    corrections,
    dollar_level,
    learn_legs,
)
from core.aggregation.markets import Markets
from core.aggregation.rules import RULES
from tests.aggregation.markets import NOW, feed
from tests.aggregation.plain import legs as plain_legs
from tests.aggregation.plain.calibration import PlainBands
from tests.aggregation.plain.follow import PlainFollow, PlainHistory
from tests.aggregation.plain.legs import PlainLegLesson, PlainLegs

FEEDS = (
    feed(0, "USDT", "coinbase:USDT/USD", "kraken:USDT/USD", "okx:USDT/USD", band_ppm=100),
    feed(1, "BTC", "coinbase:BTC/USD", "kraken:BTC/USD", "kraken:BTC/USDT", "okx:BTC/USD", "okx:BTC/USDT"),
    feed(2, "XDC", "kraken:XDC/USD", "bybit:XDC/USDT", band_ppm=500),
    feed(3, "LEO", "okx:LEO/USD", band_ppm=1600),
)
MARKETS = Markets.of(FEEDS)
SHAPE = MARKETS.shape
PLACES = [(f, k) for f, each in enumerate(FEEDS) for k in range(len(each.legs))]
STEPS_S = st.sampled_from([-3.0, 0.0, 0.5, 1.0, 20.0, 300.0])
SEEDS = st.integers(0, 2**32 - 1)


def _lesson(rng: np.random.Generator) -> Lesson:
    """Small residuals, some of them large, some legs missing; weights as a pass gives them."""
    scale = rng.choice([1e-5, 2e-4, 1e-3, 0.05], SHAPE, p=[0.3, 0.4, 0.2, 0.1])
    residual = rng.normal(0, 1, SHAPE) * scale
    residual[rng.random(SHAPE) < 0.15] = np.nan
    there = np.zeros(SHAPE, np.bool_)
    there[tuple(np.array(PLACES).T)] = True
    residual[~there] = np.nan
    used = ~np.isnan(residual) & (rng.random(SHAPE) < 0.9)
    weight = np.where(used, rng.random(SHAPE), 0.0)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    price = 5.0 + rng.normal(0, 0.01, SHAPE[0])
    price[rng.random(SHAPE[0]) < 0.1] = np.nan
    rates = np.array([0.0, *rng.choice([1e-4, -0.004, 0.01, np.nan], len(MARKETS.currencies) - 1)])
    if rng.random() < 0.7:  # a venue whose dollars follow another currency
        hidden = there & (MARKETS.venue == MARKETS.venues.index("okx")) & (MARKETS.quote == 0)
        residual[hidden] = -np.nan_to_num(rates[1]) + rng.normal(0, 1e-5, int(hidden.sum()))
    return Lesson(residual, weight, used, price, rates)


def _plain(lesson: Lesson) -> PlainLegLesson:
    return PlainLegLesson(
        residual={place: _known(lesson.residual[place]) for place in PLACES},
        weight={place: float(lesson.weight[place]) for place in PLACES},
        used={place: bool(lesson.used[place]) for place in PLACES},
        log_price=[_known(price) for price in lesson.log_price],
        log_rates={c: _known(r) for c, r in zip(MARKETS.currencies, lesson.log_rates, strict=True)},
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(STEPS_S, min_size=1, max_size=25))
def test_what_is_learned_of_legs_is_what_the_plain_twin_learns(seed: int, steps: list[float]) -> None:
    rng, at = np.random.default_rng(seed), NOW
    memory, twin = LegMemory.blank(MARKETS, RULES), PlainLegs(FEEDS, RULES)
    for step in steps:
        at += step
        lesson = _lesson(rng)
        memory = learn_legs(MARKETS, memory, lesson, at, RULES)
        twin = plain_legs.learn(twin, _plain(lesson), at)
        _assert_same_legs(memory, twin)


def _assert_same_legs(memory: LegMemory, twin: PlainLegs) -> None:
    told, at = corrections(MARKETS, memory, RULES), tuple(np.array(PLACES).T)
    legs = dict(twin.legs())
    for name in ("bias", "variance", "taught_s", "reliable", "lag_product"):
        _close(getattr(memory, name)[at], [getattr(twin, name)[place] for place in PLACES])
    _close(told.shift[at], [plain_legs.shift(twin, place, legs[place]) for place in PLACES])
    _close(told.trust[at], [plain_legs.trust(twin, place) for place in PLACES])
    _close(told.lag[at], [plain_legs.lag(twin, place) for place in PLACES])
    quotes = [MARKETS.currencies[quote] for quote in told.quote[at]]
    assert quotes == [plain_legs.quote(twin, legs[place]) for place in PLACES]
    offsets = [twin.offset[legs[place].venue, legs[place].quote] for place in PLACES]
    _close(memory.offset[cells_of(MARKETS)[at]], offsets)
    _close(memory.misfit, [[twin.misfit[v, c] for c in MARKETS.currencies] for v in MARKETS.venues])
    _close(memory.slow, [math.nan if slow is None else slow for slow in twin.slow])
    _close(memory.move_square, twin.move_square)


@given(st.lists(st.floats(-0.01, 0.01), min_size=1, max_size=7), SEEDS)
def test_the_dollars_level_is_the_plain_one(offsets: list[float], seed: int) -> None:
    weights = np.random.default_rng(seed).choice([1.0, 3.0], len(offsets))
    _close(dollar_level(np.array(offsets), weights), plain_legs.dollar_level(offsets, weights.tolist()))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.integers(1, 25), st.sampled_from([0.0, 5.0, 899.0, 901.0]))
def test_what_is_learned_of_the_others_is_what_the_plain_twin_learns(
    seed: int, rounds: int, later: float
) -> None:
    rng, at = np.random.default_rng(seed), NOW
    memory, twin = FollowMemory.blank(MARKETS), PlainFollow(FEEDS, RULES)
    history, kept = SignalHistory(MARKETS, RULES), PlainHistory(RULES)
    price = np.full(SHAPE[0], 5.0)
    for _ in range(rounds):
        for step in (40.0, 0.4, 0.4, 2.0, 8.0):
            at += step
            price = price + rng.normal(0, 2e-4, SHAPE[0])
            shown = np.where(rng.random(SHAPE[0]) < 0.05, np.nan, price)
            apart = np.zeros(SHAPE)
            apart[tuple(np.array(PLACES).T)] = rng.normal(0, 5e-4, len(PLACES))
            signals = history.signals(MARKETS, shown, apart, at)
            plainly = kept.signals(FEEDS, *_lists(shown, apart), at)
        wrong = rng.choice([0.0, 1e-4, 0.5, np.nan], SHAPE[0], p=[0.5, 0.3, 0.1, 0.1])
        median = np.exp(price + rng.normal(0, 2e-4, SHAPE[0]) + wrong)
        then, plainly_then = history.near(at + 3.0), kept.near(at + 3.0)
        assert then is not None
        assert plainly_then is not None
        memory = learn_round(MARKETS, memory, then, median, commit_at=at + 3.0, rules=RULES)
        twin.learn(plainly_then, [_known(each) for each in median], at + 3.0)
    each = choices(MARKETS, memory, signals, RULES)
    now = predicted(MARKETS, memory, signals, at + 3.0 + later, RULES)
    for row in range(SHAPE[0]):
        _close(each[:, row], twin.choices(plainly, row))
        _close(now[row], twin.predicted(plainly, row, at + 3.0 + later))
        _close(memory.loss[:, row], twin.loss[row])
        assert (memory.rounds[row], memory.odd[row]) == (twin.rounds[row], twin.odd[row])


def _lists(price: np.ndarray, apart: np.ndarray) -> tuple[list[float | None], list[list[float]]]:
    by_feed = [apart[row, : len(each.legs)].tolist() for row, each in enumerate(FEEDS)]
    return [_known(each) for each in price], by_feed


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.lists(st.tuples(STEPS_S, st.sampled_from(["legs", "round"])), min_size=1, max_size=30))
def test_the_bands_factor_is_the_plain_one(seed: int, steps: list[tuple[float, str]]) -> None:
    rng, at = np.random.default_rng(seed), NOW
    memory, twin = calibration.BandMemory.blank(MARKETS), PlainBands(SHAPE[0], RULES)
    for step, kind in steps:
        at += step * (20.0 if kind == "round" else 1.0)
        if kind == "round":
            outside = rng.choice([0.0, 1.0, np.nan], SHAPE[0])
            memory = calibration.learn_from_round(memory, outside, at, RULES)
            twin.learn_from_round([None if np.isnan(each) else bool(each) for each in outside], at)
        else:
            weight = np.where(rng.random(SHAPE) < 0.7, rng.random(SHAPE), 0.0)
            apart, width = rng.normal(0, 1e-3, SHAPE), np.full(SHAPE[0], 1e-3)
            memory = calibration.learn_from_legs(memory, apart, weight, width, at=at, rules=RULES)
            paired = [list(zip(*rows, strict=True)) for rows in zip(apart, weight, strict=True)]
            twin.learn_from_legs(paired, width.tolist(), at)
        _close(calibration.factor(memory, RULES), [twin.factor(row) for row in range(SHAPE[0])])


def _close(got: object, wanted: object) -> None:
    np.testing.assert_allclose(got, wanted, rtol=1e-7, atol=1e-13)
