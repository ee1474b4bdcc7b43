"""`chrono backtest`: the arena on quotes that this Chrono has recorded itself."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from core.commands.arena import Entrants, Feeds, JsonFile, PlotsDir, Quick, Rounds, show_arena, words
from core.commands.words import err, load_settings


def backtest(
    data: Annotated[
        Path | None, typer.Option(help="Quotes in Parquet or CSV; none: those of DATABASE_URL.", exists=True)
    ] = None,
    hours: Annotated[float, typer.Option(help="How far back to read the database.", min=0.2, max=744)] = 6.0,
    seed: Annotated[int, typer.Option(help="Seed of opponents and draws.")] = 1,
    quick: Quick = False,
    json_file: JsonFile = None,
    plots: PlotsDir = None,
    feeds: Feeds = "",
    rounds: Rounds = None,
    entrants: Entrants = "",
) -> None:
    """Measure estimators on own recorded quotes, from the database or a file, against the same opponents.

    The quotes are read once and the database is never written to. A file needs the columns leg, received_at,
    event_at, bid, ask, last and volume_24h, with times in Unix seconds.
    """
    from core.forge.arena import Wishes, plan_backtest, play_segment
    from core.forge.recordings import read_quotes

    wishes = Wishes(seed, words(feeds), rounds, quick, words(entrants))
    if data is None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "quotes.csv"
            _export(file, hours)
            history = read_quotes(file)
    else:
        history = read_quotes(data)
    plan = plan_backtest(wishes, "recorded quotes" if data is None else str(data), history)
    results = []
    for segment in plan.segments:
        results.append(play_segment(plan, segment, history))
        err.print(f"segment {segment.index + 1} of {len(plan.segments)}", highlight=False)
    show_arena(plan, results, json_file, plots)


def _export(file: Path, hours: float) -> None:
    from core.storage.quotes import export_quotes

    settings = load_settings()
    if settings.database_url is None:
        raise typer.BadParameter("without a file DATABASE_URL is needed", param_hint="--data")
    until = time.time()
    dsn = settings.database_url.get_secret_value()
    count = asyncio.run(export_quotes(dsn, until - hours * 3600, until, file))
    err.print(f"{count} quotes of the last {hours:g} hours", highlight=False)
