"""`chrono provider`: the FTSO provider, rounds on chain."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from core.commands.words import DataDir, load_settings, run, show_findings
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
