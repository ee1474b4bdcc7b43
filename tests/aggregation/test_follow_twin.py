"""What is learned of the others against its plain twin, over rounds of which some are odd."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from core.aggregation.follow import FollowMemory, choices, learn_round, predicted
from core.aggregation.rules import RULES
from core.aggregation.signals import Shown, SignalHistory
from tests.aggregation.lessons import FEEDS, MARKETS, PLACES, SEEDS, SHAPE, close, known
from tests.aggregation.markets import NOW
from tests.aggregation.plain.follow import PlainFollow, PlainHistory


@settings(max_examples=40)
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
            legs = _shown(rng)
            signals = history.signals(shown, legs, at)
            plainly = kept.signals(FEEDS, *_lists(shown, legs), at)
        wrong = rng.choice([0.0, 1e-4, 0.5, np.nan], SHAPE[0], p=[0.5, 0.3, 0.1, 0.1])
        median = np.exp(price + rng.normal(0, 2e-4, SHAPE[0]) + wrong)
        then, plainly_then = history.near(at + 3.0), kept.near(at + 3.0)
        assert then is not None
        assert plainly_then is not None
        memory = learn_round(MARKETS, memory, then, median, commit_at=at + 3.0, rules=RULES)
        twin.learn(plainly_then, [known(each) for each in median], at + 3.0)
    each = choices(MARKETS, memory, signals, RULES)
    now, error = predicted(MARKETS, memory, signals, at + 3.0 + later, RULES)
    for row in range(SHAPE[0]):
        close(each[:, row], twin.choices(plainly, row))
        close((now[row], error[row]), twin.predicted(plainly, row, at + 3.0 + later))
        close(memory.loss[:, row], twin.loss[row])
        assert (memory.rounds[row], memory.odd[row]) == (twin.rounds[row], twin.odd[row])


def _shown(rng: np.random.Generator) -> Shown:
    """Books and trades of the legs that there are, some of them missing."""
    apart, traded = np.full((2, *SHAPE), np.nan)
    places = tuple(np.array(PLACES).T)
    apart[places] = np.where(rng.random(len(PLACES)) < 0.1, np.nan, rng.normal(0, 5e-4, len(PLACES)))
    traded[places] = np.where(rng.random(len(PLACES)) < 0.2, np.nan, rng.normal(0, 8e-4, len(PLACES)))
    return Shown(apart, traded, rng.choice([0.0, 3.0, 60.0, 4_000.0, np.inf], SHAPE))


def _lists(
    price: np.ndarray, legs: Shown
) -> tuple[list[float | None], list[list[float | None]], list[list[tuple[float | None, float]]]]:
    apart, traded = [], []
    for row, each in enumerate(FEEDS):
        there = range(len(each.legs))
        apart.append([known(legs.apart[row, k]) for k in there])
        traded.append([(known(legs.traded[row, k]), float(legs.traded_age_s[row, k])) for k in there])
    return [known(each) for each in price], apart, traded
