"""`chrono gateway`: API keys, usage and blocks, in the database, and replicas of the public API.

Running cores and replicas notice what is changed by themselves.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Annotated, TypeVar

import typer

from core.commands.words import DataDir, load_settings, out, run
from core.gateway.accounts import Accounts, Order
from core.gateway.keys import DEFAULT_SCOPES, ENTROPY_BYTES, SCOPES, ApiKey, NewKey, make_key
from core.gateway.tiers import Tier
from core.settings import Settings

T = TypeVar("T")
DAY_S = 86_400.0

app = typer.Typer(help="The public API: keys, usage, blocks, replicas.", no_args_is_help=True)
keys = typer.Typer(help="API keys.", no_args_is_help=True)
blocks = typer.Typer(help="Addresses that are blocked.", no_args_is_help=True)
app.add_typer(keys, name="keys")
app.add_typer(blocks, name="blocks")


class TierChoice(StrEnum):
    """The tiers that an account may have."""

    free = "free"
    developer = "developer"
    premium = "premium"
    internal = "internal"


@app.command("serve")
def serve(
    processes: Annotated[
        int | None, typer.Option(help="Replicas; CHRONO_GATEWAY_PROCESSES or 2 without it.", min=1, max=64)
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="One port for all; 0 takes a free one.", min=0)] = None,
    data_dir: DataDir = None,
) -> None:
    """Run replicas of the public API behind one port. Needs DATABASE_URL, REDIS_URL and a running core."""
    from core.replicas import run_replicas

    settings = load_settings(data_dir=data_dir, gateway_host=host, gateway_port=port)
    count = processes or settings.gateway_processes or 2

    def announce(url: str) -> None:
        out.print(f"\n  The public API is up: [bold]{url}[/bold], {count} processes. Ctrl-C stops.\n")

    run("gateway", settings, lambda stop: run_replicas(settings, count, stop, announce))


@app.command("replica", hidden=True)
def replica(
    descriptor: Annotated[int, typer.Option(help="The listening socket that was inherited.", min=0)],
    place: Annotated[int, typer.Option(help="Which replica this is, from 0.", min=0)] = 0,
    data_dir: DataDir = None,
) -> None:
    """Run one replica on a listening socket of its parent's."""
    import socket

    from core.replica import run_replica

    settings = load_settings(data_dir=data_dir)
    listener = socket.socket(fileno=descriptor)
    run(f"replica-{place}", settings, lambda stop: run_replica(settings, listener, place, stop))


Prefix = Annotated[str, typer.Argument(help="The key's visible part, as `keys list` shows it.")]


