"""The Lambda's zip and its cold start: a fresh Python, only what the zip holds, until the first answer.

Nothing is compiled beforehand and nothing is kept, as in Lambda's read-only folder.

Measured on this machine's processor with this Python; Lambda's own start comes on top, and its share of a
processor follows from its memory. The baseline is a fresh Python that imports the core's whole API.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.snapshot.writer import snapshot_of
from tests.fakes.services import message_at
from tests.twin.lambdas import gateway_event

ROOT = Path(__file__).resolve().parents[1]
KEY = PriceKey(bytes(31) + b"\x07")
_ANSWER = """
import sys, time
began = time.perf_counter()
sys.path[:0] = [{folder!r}]
sys.path += {behind!r}
from handler import handler
imported = time.perf_counter()
answer = handler({event!r}, None)
assert answer["statusCode"] == 200, answer
assert answer["headers"]["x-chrono-source"] == {source!r}, answer
first = time.perf_counter()
handler({event!r}, None)
print(imported - began, first - began, time.perf_counter() - first)
"""
_BASELINE = """
import sys, time
began = time.perf_counter()
sys.path[:0] = {paths!r}
import core.api.app, core.bus, mangum
print(time.perf_counter() - began)
"""


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: size, and cold starts with a core and without."""
    times = 2 if quick else 7
    with tempfile.TemporaryDirectory() as temporary:
        folder, pack = Path(temporary), _packer()
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        arch = "arm64" if platform.machine() in ("aarch64", "arm64") else "x86_64"
        zipped, unpacked = pack.pack(folder / "twin.zip", python, arch)
        with zipfile.ZipFile(folder / "twin.zip") as archive:
            archive.extractall(folder / "twin")
        site = sysconfig.get_paths()["purelib"]
        with _served(b'{"prices":[]}') as core:
            fresh = _starts(folder / "twin", _environment(core, core), "core", [], times)
        body = snapshot_of(message_at(time.time()), PassSigner(KEY, 14))
        with _served(body) as bucket:
            old = _starts(
                folder / "twin", _environment("http://127.0.0.1:1", bucket), "snapshot", [site], times
            )
        paths = [str(ROOT / "edge"), str(ROOT), site]
        whole = statistics.median(_printed(_BASELINE.format(paths=paths), {})[0] for _ in range(times))
    return [
        _row("the Lambda's zip", zipped / 1e6, "MB", target="< 50 MB"),
        _row("the Lambda's zip, unpacked", unpacked / 1e6, "MB", target="< 250 MB"),
        _row("cold start until the handler is loaded", fresh[0] * 1000, "ms", whole * 1000),
        _row("cold start until the first answer, from the core", fresh[1] * 1000, "ms", whole * 1000),
        _row("cold start until the first answer, from a snapshot", old[1] * 1000, "ms", whole * 1000),
        _row("a warm answer from a snapshot", old[2] * 1000, "ms"),
    ]


def _row(
    name: str, figure: float, unit: str, baseline: float | None = None, target: str | None = None
) -> dict[str, object]:
    return {
        "name": name,
        "figure": round(figure, 2),
        "unit": unit,
        "baseline": None if baseline is None else round(baseline, 2),
        "baseline_name": None if baseline is None else "importing the core's whole API",
        "ratio": None if baseline is None else round(baseline / figure, 2),
        "target": target,
    }


def _packer() -> Any:
    spec = importlib.util.spec_from_file_location("lambda_package", ROOT / "infra" / "lambda" / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _environment(core: str, bucket: str) -> dict[str, str]:
    return {
        "CHRONO_TWIN_CORE_URL": core,
        "CHRONO_TWIN_SIGNER": KEY.address,
        "CHRONO_SNAPSHOT_ENDPOINT": bucket,
        "CHRONO_SNAPSHOT_BUCKET": "prices",
        "CHRONO_SNAPSHOT_KEY_ID": "id",
        "CHRONO_SNAPSHOT_SECRET": "secret",
    }


def _starts(
    folder: Path, environment: dict[str, str], source: str, behind: list[str], times: int
) -> list[float]:
    """Medians over fresh processes: loaded, first answer, second answer, in seconds."""
    event = json.loads(json.dumps(gateway_event("/v1/prices/BTC/USD")))
    code = _ANSWER.format(folder=str(folder), behind=behind, event=event, source=source)
    runs = [_printed(code, environment) for _ in range(times)]
    return [statistics.median(column) for column in zip(*runs, strict=True)]


def _printed(code: str, environment: dict[str, str]) -> list[float]:
    kept = {**os.environ, **environment}
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-B", "-c", code], env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.splitlines()[-1].split()]


@contextmanager
def _served(body: bytes) -> Iterator[str]:
    """A server on loopback that answers every GET with the body."""

    class Answers(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"1"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
