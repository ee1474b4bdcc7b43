"""A cold start loads little: no driver, no chain, no arrays, and no S3 client before an outage."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
HEAVY = [
    *("aiohttp", "asyncpg", "boto3", "botocore", "eth_abi", "eth_account", "eth_keys", "eth_utils", "httpx"),
    *("numpy", "prometheus_client", "psutil", "redis", "typer", "uvicorn", "web3"),
]


def test_the_handler_loads_nothing_heavy() -> None:
    asked = f"import mangum, core.twin.app, sys; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    paths = [str(ROOT / "edge"), str(ROOT)]
    code = f"import sys; sys.path[:0] = {paths!r}; {asked}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