@keys.command("new")
def new(
    account: Annotated[str, typer.Argument(help="Who pays: limits count for an account.")],
    tier: Annotated[TierChoice, typer.Option(help="The account's tier.")] = TierChoice.free,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "key",
    scope: Annotated[
        list[str] | None, typer.Option(help=f"What it opens: {', '.join(SCOPES)}; may be repeated.")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Ends after so many days.", min=1, max=3650)] = None,
    data_dir: DataDir = None,
) -> None:
    """Make a key and show it, once."""
    scopes = frozenset(scope or DEFAULT_SCOPES)
    if not scopes <= set(SCOPES):
        raise typer.BadParameter(f"one of {', '.join(SCOPES)}", param_hint="--scope")
    at = time.time()
    order = Order(account, Tier(tier.value), name, scopes, None if days is None else at + days * DAY_S)
    made = _new_key()
    _with_accounts(load_settings(data_dir=data_dir), lambda accounts: accounts.issue(order, made, at))
    _show_new(made)


@keys.command("list")
def list_keys(
    account: Annotated[str | None, typer.Option(help="One account only.")] = None, data_dir: DataDir = None
) -> None:
    """Show all keys, without their secrets."""
    at = time.time()
    found: Sequence[ApiKey] = _with_accounts(
        load_settings(data_dir=data_dir), lambda accounts: accounts.keys(account)
    )
    for key in found:
        state = key.ended(at) or "valid"
        ends = "" if key.expires_at is None else f"  until {_day(key.expires_at)}"
        scopes = ",".join(sorted(key.scopes))
        out.print(
            f"{key.prefix}  {state:8} {key.tier:9} {key.account}/{key.name}  {scopes}{ends}",
            highlight=False,
            soft_wrap=True,
        )


@keys.command("rotate")
def rotate(
    prefix: Prefix,
    overlap_hours: Annotated[float, typer.Option(help="So long both keys count.", min=0, max=2160)] = 24.0,
    data_dir: DataDir = None,
) -> None:
    """Make a key in another's place; the old one ends after the overlap."""
    made, at = _new_key(), time.time()
    _with_accounts(
        load_settings(data_dir=data_dir),
        lambda accounts: accounts.rotate(prefix, made, at, overlap_hours * 3600),
    )
    _show_new(made)


@keys.command("revoke")
def revoke(prefix: Prefix, data_dir: DataDir = None) -> None:
    """End a key now: within two seconds no replica accepts it."""
    at = time.time()
    _with_accounts(load_settings(data_dir=data_dir), lambda accounts: accounts.revoke(prefix, at))
    out.print(f"revoked {prefix}", highlight=False)


@app.command("usage")
def usage(
    first: Annotated[datetime | None, typer.Option("--from", formats=["%Y-%m-%d"], help="First day.")] = None,
    last: Annotated[datetime | None, typer.Option("--to", formats=["%Y-%m-%d"], help="Last day.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Lines for a bill.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Show what was used, by key, endpoint and day; the last 31 days without other words."""
    from core.api.usage import usage_csv

    end = last.date() if last else datetime.now(UTC).date()
    start = first.date() if first else end - timedelta(days=30)
    rows = _with_accounts(load_settings(data_dir=data_dir), lambda accounts: accounts.usage(start, end))
    if csv:
        sys.stdout.write(usage_csv(rows))
        return
    for row in rows:
        line = f"{row.day}  {row.prefix}  {row.endpoint:12} {row.requests:>10}  {row.account}"
        out.print(line, highlight=False, soft_wrap=True)


@blocks.command("list")
def list_blocks(data_dir: DataDir = None) -> None:
    """Show the addresses that are blocked now, and why."""
    at = time.time()
    for block in _with_accounts(load_settings(data_dir=data_dir), lambda accounts: accounts.blocks(at)):
        until = datetime.fromtimestamp(block.until, UTC).isoformat(timespec="seconds")
        out.print(f"{block.address}  {block.reason}  until {until}", highlight=False, soft_wrap=True)


@blocks.command("remove")
def remove_block(
    address: Annotated[str, typer.Argument(help="As `blocks list` shows it.")], data_dir: DataDir = None
) -> None:
    """Serve an address again, within two seconds."""
    _with_accounts(load_settings(data_dir=data_dir), lambda accounts: accounts.unblock(address))
    out.print(f"unblocked {address}", highlight=False)


def _with_accounts(settings: Settings, work: Callable[[Accounts], Awaitable[T]]) -> T:
    """Do something with the database of these settings, whether a core runs on it or not."""
    from core.database import open_pool
    from core.storage.gateway import PostgresAccounts

    async def main() -> T:
        async with open_pool(settings) as pool:
            return await work(PostgresAccounts(pool))

    return asyncio.run(main())


def _new_key() -> NewKey:
    return make_key(secrets.token_bytes(ENTROPY_BYTES))


def _show_new(made: NewKey) -> None:
    out.print(f"key     {made.text}", highlight=False, soft_wrap=True)
    out.print(f"prefix  {made.prefix}", highlight=False)
    out.print("The key is shown this once: nobody keeps it.", highlight=False)


def _day(at: float) -> date:
    return datetime.fromtimestamp(at, UTC).date()
