"""The tapes that a hidden venue is measured on: whole stretches of a recording, or a plan's made segments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from core.forge.arena import Plan, with_coins
from core.forge.candle_tape import minutes_tape, spans
from core.forge.entrants import ENTRANTS
from core.forge.hidden import Compared, compare
from core.forge.recordings import Recording
from core.forge.synthetic import REGIMES, simulate


def compare_recorded(plan: Plan, name: str, recording: Recording) -> Iterator[Compared]:
    """Every stretch of a recording, minute by minute."""
    makers = [ENTRANTS[entrant] for entrant in plan.entrants]
    for begin, end in spans(recording):
        tape = minutes_tape(recording, begin, end, np.empty(0), np.empty(0, np.intp))
        yield compare(tape, name, makers, plan.seed)


def compare_simulated(plan: Plan, name: str) -> Iterator[Compared]:
    """Every segment of a plan, commit by commit."""
    makers = [ENTRANTS[entrant] for entrant in plan.entrants]
    table = with_coins(plan.feeds)
    for segment in plan.segments:
        regime = REGIMES[segment.regime]
        tape = simulate(table, regime, seed=plan.seed, segment=segment.index, rounds=segment.rounds)
        yield compare(tape, name, makers, plan.seed)
