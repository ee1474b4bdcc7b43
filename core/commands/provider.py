"""`chrono provider`: the FTSO provider, rounds on chain."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from core.commands.words import DataDir, load_settings, out, run, show_findings
from core.log import configure_logging

app = typer.Typer(help="The FTSO provider: rounds on chain.", no_args_is_help=True)


@app.command("run")
def run_rounds(
    dry_run: Annotated[bool, typer.Option(help="Compute and record everything, and send nothing.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Commit, reveal, sign and finalize on chain, with values from the core. A second one stands by."""
    from core.provide import run_provider

    settings = load_settings(data_dir=data_dir)
    run("provider", settings, lambda stop: run_provider(settings, stop, dry_run=dry_run))


@app.command("serve")
def serve(data_dir: DataDir = None) -> None:
    """Answer Flare's own system client as its protocol data provider; the client sends."""
    from core.provide import serve_protocol

    settings = load_settings(data_dir=data_dir)
    run("provider", settings, lambda stop: serve_protocol(settings, stop))


@app.command("doctor")
def doctor(data_dir: DataDir = None) -> None:
    """Look at keys, endpoints, balances, registration, clock and feeds. Exits 1 if one fails."""
    from core.doctor import examine

    settings = load_settings(data_dir=data_dir)
    configure_logging("doctor", "WARNING", settings.log_format)
    show_findings("part", asyncio.run(examine(settings)))


@app.command("shadow")
def shadow(
    endpoint: Annotated[str, typer.Option(help="Base URL of another feed value provider.")],
    every_s: Annotated[
        float | None,
        typer.Option(help="Compare present values this often, not each round's.", min=1.0, max=3600.0),
    ] = None,
    comparisons: Annotated[int | None, typer.Option(help="End after so many.", min=1)] = None,
    export: Annotated[Path | None, typer.Option(help="A new file, .csv or .jsonl, for every pair.")] = None,
    metrics_port: Annotated[int, typer.Option(help="Port of /metrics; 0 serves none.", min=0)] = 0,
    data_dir: DataDir = None,
) -> None:
    """Compare our values with another value provider's, feed by feed, until Ctrl-C. Sends nothing.

    Both are asked for each voting round's values at its commit instant, as Flare's client asks them. The
    comparisons are stored in DATABASE_URL, and told by /v1/shadow.
    """
    from rich.live import Live

    from core.commands.shadow_table import head, live_table, summary
    from core.provider.shadow import Tally
    from core.shadow import Wanted, run_shadow

    settings = load_settings(data_dir=data_dir)
    wanted = Wanted(endpoint, every_s, comparisons, export, metrics_port)

    async def work(stop: asyncio.Event) -> None:
        with Live(console=out, auto_refresh=False, transient=True) as screen:

            def show(counted: Tally) -> None:
                if out.is_terminal:
                    screen.update(live_table(wanted.name, counted, out.height - 5), refresh=True)
                else:
                    out.print(head(wanted.name, counted), highlight=False, soft_wrap=True)

            counted = await run_shadow(settings, wanted, stop, show)
        out.print(summary(wanted.name, counted), soft_wrap=True)

    run("shadow", settings, work)
