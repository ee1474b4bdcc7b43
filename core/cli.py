"""The `chrono` command: words and options in, calls out. Decides nothing about prices."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from chrono.errors import ChronoError
from chrono.feeds import LEGS, Leg
from chrono.signing import PublicKey
from core.keys import KnownKeys, create_private_key, format_known_key, load_private_key
from core.lifecycle import stop_on_signals
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
keys_app = typer.Typer(help="Collector keys (Ed25519).", no_args_is_help=True)
app.add_typer(keys_app, name="keys")
provider_app = typer.Typer(help="The FTSO provider: rounds on chain.", no_args_is_help=True)
app.add_typer(provider_app, name="provider")

out = Console()
err = Console(stderr=True)
_STYLES = {"ok": "", "warning": "yellow", "failed": "red"}


class MarketChoice(StrEnum):
    """The markets of `chrono up`."""

    live = "live"
    simulated = "simulated"


class ChainChoice(StrEnum):
    """The chains of `chrono up`."""

    local = "local"


DataDir = Annotated[Path | None, typer.Option(help="Folder of keys and of the embedded database.")]
Port = Annotated[int | None, typer.Option(help="Port of the API and the page; 0 takes a free one.", min=0)]
Host = Annotated[str | None, typer.Option(help="Address to listen on.")]
Seed = Annotated[int, typer.Option(help="Seed of the random-walk market.")]
Fault = Annotated[
    list[str] | None,
    typer.Option(
        help="Fault of a simulated venue, such as kraken:dead, binance:banned=418,retry_after=60, "
        "okx:off_by=1.05. May be given several times."
    ),
]


def main() -> None:
    """Run the command; a ChronoError is one line on standard error and exit code 1."""
    try:
        app()
    except ChronoError as error:
        err.print(f"chrono: {error}", style="red", highlight=False)
        sys.exit(1)


def load_settings(**chosen: object) -> Settings:
    """Settings from the environment, with the command line's choices over them; exits 2 on bad ones."""
    try:
        return Settings(**{name: value for name, value in chosen.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        for problem in error.errors():
            name = ".".join(map(str, problem["loc"])) or "settings"
            err.print(f"chrono: {name}: {problem['msg']}", style="red", highlight=False)
        raise typer.Exit(2) from None


Work = Callable[[asyncio.Event], Coroutine[Any, Any, None]]


def _run(process: str, settings: Settings, work: Work) -> None:
    """Run a process until its work ends or it is told to stop."""
    configure_logging(process, settings.log_level, settings.log_format)

    async def until_stopped() -> None:
        async with stop_on_signals() as stop:
            await work(stop)

    uvloop.run(until_stopped())


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
    _run("up", settings, lambda stop: run_up(settings, opens, stop, _announce))


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

        _run(
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
    _run("simulator", load_settings(), lambda stop: run_random_market(seed, faults, port, stop))


@app.command()
def serve(host: Host = None, port: Port = None, data_dir: DataDir = None) -> None:
    """Run the core alone: ingest, estimates, API and page. Needs DATABASE_URL."""
    from core.app import run_core

    settings = load_settings(host=host, port=port, data_dir=data_dir)
    _run("core", settings, lambda stop: run_core(settings, stop))


@app.command()
def collect(data_dir: DataDir = None) -> None:
    """Run a collector alone: it asks the venues and posts signed batches to CHRONO_CORE_URL."""
    from chrono.polling import Pace
    from core.collect import collect as run_collector

    settings = load_settings(data_dir=data_dir)
    core_url = settings.core_url or f"http://{settings.host}:{settings.port}"
    signer = load_private_key(settings.private_key_file)
    _run(
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


@provider_app.command("run")
def provider_run(
    dry_run: Annotated[bool, typer.Option(help="Compute and record everything, and send nothing.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Commit, reveal, sign and finalize on chain, with values from the core. A second one stands by."""
    from core.provide import run_provider

    settings = load_settings(data_dir=data_dir)
    _run("provider", settings, lambda stop: run_provider(settings, stop, dry_run=dry_run))


@provider_app.command("serve")
def provider_serve(data_dir: DataDir = None) -> None:
    """Answer Flare's own system client as its protocol data provider; the client sends."""
    from core.provide import serve_protocol

    settings = load_settings(data_dir=data_dir)
    _run("provider", settings, lambda stop: serve_protocol(settings, stop))


@provider_app.command("doctor")
def provider_doctor(data_dir: DataDir = None) -> None:
    """Look at keys, endpoints, balances, registration, clock and feeds. Exits 1 if one fails."""
    from core.doctor import examine

    settings = load_settings(data_dir=data_dir)
    configure_logging("doctor", "WARNING", settings.log_format)
    table = Table("part", "", "found", box=None, pad_edge=False)
    findings = asyncio.run(examine(settings))
    for finding in findings:
        table.add_row(finding.name, finding.outcome, finding.detail, style=_STYLES[finding.outcome])
    out.print(table)
    if any(finding.failed for finding in findings):
        raise typer.Exit(1)


@app.command("local-chain", hidden=True)
def local_chain(
    rpc_port: Annotated[int, typer.Option(help="Port of the node.", min=1)], data_dir: DataDir = None
) -> None:
    """Run the local chain of `chrono up --chain local`: node, contracts, three neighbours."""
    from core.local_chain import run_local_chain

    settings = load_settings(data_dir=data_dir)
    _run("chain", settings, lambda stop: run_local_chain(settings, rpc_port, stop))


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
    table = Table("dependency", "", "found", box=None, pad_edge=False)
    for finding in findings:
        table.add_row(finding.name, finding.outcome, finding.detail, style=_STYLES[finding.outcome])
    out.print(table)
    if any(finding.failed for finding in findings):
        raise typer.Exit(1)


@keys_app.command("new")
def keys_new(
    file: Annotated[Path | None, typer.Option(help="Where the private key goes.")] = None,
    name: Annotated[str, typer.Option(help="A name for the collector, without spaces.")] = "collector",
    data_dir: DataDir = None,
) -> None:
    """Create a collector's key pair and let this core accept its batches."""
    settings = load_settings(data_dir=data_dir)
    if not name or len(name.split()) != 1:
        raise typer.BadParameter("one word", param_hint="--name")
    path = file or settings.private_key_file
    signer = create_private_key(path)
    key = PublicKey(signer.public_key, name)
    KnownKeys(settings.known_keys_file).add(key)
    out.print(f"private key  {path} (keep it secret)", highlight=False)
    out.print(f"key id       {key.key_id.hex()}", highlight=False)
    out.print(f"public key   {format_known_key(key)}", highlight=False)
    out.print(f"accepted by  {settings.known_keys_file}", highlight=False)


@keys_app.command("list")
def keys_list(data_dir: DataDir = None) -> None:
    """Show the collectors whose batches this core accepts or has revoked."""
    settings = load_settings(data_dir=data_dir)
    for key in KnownKeys(settings.known_keys_file).read():
        state = "revoked" if key.revoked else "valid"
        out.print(f"{key.key_id.hex()}  {state:8} {key.name}", highlight=False)


@keys_app.command("revoke")
def keys_revoke(
    key_id: Annotated[str, typer.Argument(help="The key id, 16 hexadecimal digits.")],
    data_dir: DataDir = None,
) -> None:
    """Refuse a key from now on. A running core notices by itself."""
    settings = load_settings(data_dir=data_dir)
    try:
        wanted = bytes.fromhex(key_id)
    except ValueError:
        raise typer.BadParameter("not hexadecimal", param_hint="KEY_ID") from None
    key = KnownKeys(settings.known_keys_file).revoke(wanted)
    out.print(f"revoked {key.key_id.hex()} {key.name}", highlight=False)


@keys_app.command("rotate")
def keys_rotate(
    name: Annotated[str, typer.Option(help="The collector, as in `chrono keys list`.")] = "local",
    check: Annotated[bool, typer.Option("--check", help="Say which steps are done.")] = False,
    core_url: Annotated[
        str | None, typer.Option(help="The running core; without it the settings' own.")
    ] = None,
    data_dir: DataDir = None,
) -> None:
    """Print the steps that rotate a collector's key without a gap; nothing is changed.

    With --check each step is looked up in the files and at the running core; exits 1 while one is left.
    """
    from core.check import heard_routes
    from core.rotation import Facts, find_rotation, steps

    settings = load_settings(data_dir=data_dir, core_url=core_url)
    folder, key_file = settings.known_keys_file.parent, settings.private_key_file
    rotation = find_rotation(name, KnownKeys(settings.known_keys_file).read(), folder, finished=check)
    silent_s, detail = asyncio.run(heard_routes(settings)) if check else (None, "the core was not asked")
    local = load_private_key(key_file).key_id.hex() if key_file.exists() else None
    left = False
    for number, step in enumerate(steps(rotation, Facts(key_file, local, silent_s, detail)), 1):
        mark = f"{'done ' if step.done else 'to do'} " if check else ""
        out.print(f"{number}. {mark}{step.what}", highlight=False, markup=False, soft_wrap=True)
        if check:
            out.print(f"   {step.found}", highlight=False, markup=False, soft_wrap=True)
        if not check or (not step.done and not left):
            for command in step.commands:
                out.print(f"   $ {command}", highlight=False, markup=False, soft_wrap=True)
        left = left or not step.done
    if check and left:
        raise typer.Exit(1)


def _announce(url: str, data_dir: str) -> None:
    out.print(f"\n  Chrono is up: [bold]{url}[/bold]")
    out.print(f"  API docs {url}/docs, data in {data_dir}, Ctrl-C stops.\n", soft_wrap=True)
