"""Makes what the Worker needs to run in workerd here: npm's packages, vendored modules, the bundle.

Knows pins and where things are kept; everything is keyed by what it was made from, so that it is made once.
Does not know what the Worker does. Standard library only, because `make edge-dev` runs it too.

    infra/edge/node_modules           npm's packages of package-lock.json
    .cache/edge/modules-KEY           Python modules of requirements.txt, as they are vendored for Pyodide
    .cache/edge/pyodide-KEY           the runtime's bundle, packed from npm's pyodide
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
CACHE: Final = ROOT / ".cache" / "edge"
NODE_MAJOR_MIN: Final = 20
INSTALL_S_MAX: Final = 300


class Unavailable(Exception):
    """Workerd cannot run here; the text says why."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """Where everything is."""

    node: str
    modules: Path
    bundle: Path
    workerd: Path


def prepare() -> Prepared:
    """Install, vendor and pack what is not there yet, one process at a time; raises Unavailable."""
    node = _node()
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install_npm(HERE)
        modules = vendor_modules()
        bundle = _pack_bundle(node)
        return Prepared(node, modules, bundle, _wrap_workerd(bundle))


def vendor_modules() -> Path:
    """The Python modules of the Worker's bundle, from wheels by their hashes; raises Unavailable."""
    wanted = HERE / "requirements.txt"
    modules = CACHE / f"modules-{_key(wanted)}"
    if modules.is_dir():
        return modules
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as beside:
        target = Path(beside) / "python_modules"
        _run(
            *(sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--no-compile", "--no-deps", "--require-hashes", "--only-binary", ":all:"),
            *("--python-version", "3.14", "--implementation", "py", "--abi", "none", "--platform", "any"),
            *("--target", str(target), "--requirement", str(wanted)),
        )
        _take_over(target, modules)
    return modules


def install_npm(folder: Path) -> None:
    """The npm packages of a folder, as its lock file says; raises Unavailable."""
    stamp = folder / "node_modules" / ".chrono"
    key = _key(folder / "package-lock.json")
    if stamp.exists() and stamp.read_text("utf-8") == key:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable("there is no npm on this machine")
    # Not `npm ci`: it wants the lock file to name workerd for every platform, and one that is missing where
    # the file was made is then missing everywhere. What the lock names is checked by its hash all the same.
    _run(npm, "install", "--no-save", "--no-audit", "--no-fund", "--loglevel", "error", cwd=folder)
    stamp.write_text(key, "utf-8")


def _node() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise Unavailable("there is no Node.js with npm on this machine")
    version = _run(node, "--version").strip()
    if int(version.lstrip("v").partition(".")[0]) < NODE_MAJOR_MIN:
        raise Unavailable(f"Node.js is {version}; workerd's runner needs {NODE_MAJOR_MIN} or newer")
    return node


def _pack_bundle(node: str) -> Path:
    bundle = CACHE / f"pyodide-{_key(HERE / 'package-lock.json', HERE / 'pack_bundle.mjs')}"
    packed = bundle / "pyodide_dev.capnp.bin"
    if not packed.exists():
        _run(node, str(HERE / "pack_bundle.mjs"), str(HERE / "node_modules" / "pyodide"), str(packed))
    return bundle


def _wrap_workerd(bundle: Path) -> Path:
    """A program that runs workerd with the one option that miniflare does not pass on."""
    found = sorted((HERE / "node_modules" / "@cloudflare").glob("workerd-*/bin/workerd*"))
    if not found:
        raise Unavailable("npm has no workerd for this operating system and processor")
    wrapper = bundle / "workerd"
    text = f'#!/bin/sh\nexec "{found[0]}" "$@" --pyodide-bundle-disk-cache-dir="{bundle}"\n'
    if not wrapper.exists() or wrapper.read_text("utf-8") != text:
        with tempfile.NamedTemporaryFile("w", dir=bundle, delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).chmod(0o755)
        Path(file.name).replace(wrapper)
    try:
        _run(str(wrapper), "--version")
    except Unavailable as error:
        raise Unavailable(f"workerd does not run here: {error}") from None
    return wrapper


def _key(*files: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _take_over(made: Path, place: Path) -> None:
    try:
        made.rename(place)
    except OSError:
        if not place.is_dir():  # another process was first
            raise


def _run(*command: str, cwd: Path = ROOT) -> str:
    environment = {**os.environ, "npm_config_update_notifier": "false"}
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_S_MAX,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{Path(command[0]).name}: {error}") from None
    if done.returncode:
        told = (done.stderr or done.stdout).strip()[-500:]
        raise Unavailable(f"{Path(command[0]).name} {command[1]} failed: {told}")
    return done.stdout


if __name__ == "__main__":
    try:
        ready = prepare()
    except Unavailable as error:
        sys.exit(f"The Worker cannot run here: {error}")
    json.dump({"modules": str(ready.modules), "bundle": str(ready.bundle)}, sys.stdout)
