"""Small tapes and plans for the arena's tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from core.forge.arena import Plan, Segment, Wishes, plan_simulated, with_coins
from core.forge.synthetic import REGIMES, simulate
from core.forge.tape import Tape


@cache
def small_tape(regime: str = "calm", rounds: int = 6, seed: int = 3, feed: str = "XRP/USD") -> Tape:
    """One feed and the stablecoins over a few rounds."""
    return simulate(with_coins([feed]), REGIMES[regime], seed=seed, segment=0, rounds=rounds)


def small_plan(seed: int = 3, rounds: int = 6, entrants: tuple[str, ...] = ("chrono", "median")) -> Plan:
    """Two segments, without a warm-up, against twenty opponents."""
    plan = plan_simulated(Wishes(seed=seed, feeds=("XRP", "USDT"), rounds=rounds, entrants=entrants))
    segments = (Segment(0, "calm", rounds), Segment(1, "crash", rounds))
    return replace(plan, segments=segments, warm_up=0, providers=20)


def changed_after(tape: Tape, at: float, factor: float) -> Tape:
    """The same tape up to and with `at`; after it all prices are another's."""
    later = (tape.times > at)[:, None]
    prices = {name: np.where(later, getattr(tape, name) * factor, getattr(tape, name)) for name in _PRICES}
    return replace(tape, answers=np.where(later, ~tape.answers, tape.answers), **prices)


_PRICES = ("bid", "ask", "last", "traded", "volume_24h", "truth")
