"""Detectors of anomalies beside each other: precision, recall, delay, and what acting on them would cost.

Four detectors see the same features of the same looks at the same markets, with manipulation put in
(`core.forge.anomaly.injections`): simulated calm, crash and depeg, and recorded candles where there are any
(`CHRONO_SHARED`, or `shared` beside the repository, has `market/`; else those rows are missing). Each
detector's threshold is the one of the best F1 on one seed, or on the first days of the recording; the rows
are of other seeds and later days. On tapes without injections every alarm is false, but for a leg that stood
still by an outage of the market's own.

Hampel alone is what every pass does anyway. `cost` is in hundredths of a basis point, of all
looks at tapes with nothing put in: what the estimate would lose if the legs in an alarm had no weight.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.aggregation import synthetic_ticks
from benchmarks.anomaly_models import Forest, Trees
from chrono.feeds import FEEDS
from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets
from core.aggregation.window import Window
from core.forge.anomaly.detectors import Detector, Hampel, StateSpace
from core.forge.anomaly.features import Features, Glance, Habits
from core.forge.anomaly.injections import MANIPULATIONS, Injected, draw_injections, inject
from core.forge.anomaly.trial import Measured, Observed, alarms, measure, observe, scores_of, tape_of
from core.forge.candle_tape import minutes_tape, spans
from core.forge.match import entrants_schedule
from core.forge.recordings import read_recording
from core.forge.synthetic import REGIMES, simulate
from core.forge.tape import Schedule, Tape

SHARED: Final = Path(os.environ.get("CHRONO_SHARED", Path(__file__).parents[2] / "shared"))
CANDLES: Final = SHARED / "market" / "ohlcv_1m_btc_stables.parquet"
NAMES: Final = ("FLR/USD", "BTC/USD", "XRP/USD", "ALGO/USD", "ARB/USD", "USDC/USD", "USDT/USD")
DETECTORS: Final[Mapping[str, Callable[[Markets], Detector]]] = {
    "hampel": Hampel,
    "half-space trees": Trees,
    "isolation forest": Forest,
    "state space": StateSpace,
}
CHOSEN_ON, MEASURED_ON = 5, (21, 22)
_EVERY_S = 150.0
_MINUTES = Habits(late_s=180.0)


def run(quick: bool = False) -> list[dict[str, Any]]:
    """The table's rows."""
    rounds, seeds = (8, MEASURED_ON[:1]) if quick else (16, MEASURED_ON)
    markets = [
        (
            "simulated",
            _simulated(CHOSEN_ON, rounds, injected=True),
            [seen for seed in seeds for seen in _simulated(seed, rounds, injected=True)],
            [seen for seed in seeds for seen in _simulated(seed, rounds, injected=False)],
        )
    ]
    if CANDLES.exists():
        markets.append(("recorded", *_recorded(800 if quick else 2_000)))
    rows = []
    for name, chosen_on, measured_on, clean in markets:
        rows += _rows(name, chosen_on, measured_on, clean)
    return [*rows, *_speed(quick)]


def _simulated(seed: int, rounds: int, *, injected: bool) -> list[Observed]:
    feeds = [feed for feed in FEEDS if feed.name in NAMES]
    seen = []
    for regime in REGIMES.values():
        tape = simulate(feeds, regime, seed=seed, segment=0, rounds=rounds)
        made = inject(tape, draw_injections(tape, seed, _EVERY_S), seed) if injected else tape_of(tape)
        seen.append(observe(made, entrants_schedule(tape, seed), warm_up_s=180.0))
    return seen


def _recorded(minutes: int) -> tuple[list[Observed], list[Observed], list[Observed]]:
    """The first days with manipulation, the later days with it, and the later days as they were."""
    recording = read_recording(CANDLES)
    first, last = spans(recording)[0], spans(recording)[-1]
    begins = (first[0] + 10, max(last[1] - minutes, last[0] + 10))
    told = []
    for begin in begins:
        none = np.empty(0)
        tape = minutes_tape(recording, begin, begin + minutes, none, none.astype(np.intp))
        schedule = Schedule(tape.times + 0.5, 0.4)
        bare = _minutes_of(tape, schedule)
        known = replace(tape, truth=bare.price)  # what the estimate is without any manipulation
        made = inject(known, draw_injections(known, CHOSEN_ON, 1_800.0, slower=8.0), CHOSEN_ON)
        told.append((_minutes_of(made, schedule), _minutes_of(known, schedule)))
    return [told[0][0]], [told[1][0]], [told[1][1]]


def _minutes_of(tape: Tape | Injected, schedule: Schedule) -> Observed:
    made = tape_of(tape) if isinstance(tape, Tape) else tape
    return observe(made, schedule, warm_up_s=7_200.0, habits=_MINUTES)


