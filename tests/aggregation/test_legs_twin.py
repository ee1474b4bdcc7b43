"""What is learned of legs against its plain twin, over random lessons with gaps and wrong legs."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation.legs import (
    LegMemory,
    Lesson,
    cells_of,
    corrections,
    dollar_level,
    learn_legs,
)
from core.aggregation.rules import RULES
from tests.aggregation.lessons import FEEDS, MARKETS, PLACES, SEEDS, SHAPE, STEPS_S, close, known
from tests.aggregation.markets import NOW
from tests.aggregation.plain import legs as plain_legs
from tests.aggregation.plain.legs import PlainLegLesson, PlainLegs


def _lesson(rng: np.random.Generator, at: float) -> Lesson:
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
    since = at - rng.choice([0.0, 3.0, 60.0, 4_000.0], SHAPE)
    return Lesson(residual, weight, used, price, rates, residual, since)


def _plain(lesson: Lesson, at: float) -> PlainLegLesson:
    return PlainLegLesson(
        residual={place: known(lesson.residual[place]) for place in PLACES},
        weight={place: float(lesson.weight[place]) for place in PLACES},
        used={place: bool(lesson.used[place]) for place in PLACES},
        log_price=[known(price) for price in lesson.log_price],
        log_rates={c: known(r) for c, r in zip(MARKETS.currencies, lesson.log_rates, strict=True)},
        stood_s={place: at - float(lesson.since[place]) for place in PLACES},
    )


@settings(max_examples=40)
@given(SEEDS, st.lists(STEPS_S, min_size=1, max_size=25))
def test_what_is_learned_of_legs_is_what_the_plain_twin_learns(seed: int, steps: list[float]) -> None:
    rng, at = np.random.default_rng(seed), NOW
    memory, twin = LegMemory.blank(MARKETS, RULES), PlainLegs(FEEDS, RULES)
    for step in steps:
        at += step
        lesson = _lesson(rng, at)
        memory = learn_legs(MARKETS, memory, lesson, at, RULES)
        twin = plain_legs.learn(twin, _plain(lesson, at), at)
        _assert_same_legs(memory, twin)


def _assert_same_legs(memory: LegMemory, twin: PlainLegs) -> None:
    told, at = corrections(MARKETS, memory, RULES), tuple(np.array(PLACES).T)
    legs = dict(twin.legs())
    for name in ("bias", "variance", "taught_s", "reliable", "lag_product"):
        close(getattr(memory, name)[at], [getattr(twin, name)[place] for place in PLACES])
    close(told.shift[at], [plain_legs.shift(twin, place, legs[place]) for place in PLACES])
    close(told.trust[at], [plain_legs.trust(twin, place) for place in PLACES])
    close(told.lag[at], [plain_legs.lag(twin, place) for place in PLACES])
    quotes = [MARKETS.currencies[quote] for quote in told.quote[at]]
    assert quotes == [plain_legs.quote(twin, legs[place]) for place in PLACES]
    offsets = [twin.offset[legs[place].venue, legs[place].quote] for place in PLACES]
    close(memory.offset[cells_of(MARKETS)[at]], offsets)
    close(memory.misfit, [[twin.misfit[v, c] for c in MARKETS.currencies] for v in MARKETS.venues])
    close(memory.slow, [math.nan if slow is None else slow for slow in twin.slow])
    close(memory.move_square, twin.move_square)
    close(memory.rate_square, [twin.rate_square[currency] for currency in MARKETS.currencies])
    close(told.walk, [plain_legs.walk(twin, currency) for currency in MARKETS.currencies])


@given(st.lists(st.floats(-0.01, 0.01), min_size=1, max_size=7), SEEDS)
def test_the_dollars_level_is_the_plain_one(offsets: list[float], seed: int) -> None:
    weights = np.random.default_rng(seed).choice([1.0, 3.0], len(offsets))
    close(dollar_level(np.array(offsets), weights), plain_legs.dollar_level(offsets, weights.tolist()))
