"""What every command shares: the two consoles, common options, settings with choices over them, a run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer
import uvloop
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from core.lifecycle import stop_on_signals
from core.log import configure_logging
from core.settings import Settings

out = Console()
err = Console(stderr=True)
_STYLES = {"ok": "", "warning": "yellow", "failed": "red"}

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


def run(process: str, settings: Settings, work: Work) -> None:
    """Run a process until its work ends or it is told to stop."""
    configure_logging(process, settings.log_level, settings.log_format)

    async def until_stopped() -> None:
        async with stop_on_signals() as stop:
            await work(stop)

    uvloop.run(until_stopped())


class Finding(Protocol):
    """What a self-check found of one thing."""

    @property
    def name(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def detail(self) -> str: ...
    @property
    def failed(self) -> bool: ...


def show_findings(title: str, findings: Iterable[Finding]) -> None:
    """Print a table of findings; exits 1 if one failed."""
    found = list(findings)
    table = Table(title, "", "found", box=None, pad_edge=False)
    for finding in found:
        table.add_row(finding.name, finding.outcome, finding.detail, style=_STYLES[finding.outcome])
    out.print(table)
    if any(finding.failed for finding in found):
        raise typer.Exit(1)
