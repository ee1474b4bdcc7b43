"""`make edge-dev`: the Worker in workerd on this machine, against the core on this machine, until Ctrl-C.

Takes the collector's key from the data folder of `make up`. Asks the real venues, or with --simulator those
of `chrono simulate`. Durable storage is kept in .cache/edge/objects.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from infra.edge.prepare import CACHE, HERE, ROOT, Unavailable, prepare

ORIGINS = {
    "https://data-api.binance.vision": "binance",
    "https://api.binance.com": "binance",
    "https://api.bybit.com": "bybit",
    "https://www.okx.com": "okx",
    "https://api.kraken.com": "kraken",
    "https://api.coinbase.com": "coinbase",
    "https://api.geckoterminal.com": "gecko",
    "https://api.dexscreener.com": "dexscreener",
}


def main() -> int:
    arguments = _arguments()
    try:
        prepared = prepare()
        key = arguments.key.read_text("utf-8")
    except Unavailable as error:
        print(f"The Worker cannot run here: {error}")
        return 2
    except OSError as error:
        print(f"{arguments.key}: {error.strerror}. `make up` makes a key; --key names another.")
        return 2
    core_url = arguments.core.rstrip("/")
    routes = {core_url: core_url}
    if arguments.simulator:
        routes |= {origin: f"{arguments.simulator.rstrip('/')}/{venue}" for origin, venue in ORIGINS.items()}
    config = {
        "root": str(ROOT),
        "pythonModules": str(prepared.modules),
        "vars": {"CORE_URL": core_url},
        "secrets": {"COLLECTOR_KEY": key},
        "routes": routes,
        "live": not arguments.simulator,
        "port": arguments.port,
        "persist": str(arguments.persist),
        "watch": True,
    }
    return _run(prepared.node, str(prepared.workerd), config)


def _run(node: str, workerd: str, config: dict[str, object]) -> int:
    """The runner, until a signal ends it, or its input ends with this process, however that may die."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "workerd.json"
        file.touch(0o600)
        file.write_text(json.dumps(config), "utf-8")
        process = subprocess.Popen(
            [node, str(HERE / "run.mjs"), str(file)],
            env={**os.environ, "MINIFLARE_WORKERD_PATH": workerd},
            stdin=subprocess.PIPE,
        )
        asked_to_end = []

        def end(number: int, _frame: object) -> None:
            asked_to_end.append(number)
            process.terminate()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        code = process.wait()
        return 0 if asked_to_end else code


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make edge-dev")
    parser.add_argument("--core", default="http://127.0.0.1:8000", help="the core's URL")
    parser.add_argument("--simulator", default="", help="URL of simulated venues instead of the real ones")
    parser.add_argument("--port", type=int, default=8787, help="of the status page")
    parser.add_argument("--key", type=Path, default=ROOT / ".chrono" / "keys" / "collector.key")
    parser.add_argument("--persist", type=Path, default=CACHE / "objects")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
