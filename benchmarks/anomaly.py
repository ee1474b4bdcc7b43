"""Detectors of anomalies beside each other: precision, recall, delay, and what acting on them would cost.

Four detectors see the same features of the same looks at the same markets (`anomaly_markets`), all 63 feeds,
with manipulation put in (`core.forge.anomaly.injections`). Each market is looked at once, and scored once by
each detector; everything else is counted from the scores. The rule for the thresholds, the same for all:

    the lowest threshold from which on at most FALSE_AN_HOUR false alarms an hour begin, over all feeds, on
    the clean markets of the seeds CHOSEN_ON, calm and crash alike: it catches as many events as that allows

A depeg has no part in the rule: there, legs that are called USD and move like USDT are far off by themselves,
and count as false alarms in the rows. The rows are of the seeds MEASURED_ON. On recorded candles
(`CHRONO_SHARED`, or `shared` beside the repository, has `market/`; else these rows are missing, and it is
said) the rule is applied to the first days, and the rows are of the last ones. Alarms about a leg that stood
still by an outage of the market's own are not counted.

`cost` is in hundredths of a basis point, of all looks at all feeds of clean markets: what the estimate would
lose if the legs in an alarm had no weight. The live watch's threshold is the state space's by this rule.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any, Final

import numpy as np

from benchmarks.aggregation import synthetic_ticks
from benchmarks.anomaly_markets import CANDLES, Market, recorded, simulated
from benchmarks.anomaly_models import DETECTORS
from chrono.feeds import FEEDS
from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Floats
from core.aggregation.window import Window
from core.forge.anomaly.detectors import StateSpace
from core.forge.anomaly.features import Features, Glance
from core.forge.anomaly.injections import MANIPULATIONS
from core.forge.anomaly.trial import Measured, alarms, measure
from core.forge.anomaly.watch import THRESHOLD

CHOSEN_ON: Final = (5, 6, 7)
MEASURED_ON: Final = (31, 32)
FALSE_AN_HOUR: Final = 1.0
_ROUNDS, _MINUTES = 16, (4_000, 8_000)
_QUICK_ROUNDS, _QUICK_MINUTES = 8, (1_000, 1_000)
_TRIED: Final = 48
_NO_PART_IN_THE_RULE: Final = "depeg"
_LIVE: Final = "state space"

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A market without its features, and each detector's scores [N, F, K] of it."""

    market: Market
    scores: Mapping[str, Floats]

    def measured(self, detector: str, threshold: float, *, costs: bool = True) -> Measured:
        seen = self.market.seen
        return measure(alarms(self.scores[detector], seen, threshold), seen, costs=costs)


def run(quick: bool = False) -> list[Row]:
    """The table's rows."""
    rounds, minutes = (_QUICK_ROUNDS, _QUICK_MINUTES) if quick else (_ROUNDS, _MINUTES)
    chosen, reported = (CHOSEN_ON[:1], MEASURED_ON[:1]) if quick else (CHOSEN_ON, MEASURED_ON)
    rows = _rows(
        "simulated",
        _scored(market for seed in chosen for market in simulated(seed, rounds)),
        _scored(market for seed in reported for market in simulated(seed, rounds)),
    )
    if CANDLES.exists():
        first, last = (
            _scored(recorded(later, count)) for later, count in zip((False, True), minutes, strict=True)
        )
        rows += _rows("recorded", first, last)
        rows += _false_rows("recorded, live threshold", {_LIVE: _figures(last, _LIVE, THRESHOLD)})
    else:
        _tell(f"no recorded candles at {CANDLES}: their rows are left out")
    return [*rows, *_speed(quick)]


def _tell(line: str) -> None:
    print(f"anomaly: {line}", file=sys.stderr, flush=True)


def _scored(markets: Iterable[Market]) -> list[Scored]:
    """Each market scored by every detector, one at a time: the features of only one are in memory."""
    found = []
    began = time.perf_counter()
    for market in markets:
        scores = {name: scorer(market.seen).astype(np.float32) for name, scorer in DETECTORS.items()}
        seen = replace(market.seen, features=market.seen.features[:0])
        found.append(Scored(replace(market, seen=seen), scores))
        kind = "clean" if market.is_clean else f"{len(seen.events)} events"
        _tell(f"{market.name}, {kind}: {len(seen.at)} looks, {time.perf_counter() - began:.0f} s")
        began = time.perf_counter()
    return found


