"""The tables of docs/accuracy.md: the live estimator by seed, each of its parts switched off, and by feed.

Plays the quick arena of each seed once, with the live rules and with changed ones side by side: they see the
same polls, opponents and rounds, so that a difference is of the rules alone. Nothing here is fitted: the
changes are a table of `core.aggregation.rules`. Rounds that are played are kept where `--keep` says; the same
seeds, rounds and changes go on with what is there.

    python -m benchmarks accuracy                    two seeds beside the targets
    python -m benchmarks.accuracy --seeds 61,62      all tables, every change
    python -m benchmarks.accuracy --seeds 71,72 --changes none --rounds 400 --feeds all
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from chrono.feeds import FEED_BY_NAME
from core.aggregation.estimates import Floats
from core.aggregation.rules import RULES
from core.forge.arena import Plan, Result, Wishes, plan_simulated, play_segment
from core.forge.entrants import LiveAggregation
from core.forge.kept import KeptSegments
from core.forge.ports import EstimatorMaker
from core.forge.rows import ALL, BLOCK_ROUNDS, crowd_rows, entrant_rows

LIVE: Final = "as it is"
_UNPREDICTED: Final = "without short-horizon prediction"
_MEDIAN_ONLY: Final = {"pull_bands": 0.0, "pull_mads": 0.0}
_NO_LEGS: Final = {"bias_bands": 0.0, "offset_max": 0.0, "trust_min": 1.0, "hidden_ratio": 0.0}
CHANGES: Final[Mapping[str, Mapping[str, float]]] = {
    LIVE: {},
    "without learning from rounds": {"follow_units": 0.0},
    "nothing learned: weighted median": {"follow_units": 0.0, **_NO_LEGS, **_MEDIAN_ONLY},
    _UNPREDICTED: {"follow_move_units": 0.0},
    "without last trades": {"follow_trade_units": 0.0},
    "without books' distances": {"follow_apart_units": 0.0},
    "the unusual heard too": {"follow_usual": 1e6},
    "feeds weighed alike": {"follow_noise_power": 0.0},
    "half the clamp": {"follow_units": 1.0},
    "a quarter of the clamp": {"follow_units": 0.5},
    "news unbounded": {"follow_news_bands": 100.0},
    "habits bounded like news": {"follow_standing_rounds": 1e6},
    "stablecoins in their own bands": {"follow_unit_min": 0.0},
    "a quarter of the ridges": {"follow_ridge": 1.25, "follow_own_ridge": 2.0},
    "four times the ridges": {"follow_ridge": 20.0, "follow_own_ridge": 32.0},
    "legs not corrected": _NO_LEGS,
    "median only, no mean": _MEDIAN_ONLY,
}
SEEDS: Final = (61, 62)
_RESAMPLES = 1_000
_REGIMES = ("calm", "crash", "depeg")

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A seed as it was played; rewards are [entrants, rounds, feeds]."""

    plan: Plan
    results: Sequence[Result]

    @property
    def rewards(self) -> Floats:
        return np.concatenate([result.reward for result in self.results], axis=1)


def run(quick: bool = False) -> list[Row]:
    """Two seeds beside the targets."""
    rows = []
    for seed in SEEDS[:1] if quick else SEEDS:
        played = play(seed, [LIVE], feeds=("XRP",) if quick else (), rounds=16 if quick else None)
        rows += _against_targets(played)
    return rows


def play(
    seed: int,
    changes: Sequence[str],
    *,
    feeds: tuple[str, ...] = (),
    rounds: int | None = None,
    keep: Path | None = None,
) -> Run:
    """Play a seed's quick arena with each change."""
    plan = plan_simulated(Wishes(seed=seed, feeds=feeds, rounds=rounds, quick=True, entrants=("chrono",)))
    plan = replace(plan, entrants=tuple(changes))
    kept = KeptSegments(keep and keep / f"{plan.digest}.jsonl", plan.digest)
    for segment in plan.segments:
        if segment.index not in kept.played:
            print(f"seed {seed}, {segment.regime} ...", file=sys.stderr, flush=True)
            kept.add(segment.index, play_segment(plan, segment, makers=_makers()).to_bytes())
    return Run(plan, [Result.from_bytes(kept.played[segment.index]) for segment in plan.segments])


def _makers() -> dict[str, EstimatorMaker]:
    return {
        name: partial(LiveAggregation, rules=replace(RULES, **change)) for name, change in CHANGES.items()
    }


def _against_targets(played: Run) -> list[Row]:
    told = entrant_rows(played.plan, played.results)[0]
    crowd = [row for row in crowd_rows(played.plan, played.results) if row["feed"] == ALL]
    seed, rows = played.plan.seed, []
    for regime, figures in {ALL: told, **told["regimes"]}.items():
        others = [each if regime == ALL else each["regimes"][regime] for each in crowd]
        where = f"seed {seed}, {'all' if regime == ALL else regime}"
        for name, key, scale, unit in (
            ("primary band", "primary_hit_rate", 100, "%"),
            ("reward", "reward_per_weight", 1, ""),
        ):
            third = third_quarter([other[key] for other in others])
            row = _row(f"{where}, {name}", figures[key] * scale, unit, "> 1x")
            ratio = figures[key] / third
            rows.append(row | {"baseline": third * scale, "baseline_name": "75th", "ratio": ratio})
        rows.append(_row(f"{where}, rank among 100", figures["rank"], "", "<= 1"))
        coverage = 100 * figures["band_coverage"]
        rows.append(_row(f"{where}, inside the 90 % band", coverage, "%", ">= 88 %, <= 92 %"))
    return rows


