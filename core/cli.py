"""The `chrono` command: words and options in, calls out. Decides nothing about prices."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console

from chrono.errors import ChronoError
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
)
keys_app = typer.Typer(help="Collector keys (Ed25519).", no_args_is_help=True)
app.add_typer(keys_app, name="keys")

out = Console()
err = Console(stderr=True)


class MarketChoice(StrEnum):
    live = "live"
    simulated = "simulated"


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


def _run(process: str, settings: Settings, work: Coroutine[Any, Any, None]) -> None:
    configure_logging(process, settings.log_level, settings.log_format)
    import uvloop  # noqa: PLC0415

    uvloop.run(work)
