"""How far one venue alone moves the estimates: each venue in turn, in all that `core.forge.one_venue` tries.

The live aggregation, all 63 feeds, everything learned on and finished rounds of a hundred opponents learned
from; simulated calm markets without outages. A row is the largest move of any estimate of a kind of feed at
any pass, in secondary bands of the feed.

- `three exchanges`: feeds with legs at three exchanges or more. Aggregators of pools do not count.
- `stablecoins`: these too, but their band is 1 bp, and venues stand farther apart than that.
- the rest is promised less: see docs/accuracy.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np

from chrono.feeds import DEX_VENUES, FEEDS
from core.aggregation.markets import STABLECOINS, Bools
from core.forge.one_venue import Manipulation, OneVenue, manipulations
from core.forge.synthetic import REGIMES, simulate

SEEDS: Final = (61, 62)
_WARM_UP, _ROUNDS = 30, 34
_QUICK_WARM_UP, _QUICK_ROUNDS = 20, 23
_QUICK_SHARE: Final = 7
"""One manipulation in so many is played in a quick run."""

Row = dict[str, Any]


def kinds() -> dict[str, Bools]:
    """Which feeds are of which kind, [F]."""
    exchanges = np.array([len({leg.venue for leg in feed.legs}.difference(DEX_VENUES)) for feed in FEEDS])
    stable = np.array([feed.base in STABLECOINS for feed in FEEDS])
    return {
        "three exchanges": (exchanges >= 3) & ~stable,
        "stablecoins": stable,
        "two exchanges": (exchanges == 2) & ~stable,
        "one exchange": exchanges == 1,
        "pools alone": exchanges == 0,
    }


def run(quick: bool = False) -> list[Row]:
    """The table's rows."""
    warm_up, rounds = (_QUICK_WARM_UP, _QUICK_ROUNDS) if quick else (_WARM_UP, _ROUNDS)
    bands, beyond, by = np.zeros(len(FEEDS)), np.zeros(len(FEEDS)), np.full(len(FEEDS), "", object)
    for seed in SEEDS[:1] if quick else SEEDS:
        tape = simulate(
            FEEDS, replace(REGIMES["calm"], outages_hour=0.0), seed=seed, segment=0, rounds=rounds
        )
        trial, began = OneVenue(tape, seed=seed, warm_up=warm_up), time.perf_counter()
        for tried in _tried(trial, quick):
            moved = trial.move(tried)
            by = np.where(moved.bands > bands, str(tried), by)
            bands, beyond = np.maximum(bands, moved.bands), np.fmax(beyond, moved.beyond)
        took_s = time.perf_counter() - began
        print(f"manipulation: seed {seed} played in {took_s:.0f} s", file=sys.stderr, flush=True)
    rows = []
    for kind, which in kinds().items():
        worst = int(np.where(which, bands, -1.0).argmax())
        held = f"{int((bands[which] < 1).sum())} of {int(which.sum())} under one"
        name = f"largest move, {kind} ({FEEDS[worst].base} by {by[worst]}; {held})"
        rows.append(_row(name, bands[worst], "< 1" if kind in ("three exchanges", "stablecoins") else None))
    for kind in ("three exchanges", "stablecoins"):
        worst = int(np.where(kinds()[kind], beyond, -1.0).argmax())
        name = f"largest move over how far the other venues stand apart, {kind} ({FEEDS[worst].base})"
        rows.append(_row(name, beyond[worst], None))
    return rows


def _tried(trial: OneVenue, quick: bool) -> Iterator[Manipulation]:
    every = manipulations(trial.markets.venues)
    return (each for place, each in enumerate(every) if not quick or place % _QUICK_SHARE == 0)


def _row(name: str, figure: float, target: str | None) -> Row:
    nothing = dict.fromkeys(("baseline", "baseline_name", "ratio"))
    return {"name": name, "figure": float(figure), "unit": "bands", "target": target, **nothing}
