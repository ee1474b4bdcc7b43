"""`chrono provider`: the FTSO provider, rounds on chain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from chrono.errors import ChronoError
from core.commands.words import DataDir, err, load_settings, out, run, show_findings
from core.log import configure_logging

if TYPE_CHECKING:
    from core.claim import Claiming

WEI = 10**18

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


@app.command("claim")
def claim(
    dry_run: Annotated[bool, typer.Option(help="List what could be claimed, and claim nothing.")] = False,
    owner: Annotated[str | None, typer.Option(help="Whose rewards; default: the identity.")] = None,
    first: Annotated[int, typer.Option("--from", help="The first reward epoch to look at.", min=0)] = 0,
    data_dir: DataDir = None,
) -> None:
    """Claim the rewards of past reward epochs, with proofs from the published files."""
    from core.claim import claiming

    settings = load_settings(data_dir=data_dir)
    configure_logging("claim", "WARNING", settings.log_format)

    async def work() -> bool:
        async with claiming(settings, owner) as rewards:
            return await _claim(rewards, first, dry_run=dry_run)

    try:
        done = asyncio.run(work())
    except ChronoError as error:
        err.print(f"chrono: {error}", style="red", highlight=False)
        raise typer.Exit(1) from None
    if not done:
        raise typer.Exit(1)


async def _claim(rewards: Claiming, first: int, *, dry_run: bool) -> bool:
    """Show every epoch as it is looked at, then claim; whether all went well."""
    epochs = [number for number in await rewards.epochs() if number >= first]
    out.print(f"{len(epochs)} reward epochs with signed rewards; looking for those of {rewards.owner.text}")
    found = []
    for number in epochs:
        each = await rewards.look(number)
        out.print(
            f"reward epoch {number}: {each.told}", style="yellow" if each.problem else "", highlight=False
        )
        found.append(each)
    payable = [each for each in found if each.amount_wei]
    total = sum(each.amount_wei for each in payable) / WEI
    out.print(f"{total:,.6f} to claim from {len(payable)} reward epochs, paid to {rewards.recipient.text}")
    if dry_run:
        return not any(each.problem for each in found)
    failed = [each.reward_epoch for each in found if each.problem]
    for each in payable:
        try:
            await rewards.claim(each)
            out.print(f"reward epoch {each.reward_epoch}: claimed {each.amount_wei / WEI:,.6f}")
        except ChronoError as error:
            err.print(f"reward epoch {each.reward_epoch}: {error}", style="red", highlight=False)
            failed.append(each.reward_epoch)
    return not failed


@app.command("doctor")
def doctor(data_dir: DataDir = None) -> None:
    """Look at keys, endpoints, balances, registration, clock and feeds. Exits 1 if one fails."""
    from core.doctor import examine

    settings = load_settings(data_dir=data_dir)
    configure_logging("doctor", "WARNING", settings.log_format)
    show_findings("part", asyncio.run(examine(settings)))