def _row(name: str, figure: float, unit: str, target: str) -> Row:
    return {
        "name": name,
        "figure": figure,
        "unit": unit,
        "baseline": None,
        "baseline_name": None,
        "ratio": None,
        "target": target,
    }


def third_quarter(values: Sequence[float]) -> float:
    """What three in four do not exceed."""
    return sorted(values)[len(values) * 3 // 4]


def seed_table(runs: Sequence[Run]) -> list[str]:
    """Markdown: the live estimator by seed, against the third quarter of the opponents."""
    lines = [
        "| seed | primary (75th) | secondary | reward (75th) | rank: all, calm, crash, depeg "
        "| inside the band: all, calm, crash, depeg | feeds above the 75th | worst feed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for each in runs:
        rows = {row["feed"]: row for row in entrant_rows(each.plan, each.results)[: len(each.plan.feeds) + 1]}
        crowd = crowd_rows(each.plan, each.results)
        told = rows.pop(ALL)
        parts = [told, *(told["regimes"][name] for name in _REGIMES if name in told["regimes"])]
        third = {
            (row["feed"], key): third_quarter([other[key] for other in crowd if other["feed"] == row["feed"]])
            for row in [told, *rows.values()]
            for key in ("primary_hit_rate", "reward_per_weight")
        }
        above = sum(
            all(row[key] > third[name, key] for key in ("primary_hit_rate", "reward_per_weight"))
            for name, row in rows.items()
        )
        worst = max(rows.values(), key=lambda row: row["rank"])
        lines.append(
            f"| {each.plan.seed} "
            f"| {told['primary_hit_rate']:.1%} ({third[ALL, 'primary_hit_rate']:.1%}) "
            f"| {told['secondary_hit_rate']:.1%} "
            f"| {told['reward_per_weight']:.3f} ({third[ALL, 'reward_per_weight']:.3f}) "
            f"| {', '.join(str(part['rank']) for part in parts)} "
            f"| {', '.join(format(part['band_coverage'], '.1%') for part in parts)} "
            f"| {above} of {len(rows)} | {worst['feed'].partition('/')[0]}, rank {worst['rank']} |"
        )
    return lines


def change_table(runs: Sequence[Run]) -> list[str]:
    """Markdown: each change beside the live rules, over all seeds; differences with 95 % intervals."""
    lines = [
        "| change | primary | secondary | reward | difference | in a crash | band |",
        "|---|---|---|---|---|---|---|",
    ]
    for place, name in enumerate(runs[0].plan.entrants):
        primary, secondary, inside = (
            np.nanmean([np.nanmean(getattr(part, key)[place]) for each in runs for part in each.results])
            for key in ("primary", "secondary", "inside")
        )
        reward = np.mean([each.rewards[place].mean() for each in runs])
        crash = [part.reward[place] for each in runs for part in each.results if part.regime[0] == "crash"]
        apart = "" if name == LIVE else _interval([each.rewards[place] - each.rewards[0] for each in runs])
        lines.append(
            f"| {name} | {primary:.1%} | {secondary:.1%} | {reward:.3f} | {apart} "
            f"| {np.mean(crash):.3f} | {inside:.1%} |"
        )
    return lines


def feed_table(runs: Sequence[Run]) -> list[str]:
    """Markdown: what short-horizon prediction is worth by feed."""
    place = runs[0].plan.entrants.index(_UNPREDICTED)
    lines = ["| feed | reward without | with | difference |", "|---|---|---|---|"]
    for feed, name in enumerate(runs[0].plan.feeds):
        without, live = (np.mean([each.rewards[at, :, feed].mean() for each in runs]) for at in (place, 0))
        apart = [(each.rewards[0] - each.rewards[place])[:, feed : feed + 1] for each in runs]
        lines.append(f"| {name.partition('/')[0]} | {without:.3f} | {live:.3f} | {_interval(apart)} |")
    return lines


def _interval(parts: Sequence[Floats]) -> str:
    """The mean of differences [rounds, feeds], and its interval by a bootstrap of blocks of rounds."""
    by_round = np.concatenate([part.mean(axis=1) for part in parts])
    whole = len(by_round) // BLOCK_ROUNDS * BLOCK_ROUNDS or len(by_round)
    blocks = by_round[:whole].reshape(-1, min(BLOCK_ROUNDS, whole)).mean(axis=1)
    drawn = np.random.default_rng(1).choice(blocks, (_RESAMPLES, len(blocks))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{by_round.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main(words: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.accuracy", description=__doc__)
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="by comma")
    parser.add_argument("--changes", default="all", help="by comma, `all` or `none`")
    parser.add_argument("--feeds", default="", help="by comma, or `all`; ten without")
    parser.add_argument("--rounds", type=int, help="a seed; 400 without")
    parser.add_argument("--keep", type=Path, help="folder for what is played")
    asked = parser.parse_args(words)
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    named = {"all": list(CHANGES), "none": [LIVE]}.get(asked.changes) or [LIVE, *asked.changes.split(",")]
    if unknown := set(named) - CHANGES.keys():
        parser.error(f"no such change: {', '.join(sorted(unknown))}; there are {', '.join(CHANGES)}")
    feeds = tuple(FEED_BY_NAME) if asked.feeds == "all" else tuple(filter(None, asked.feeds.split(",")))
    runs = [
        play(int(seed), named, feeds=feeds, rounds=asked.rounds, keep=asked.keep)
        for seed in asked.seeds.split(",")
    ]
    print("\n".join(seed_table(runs)))
    if len(named) > 1:
        print("\n" + "\n".join(change_table(runs)))
    if _UNPREDICTED in named:
        print("\n" + "\n".join(feed_table(runs)))


if __name__ == "__main__":
    main()
