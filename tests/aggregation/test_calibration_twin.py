"""The band's factor against its plain twin."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation import calibration
from core.aggregation.rules import RULES
from tests.aggregation.lessons import MARKETS, SEEDS, SHAPE, STEPS_S, close
from tests.aggregation.markets import NOW
from tests.aggregation.plain.calibration import PlainBands


@settings(max_examples=60)
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
        close(calibration.factor(memory, RULES), [twin.factor(row) for row in range(SHAPE[0])])
        shown, error, many = rng.random((3, SHAPE[0])) * [[1e-3], [1e-3], [300]]
        wanted = [twin.width(row, shown[row], error[row], int(many[row])) for row in range(SHAPE[0])]
        close(calibration.width(memory, shown, error, many.astype(int), RULES), wanted)
