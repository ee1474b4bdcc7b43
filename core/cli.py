"""The `chrono` command: words and options in, calls out. Decides nothing about prices."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from chrono.errors import ChronoError
from chrono.feeds import LEGS, Leg
from core.commands import keys, provider
from core.commands.arena import arena
from core.commands.backtest import backtest
from core.commands.words import (
    DataDir,
    Fault,
    Host,
    Port,
    Seed,
    err,
    load_settings,
    out,
    run,
    show_findings,
)
from core.keys import load_private_key
from core.log import configure_logging
from core.settings import Settings

app = typer.Typer(
    help=(
        "Chrono, an oracle data provider for the Flare network.\n\n"
        "`chrono up` runs everything on this machine. Every setting can be given as CHRONO_<NAME> in the "
        "environment or a .env file; `chrono check` prints all of them."
    ),
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they print local variables, and those may be secrets
)
app.add_typer(keys.app, name="keys")
app.add_typer(provider.app, name="provider")
app.command()(arena)
app.command()(backtest)


class MarketChoice(StrEnum):
    """The markets of `chrono up`."""

    live = "live"
    simulated = "simulated"


class ChainChoice(StrEnum):
    """The chains of `chrono up`."""

    local = "local"


def main() -> None:
    """Run the command; a ChronoError is one line on standard error and exit code 1."""
    try:
        app()
    except ChronoError as error:
        err.print(f"chrono: {error}", style="red", highlight=False)
        sys.exit(1)


@app.command()
def up(
    market: Annotated[MarketChoice | None, typer.Option(help="Where prices come from.")] = None,
    chain: Annotated[
        ChainChoice | None, typer.Option(help="Also run a chain on this machine, and a provider on it.")
    ] = None,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
    seed: Seed = 1,
    fault: Fault = None,
) -> None:
    """Run everything on this machine until Ctrl-C: database, collector, core, API and page."""
    from core.markets import LiveMarket, Market, SimulatedMarket
    from core.simulator.faults import parse_fault
    from core.up import run_up

    settings = load_settings(market=market, host=host, port=port, data_dir=data_dir, network=chain)
    faults = fault or []
    for text in faults:
        parse_fault(text)
    opens: Market = LiveMarket()
    if settings.market == "simulated":
        words = [word for text in faults for word in ("--fault", text)]
        opens = SimulatedMarket(["--seed", str(seed), *words], settings.environment())
    elif faults:
        raise typer.BadParameter("only a simulated market has faults to inject", param_hint="--fault")
    run("up", settings, lambda stop: run_up(settings, opens, stop, _announce))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Candles in Parquet or CSV.", exists=True, dir_okay=False)],
    speed: Annotated[float, typer.Option(help="Recorded seconds a second.", min=0.1, max=10_000)] = 60.0,
    keep: Annotated[bool, typer.Option(help="Keep serving when the file has ended.")] = False,
    host: Host = None,
    port: Port = None,
    data_dir: DataDir = None,
) -> None:
    """Run everything on recorded candles, through real HTTP, parsing, signing, ingest and aggregation."""
    from core.recorded import RecordedMarket
    from core.up import run_replay

    # The children's events would tear the progress bar: only warnings are logged on a terminal.
    level = "WARNING" if err.is_terminal else None
    settings = load_settings(market="replay", host=host, port=port, data_dir=data_dir, log_level=level)
    market = RecordedMarket.read(file, speed)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>5.1f}%"))
    with Progress(*columns, TimeRemainingColumn(), console=err) as progress:
        task = progress.add_task("replay", total=1.0)

        def show(fraction: float, minute: float) -> None:
            recorded = datetime.fromtimestamp(minute, UTC)
            progress.update(task, completed=fraction, description=f"{recorded:%Y-%m-%d %H:%M}")

        run(
            "replay",
            settings,
            lambda stop: run_replay(settings, market, stop, _announce, show, keep=keep),
        )


@app.command()
def simulate(
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0)] = 9000,
    seed: Seed = 1,
    fault: Fault = None,
) -> None:
    """Serve the venues' public REST endpoints on loopback, from a seeded random-walk market.

    Below the address, /binance, /bybit, /coinbase, /kraken, /okx, /gecko and /dexscreener answer as they do;
    GET /_truth says what everything is worth, and POST or DELETE /_faults injects and ends faults meanwhile.
    """
    from core.simulation import run_random_market
    from core.simulator.faults import parse_fault

    faults = [parse_fault(text) for text in fault or []]
    run("simulator", load_settings(), lambda stop: run_random_market(seed, faults, port, stop))


@app.command()
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the core alone: ingest, estimates, API and page. Needs DATABASE_URL."""
    from core.app import run_core

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    run("core", settings, lambda stop: run_core(settings, stop))


@app.command()
def collect(data_dir: DataDir = None) -> None:
    """Run a collector alone: it asks the venues and posts signed batches to CHRONO_CORE_URL."""
    from chrono.polling import Pace
    from core.collect import collect as run_collector

    settings = load_settings(data_dir=data_dir)
    core_url = settings.core_url or f"http://{settings.host}:{settings.port}"
    signer = load_private_key(settings.private_key_file)
    run(
        "collector",
        settings,
        lambda stop: run_collector(
            core_url=core_url,
            signer=signer,
            stop=stop,
            venues=settings.collected_venues,
            legs=[Leg.parse(leg) for leg in settings.legs] or LEGS,
            base_urls=settings.venue_urls,
            pace=Pace(ticker_interval_s=settings.poll_interval_s),
            spool_batches=settings.spool_batches,
        ),
    )


@app.command("local-chain", hidden=True)
def local_chain(
    rpc_port: Annotated[int, typer.Option(help="Port of the node.", min=1)], data_dir: DataDir = None
) -> None:
    """Run the local chain of `chrono up --chain local`: node, contracts, three neighbours."""
    from core.local_chain import run_local_chain

    settings = load_settings(data_dir=data_dir)
    run("chain", settings, lambda stop: run_local_chain(settings, rpc_port, stop))


@app.command()
def check(
    migrate: Annotated[bool, typer.Option(help="Apply the database's pending migrations.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Print the whole configuration, secrets masked, and try every dependency. Exits 1 if one fails."""
    from core.check import check_everything

    settings = load_settings(data_dir=data_dir)
    configure_logging("check", "WARNING", settings.log_format)
    table = Table("setting", "value", "meaning", box=None, pad_edge=False)
    for name, value in settings.shown().items():
        table.add_row(name, value, Settings.model_fields[name].description or "")
    out.print(table, end="\n\n")
    findings = asyncio.run(check_everything(settings, migrate_now=migrate))
    show_findings("dependency", findings)


def _announce(url: str, data_dir: str) -> None:
    out.print(f"\n  Chrono is up: [bold]{url}[/bold]")
    out.print(f"  API docs {url}/docs, data in {data_dir}, Ctrl-C stops.\n", soft_wrap=True)