def _rows(market: str, chosen_on: Sequence[Scored], measured_on: Sequence[Scored]) -> list[Row]:
    found = {}
    for name in DETECTORS:
        clean = [each for each in chosen_on if each.market.is_clean]
        threshold = chosen_threshold(
            name, [each for each in clean if _NO_PART_IN_THE_RULE not in each.market.parts]
        )
        found[name] = _figures(measured_on, name, threshold)
        _tell(f"{market}, {name}: threshold {threshold:.3g}")
    rows = []
    for figure, unit in (("threshold", ""), ("precision", "%"), ("recall", "%"), ("delay", "s")):
        for name, figures in found.items():
            rest = f" ({figures[f'{figure} by kind']})" if figure in ("recall", "delay") else ""
            rows.append(_row(f"{market}, {figure}, {name}{rest}", figures[figure], unit))
    for name, figures in found.items():
        rows.append(
            _row(f"{market}, alarms in {figures['real']} flash crashes, {name}", figures["fooled"], "")
        )
    return [*rows, *_false_rows(market, found)]


def _false_rows(market: str, found: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    rows = []
    for part in next(iter(found.values()))["false by part"]:
        for name, figures in found.items():
            count, hours = figures["false by part"][part]
            rate = count / max(hours, 1e-9)
            rows.append(
                _row(f"{market}, false alarms, {part} ({count} in {hours:.2f} h), {name}", rate, "an hour")
            )
    rows += [_row(f"{market}, cost, {name}", figures["cost"], "bp/100") for name, figures in found.items()]
    return rows


def _row(name: str, figure: float, unit: str) -> Row:
    nothing = dict.fromkeys(("baseline", "baseline_name", "ratio", "target"))
    return {"name": name, "figure": float(figure), "unit": unit, **nothing}


def chosen_threshold(detector: str, clean: Sequence[Scored]) -> float:
    """The threshold of the rule: tried from above, until false alarms are too many."""
    tops = [each.scores[detector][each.market.seen.since :] for each in clean]
    known = np.concatenate([top[~np.isnan(top)] for top in tops])
    tried = np.unique(np.quantile(known, 1 - np.logspace(-0.7, -6, _TRIED)))[::-1]
    hours = sum(sum(each.market.hours().values()) for each in clean)
    best = float(tried[0])
    for threshold in tried.tolist():
        false = sum(len(each.measured(detector, threshold, costs=False).false_rows) for each in clean)
        if false > FALSE_AN_HOUR * hours:
            break
        best = threshold
    return best


def _figures(scored: Sequence[Scored], detector: str, threshold: float) -> dict[str, Any]:
    """A detector's figures at a threshold: those of events, and those of false alarms on clean markets."""
    clean = [(each, each.measured(detector, threshold)) for each in scored if each.market.is_clean]
    hit = [each.measured(detector, threshold, costs=False) for each in scored if not each.market.is_clean]
    right, false = sum(each.right for each in hit), sum(len(each.false_rows) for each in hit)
    delays = {
        kind: np.array([delay for each in hit for delay in each.delays.get(kind, ())])
        for kind in MANIPULATIONS
    }
    every = np.concatenate(list(delays.values()))
    return {
        "threshold": threshold,
        "precision": 100 * right / max(right + false, 1),
        "recall": 100 * float(np.isfinite(every).mean()) if len(every) else float("nan"),
        "recall by kind": _by_kind(delays, lambda each: f"{np.isfinite(each).sum()}/{len(each)}"),
        "delay": _middle(every),
        "delay by kind": _by_kind(delays, lambda each: f"{_middle(each):.3g}"),
        "fooled": sum(each.fooled for each in hit),
        "real": sum(each.real for each in hit),
        "false by part": _by_part(clean),
        "cost": 100 * float(np.mean([found.cost_bps for _, found in clean])),
    }


def _by_kind(delays: Mapping[str, Floats], told: Any) -> str:
    return ", ".join(f"{kind} {told(each)}" for kind, each in delays.items() if len(each))


def _middle(delays: Floats) -> float:
    """The median delay of those that were caught."""
    caught = delays[np.isfinite(delays)]
    return float(np.median(caught)) if len(caught) else float("nan")


def _by_part(clean: Sequence[tuple[Scored, Measured]]) -> dict[str, tuple[int, float]]:
    """How many false alarms began in each part of the markets, and in how many hours."""
    counts: dict[str, tuple[int, float]] = {}
    for scored, found in clean:
        began_in = [scored.market.parts[row] for row in found.false_rows]
        for part, hours in scored.market.hours().items():
            count, before = counts.get(part, (0, 0.0))
            counts[part] = (count + began_in.count(part), before + hours)
    return counts


def _speed(quick: bool) -> list[Row]:
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
