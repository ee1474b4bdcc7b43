"""`chrono keys`: collectors' key pairs, which of them the core accepts, and their rotation."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from chrono.signing import PublicKey
from core.commands.words import DataDir, load_settings, out
from core.keys import KnownKeys, create_private_key, format_known_key, load_private_key

app = typer.Typer(help="Collector keys (Ed25519).", no_args_is_help=True)


@app.command("new")
def new(
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


@app.command("list")
def list_known(data_dir: DataDir = None) -> None:
    """Show the collectors whose batches this core accepts or has revoked."""
    settings = load_settings(data_dir=data_dir)
    for key in KnownKeys(settings.known_keys_file).read():
        state = "revoked" if key.revoked else "valid"
        out.print(f"{key.key_id.hex()}  {state:8} {key.name}", highlight=False)


@app.command("revoke")
def revoke(
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


@app.command("rotate")
def rotate(
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