def _rows(
    market: str, chosen_on: Sequence[Observed], measured_on: Sequence[Observed], clean: Sequence[Observed]
) -> list[dict[str, Any]]:
    told = {name: _measured(make, chosen_on, measured_on, clean) for name, make in DETECTORS.items()}
    rows = []
    for figure, unit in (
        ("precision", "%"),
        ("recall", "%"),
        ("delay", "s"),
        ("false alarms", "an hour"),
        ("cost", "bp/100"),
    ):
        for name, figures in told.items():
            rest = f" ({figures['kinds']})" if figure == "recall" else ""
            rows.append(
                {
                    "name": f"{market}, {figure}, {name}{rest}",
                    "figure": figures[figure],
                    "unit": unit,
                    "baseline": None,
                    "baseline_name": None,
                    "ratio": None,
                    "target": None,
                }
            )
    return rows


def _measured(
    make: Callable[[Markets], Detector],
    chosen_on: Sequence[Observed],
    measured_on: Sequence[Observed],
    clean: Sequence[Observed],
) -> dict[str, Any]:
    """A detector's figures: with the threshold of the best F1 on `chosen_on`, everywhere else."""
    threshold = best_threshold([scores_of(make(seen.markets), seen) for seen in chosen_on], chosen_on)
    found = [
        measure(alarms(scores_of(make(seen.markets), seen), seen, threshold), seen) for seen in measured_on
    ]
    calm = [measure(alarms(scores_of(make(seen.markets), seen), seen, threshold), seen) for seen in clean]
    every = sum(each.alarms for each in found)
    kinds = {
        kind: (sum(m.caught.get(kind, 0) for m in found), sum(m.events.get(kind, 0) for m in found))
        for kind in MANIPULATIONS
    }
    delays = [delay for each in found for delay in each.delays]
    hours = sum(each.hours for each in calm)
    return {
        "threshold": threshold,
        "precision": 100 * sum(each.right for each in found) / max(every, 1),
        "recall": 100
        * sum(got for got, _ in kinds.values())
        / max(sum(all_ for _, all_ in kinds.values()), 1),
        "delay": median(delays) if delays else float("nan"),
        "false alarms": sum(each.alarms for each in calm) / hours,
        "cost": 100 * float(np.mean([each.cost_bps for each in calm])),
        "kinds": ", ".join(f"{kind} {got}/{of}" for kind, (got, of) in kinds.items()),
    }


def best_threshold(scores: Sequence[Floats], seen: Sequence[Observed]) -> float:
    """The threshold of the best F1 over all of them together; the higher of equals."""
    known = np.concatenate([each[~np.isnan(each)] for each in scores])
    tried = np.unique(np.quantile(known, 1 - np.logspace(-1, -4.5, 24)))
    found = [
        [
            measure(alarms(each, market, threshold), market, costs=False)
            for each, market in zip(scores, seen, strict=True)
        ]
        for threshold in tried.tolist()
    ]
    best = max(range(len(tried)), key=lambda place: (round(_f1(found[place]), 3), tried[place]))
    return float(tried[best])


def _f1(found: Sequence[Measured]) -> float:
    right, every = sum(each.right for each in found), sum(each.alarms for each in found)
    caught = sum(sum(each.caught.values()) for each in found)
    events = sum(sum(each.events.values()) for each in found)
    precision, recall = right / max(every, 1), caught / max(events, 1)
    return 2 * precision * recall / max(precision + recall, 1e-9)


def _speed(quick: bool) -> list[dict[str, Any]]:
    """A whole pass of the live table with the detector beside it, and without."""
    window, rng = Window(), np.random.default_rng(7)
    ticks = synthetic_ticks(FEEDS, 1_700_000_000.0, rng)
    aggregator, features = Aggregator(window), Features(window.markets)
    detector = StateSpace(window.markets)
    at, alone, both = 1_700_000_000.0, [], []
    window.apply(ticks, at)
    for _ in range(50 if quick else 400):
        at += 1.0
        began = time.perf_counter()
        estimates = aggregator.estimate(at)
        alone.append((time.perf_counter() - began) * 1e3)
        glance = Glance.of(window.markets, estimates, window.observed(at))
        detector.score(features.look(glance, at), at)
        both.append((time.perf_counter() - began) * 1e3)
    return [
        {
            "name": f"pass and state space, {len(FEEDS)} feeds, median (best {min(both):.2f} ms)",
            "figure": median(both),
            "unit": "ms",
            "baseline": median(alone),
            "baseline_name": "the pass alone",
            "ratio": median(alone) / median(both),
            "target": "< 2 ms",
        }
    ]


if __name__ == "__main__":
    for row in run():
        print(f"{row['name']}: {row['figure']:.3g} {row['unit']}")
