"""`chrono arena`: estimators against a population of opponents, on simulated or recorded markets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from core.commands.words import err, out


def arena(
    data: Annotated[
        str, typer.Option("--data", "--market", help="`simulated`, or a file of candles.")
    ] = "simulated",
    seed: Annotated[int, typer.Option(help="Seed of market, opponents and draws.")] = 1,
    quick: Annotated[bool, typer.Option("--quick", help="Ten feeds, 400 rounds: under a minute.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the rows as JSON.")] = None,
    feeds: Annotated[str, typer.Option(help="Feeds by comma, such as BTC,ETH/USD.")] = "",
    rounds: Annotated[int | None, typer.Option(help="Rounds in all, warm-up not counted.", min=1)] = None,
    entrants: Annotated[str, typer.Option(help="Estimators by comma; all without.")] = "",
) -> None:
    """Measure estimators: hit rates, reward per weight and rank among about a hundred opponents."""
    from core.forge.arena import make_plan, play_segment
    from core.forge.rows import crowd_rows, entrant_rows

    plan = make_plan(
        market=data, seed=seed, feeds=_words(feeds), rounds=rounds, quick=quick, entrants=_words(entrants)
    )
    results = []
    for segment in plan.segments:
        results.append(play_segment(plan, segment))
        err.print(f"segment {segment.index + 1} of {len(plan.segments)} ({segment.regime})", highlight=False)
    rows = entrant_rows(plan, results)
    providers = crowd_rows(plan, results)
    if json_file is not None:
        json_file.write_text(json.dumps([*rows, *providers], indent=1) + "\n")
    out.print(_table(rows, providers))


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _table(rows: list[dict[str, Any]], providers: list[dict[str, Any]]) -> Table:
    from core.forge.rows import ALL

    table = Table(box=None, pad_edge=False)
    for title in (
        "estimator",
        "primary",
        "secondary",
        "0.5 %",
        "reward/weight",
        "95 %",
        "median ppm",
        "rank",
    ):
        table.add_column(title, justify="left" if title == "estimator" else "right")
    best = sorted((row for row in rows if row["feed"] == ALL), key=lambda row: -row["reward_per_weight"])
    for row in best:
        low, high = row["reward_per_weight_ci"]
        table.add_row(*_cells(row), f"{low:.3f}-{high:.3f}", f"{row['median_abs_ppm']:.1f}", str(row["rank"]))
    return table


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    rates = (row["primary_hit_rate"], row["secondary_hit_rate"], row["half_percent_hit_rate"])
    return (row["estimator"], *(f"{rate:.1%}" for rate in rates), f"{row['reward_per_weight']:.3f}")
