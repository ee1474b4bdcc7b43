"""From played segments to rows: one an estimator and feed, with confidence intervals and ranks.

Knows statistics. `feed` ALL is the mean over the scored feeds: what a provider expects when one random feed
pays. Rank 1 earns most: it counts the opponents of the same run that earned more. Intervals are 95 %, from a
block bootstrap over rounds, since neighbouring rounds resemble each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools
from core.forge.arena import Plan, Result
from core.forge.match import regimes_of
from core.forge.population import draw_population

ALL: Final = "ALL"
BLOCK_ROUNDS: Final = 10
RESAMPLES: Final = 400
_DIGITS: Final = 6

Row = dict[str, Any]


def entrant_rows(plan: Plan, results: Sequence[Result]) -> list[Row]:
    """The rows of the entrants, by estimator and then feed, ALL first."""
    regime = np.array([name for result in results for name in result.regime])
    pick = _resamples(plan.seed, [len(result.regime) for result in results])
    drawn = np.random.default_rng([plan.seed, 17]).integers(0, len(plan.feeds), len(regime))
    rows = []
    for place, name in enumerate(plan.entrants):
        measures = {each: _joined(results, each, place) for each in _MEASURES}
        crowd = _crowd_reward(results, place)
        for feed in range(-1, len(plan.feeds)):
            row = _row(plan, feed, name, measures=measures, regime=regime, crowd=crowd)
            row |= _intervals(measures, feed, pick)
            if feed < 0:
                paid = measures["reward"][np.arange(len(regime)), drawn]
                row["reward_per_weight_drawn"] = _rounded(paid.mean())
            rows.append(row)
    _place_entrants(rows)
    return rows


def crowd_rows(plan: Plan, results: Sequence[Result]) -> list[Row]:
    """The rows of the opponents among themselves; no intervals, kind `provider`."""
    providers = draw_population(plan.seed, plan.providers)
    regime = np.array([name for result in results for name in result.regime])
    joined = {name: np.concatenate([getattr(each, f"alone_{name}") for each in results]) for name in _ALONE}
    rows = []
    for place, provider in enumerate(providers):
        measures = {name: each[:, :, place].astype(np.float64) for name, each in joined.items()}
        measures |= {"inside": measures["reward"] * np.nan, "width_ppm": measures["reward"] * np.nan}
        for feed in range(-1, len(plan.feeds)):
            row = _row(plan, feed, provider.name, measures=measures, regime=regime, crowd={}) | {
                "kind": "provider"
            }
            earned = joined["reward"].mean(axis=0)
            whole = earned.mean(axis=0) if feed < 0 else earned[feed]
            row["rank"] = int(1 + np.sum(whole > whole[place]))
            rows.append(row)
    return rows


_MEASURES: Final = (
    "primary",
    "secondary",
    "half_percent",
    "reward",
    "distance_ppm",
    "inside",
    "width_ppm",
)
_ALONE: Final = _MEASURES[:5]


def _row(
    plan: Plan, feed: int, name: str, *, measures: dict[str, Floats], regime: Any, crowd: dict[str, Floats]
) -> Row:
    everything = np.ones(len(regime), np.bool_)
    row: Row = {"estimator": name, "feed": ALL if feed < 0 else plan.feeds[feed], "kind": "entrant"}
    row |= _figures(measures, feed, everything)
    if crowd:
        row["rank"] = _rank(row["reward_per_weight"], sum(crowd.values()), feed, len(regime))
    row |= {"market": plan.market, "seed": plan.seed, "regimes": {}}
    for each in regimes_of(regime.tolist()):
        rows = regime == each
        told = _figures(measures, feed, rows)
        if crowd:
            told["rank"] = _rank(told["reward_per_weight"], crowd[each], feed, int(rows.sum()))
        row["regimes"][each] = told
    return row


def _figures(measures: dict[str, Floats], feed: int, rounds: Bools) -> Row:
    def mean(name: str) -> float | None:
        values = measures[name][rounds]
        values = values if feed < 0 else values[:, feed]
        known = values[~np.isnan(values)]
        return _rounded(known.mean()) if known.size else None

    distance = np.abs(measures["distance_ppm"][rounds])
    distance = distance if feed < 0 else distance[:, feed]
    known = distance[~np.isnan(distance)]
    return {
        "primary_hit_rate": mean("primary"),
        "secondary_hit_rate": mean("secondary"),
        "half_percent_hit_rate": mean("half_percent"),
        "reward_per_weight": mean("reward"),
        "median_abs_ppm": _rounded(np.median(known)) if known.size else None,
        "band_coverage": mean("inside"),
        "band_width_ppm": mean("width_ppm"),
        "n_rounds": int(rounds.sum()),
    }


def _rank(reward: float, crowd: Any, feed: int, rounds: int) -> int:
    """1 and the number of opponents [F, P] that earned more; `crowd` sums over the rounds."""
    theirs = crowd.mean(axis=0) if feed < 0 else crowd[feed]
    return int(1 + np.sum(theirs / rounds > reward))


def _intervals(measures: dict[str, Floats], feed: int, pick: Any) -> Row:
    """95 % intervals of the rates and of the reward."""
    names = {"primary": "primary_hit_rate", "secondary": "secondary_hit_rate", "reward": "reward_per_weight"}
    blocks, chosen = pick
    told = {}
    for name, title in names.items():
        by_round = measures[name].mean(axis=1) if feed < 0 else measures[name][:, feed]
        sums = np.array([by_round[block].sum() for block in blocks])
        sizes = np.array([len(by_round[block]) for block in blocks])
        means = sums[chosen].sum(axis=1) / sizes[chosen].sum(axis=1)
        told[f"{title}_ci"] = [_rounded(each) for each in np.percentile(means, [2.5, 97.5])]
    return told


def _resamples(seed: int, lengths: Sequence[int]) -> tuple[list[slice], Any]:
    """Blocks of rounds that do not cross segments, and which of them each resample takes."""
    blocks, begin = [], 0
    for length in lengths:
        blocks += [
            slice(begin + at, begin + min(at + BLOCK_ROUNDS, length)) for at in range(0, length, BLOCK_ROUNDS)
        ]
        begin += length
    rng = np.random.default_rng([seed, 19])
    return blocks, rng.integers(0, len(blocks), (RESAMPLES, len(blocks)))


def _joined(results: Sequence[Result], name: str, place: int) -> Floats:
    return np.concatenate([getattr(result, name)[place] for result in results]).astype(np.float64)


def _crowd_reward(results: Sequence[Result], place: int) -> dict[str, Floats]:
    sums: dict[str, Floats] = {}
    for result in results:
        for group, regime in enumerate(regimes_of(result.regime)):
            earned = result.crowd_reward[place, group]
            sums[regime] = sums[regime] + earned if regime in sums else earned
    return sums


def _place_entrants(rows: list[Row]) -> None:
    """Tell each row its place among the entrants of its feed, by reward."""
    for row in rows:
        rivals = [each["reward_per_weight"] for each in rows if each["feed"] == row["feed"]]
        row["place_among_entrants"] = 1 + sum(reward > row["reward_per_weight"] for reward in rivals)


def _rounded(value: Any) -> float:
    return round(float(value), _DIGITS)
