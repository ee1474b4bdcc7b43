"""`chrono arena`: estimators against a population of opponents, on simulated or recorded markets."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from core.commands.words import err, out

if TYPE_CHECKING:
    from core.forge.arena import Plan, Result
    from core.forge.recordings import Recording


class EngineChoice(StrEnum):
    """Where segments are played."""

    local = "local"
    dask = "dask"


Data = Annotated[str, typer.Option("--data", "--market", help="`simulated`, or a file of candles.")]
Quick = Annotated[
    bool, typer.Option("--quick", help="A tenth of the rounds, and ten feeds of a made market.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write all rows to this file.")]
PlotsDir = Annotated[Path | None, typer.Option("--plots", help="Write plots into this folder.")]
Feeds = Annotated[str, typer.Option(help="Feeds by comma, such as BTC,ETH/USD; all without.")]
Rounds = Annotated[int | None, typer.Option(help="Rounds in all, the warm-up not counted.", min=1)]
Entrants = Annotated[str, typer.Option(help="Estimators by comma; all without.")]


def arena(
    data: Data = "simulated",
    seed: Annotated[int, typer.Option(help="Seed of market, opponents and draws.")] = 1,
    quick: Quick = False,
    json_file: JsonFile = None,
    plots: PlotsDir = None,
    feeds: Feeds = "",
    rounds: Rounds = None,
    entrants: Entrants = "",
    workers: Annotated[int, typer.Option(help="Processes; 0: one a processor.", min=0)] = 0,
    engine: Annotated[EngineChoice, typer.Option(help="Where segments are played.")] = EngineChoice.local,
    cluster: Annotated[str | None, typer.Option(help="Address of the engine's cluster.")] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Keep played segments here, and take up a run that was ended.")
    ] = None,
    leave_out: Annotated[
        str | None, typer.Option(help="Measure against a venue, or a leg, that no estimator sees.")
    ] = None,
    break_seed: Annotated[
        int | None,
        typer.Option(
            "--break",
            metavar="SEED",
            help="Lay a made break of the stablecoins over four of the recorded days, and measure on these; "
            "with --leave-out.",
            min=0,
        ),
    ] = None,
) -> None:
    """Measure estimators: hit rates, reward per weight and rank among a hundred opponents.

    The same options give the same rows, to the byte. With --leave-out there are no opponents: estimates are
    compared with the venue that was hidden.
    """
    from core.forge.arena import SIMULATED, Wishes, plan_recorded, plan_simulated
    from core.forge.broken_days import broken_days
    from core.forge.engines import DaskEngine, Engine, LocalEngine
    from core.forge.recordings import read_recording

    wishes = Wishes(seed, words(feeds), rounds, quick, words(entrants))
    recording = None if data == SIMULATED else read_recording(Path(data))
    if break_seed is not None:
        if recording is None or leave_out is None:
            raise typer.BadParameter("needs candles and --leave-out", param_hint="--break")
        recording = broken_days(recording, break_seed)
    plan = plan_simulated(wishes) if recording is None else plan_recorded(wishes, data, recording)
    if leave_out is not None:
        _show_hidden(plan, leave_out, recording, json_file)
        return
    if engine is EngineChoice.dask:
        if cluster is None:
            raise typer.BadParameter("an engine needs the address of its cluster", param_hint="--cluster")
        chosen: Engine = DaskEngine(cluster)
    else:
        chosen = LocalEngine(workers or os.cpu_count() or 1)
    show_arena(plan, _played(plan, chosen, resume), json_file, plots)


def words(text: str) -> tuple[str, ...]:
    """The words of an option that takes several by comma."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _played(plan: Plan, engine: Any, resume: Path | None) -> list[Result]:
    """Play what is not kept yet, with a progress bar; the results in the plan's order."""
    from core.forge.arena import Result
    from core.forge.engines import play_here
    from core.forge.kept import KeptSegments

    kept = KeptSegments(resume, plan.digest)
    missing = [segment for segment in plan.segments if segment.index not in kept.played]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        done = len(plan.segments) - len(missing)
        task = progress.add_task("segments", total=len(plan.segments), completed=done)
        for index, result in engine.play(play_here, plan, missing):
            kept.add(index, result)
            progress.advance(task)
    return [Result.from_bytes(kept.played[segment.index]) for segment in plan.segments]


def show_arena(plan: Plan, results: Sequence[Result], json_file: Path | None, plots: Path | None) -> None:
    """Print a run's table; write its rows and draw its plots where that is asked for."""
    from core.forge.rows import ALL, crowd_rows, entrant_rows

    rows, crowd = entrant_rows(plan, results), crowd_rows(plan, results)
    if json_file is not None:
        write_rows(json_file, [*rows, *crowd])
    table = _table("estimator", "primary", "second.", "0.5 %", "reward", "95 %", "ppm", "rank")
    whole = [row for row in rows if row["feed"] == ALL]
    for row in sorted(whole, key=lambda row: -row["reward_per_weight"]):
        low, high = row["reward_per_weight_ci"]
        distance = f"{row['median_abs_ppm']:.1f}"
        table.add_row(*_cells(row), f"{low:.3f}-{high:.3f}", distance, str(row["rank"]))
    out.print(table)
    rewards = sorted(row["reward_per_weight"] for row in crowd if row["feed"] == ALL)
    hits = sorted(row["primary_hit_rate"] for row in crowd if row["feed"] == ALL)
    place = len(rewards) * 3 // 4
    told = (
        f"\n{len(rewards)} opponents among themselves: three in four hit the primary band in at most "
        f"{hits[place]:.1%} and earn at most {rewards[place]:.3f}.",
        "Reward is for each unit of weight; ppm is the median distance to the round's median; rank is among "
        "the opponents, 1 is best.",
        f"Plan {plan.digest}, seed {plan.seed}, {rows[0]['n_rounds']} rounds of {len(plan.feeds)} feeds.",
    )
    out.print("\n".join(told), highlight=False, soft_wrap=True)
    if plots is not None:
        from core.forge.plots import draw_plots

        for path in draw_plots(plots, plan, results):
            out.print(f"plot {path}", highlight=False, soft_wrap=True)


def _show_hidden(plan: Plan, name: str, recording: Recording | None, json_file: Path | None) -> None:
    from core.forge.hidden import hidden_rows
    from core.forge.hidden_markets import compare_recorded, compare_simulated

    parts = compare_simulated(plan, name) if recording is None else compare_recorded(plan, name, recording)
    rows = hidden_rows(plan.entrants, plan.feeds, list(parts))
    if json_file is not None:
        write_rows(json_file, rows)
    table = _table("estimator", "feed", "n", "calm 5", "calm 50", "all 5", "all 50", "worst day")
    for row in sorted(rows, key=lambda row: (row["feed"], -row["all_within_5_bps"])):
        shares = [row[f"{part}_within_{near}_bps"] for part in ("calm", "all") for near in (5, 50)]
        told = ["-" if share is None else f"{share:.1%}" for share in shares]
        worst = f"{row['worst_day_points']:+.1f}" if "worst_day_points" in row else "-"
        table.add_row(row["estimator"], row["feed"], str(row["all_moments"]), *told, worst)
    out.print(table)
    out.print(
        "\nShares of moments within 5 and 50 bps of the hidden price, calm and all; worst day: points above "
        "the plain median's share within 5 bps on the worst day.",
        highlight=False,
        soft_wrap=True,
    )


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Rows as a JSON array, one a line."""
    lines = ",\n".join(json.dumps(row) for row in rows)
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, title in enumerate(titles):
        table.add_column(title, justify="left" if place == 0 else "right", no_wrap=True)
    return table


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    rates = (row["primary_hit_rate"], row["secondary_hit_rate"], row["half_percent_hit_rate"])
    return (row["estimator"], *(f"{rate:.1%}" for rate in rates), f"{row['reward_per_weight']:.3f}")
