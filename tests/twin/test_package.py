"""The Lambda's zip, run as AWS runs it: a fresh Python that finds what the zip holds and nothing else.

It is packed by `infra/lambda/package.py`, but for the packages: instead of wheels for Lambda's Linux, which
would have to be fetched, those are taken that are installed here, in the versions that the zip pins.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from core.signed.key import PriceKey
from core.signed.passes import PassSigner
from core.signed.prices import verify_price
from core.snapshot.writer import snapshot_of
from tests.fakes.services import message_at
from tests.loopback import Asked, response, serving
from tests.twin.lambdas import balancer_event, gateway_event, url_event

LAMBDA = Path(__file__).parents[2] / "infra" / "lambda"
NOWHERE = "http://127.0.0.1:1"
KEY = PriceKey(bytes(31) + b"\x07")
RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "six.py")
"""What Lambda's own Python brings, of which the zip makes use."""

COLD = """
import json, os, sys, time
folders = json.loads(sys.argv[1])
sys.path[:0] = folders
from handler import handler
answers = [handler(event, None) for event in json.load(sys.stdin)]
homes = (*folders, os.path.dirname(os.__file__), sys.base_prefix)
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
strangers = [file for file in files if file and not file.startswith(homes)]
print(json.dumps([answers, strangers]))
"""

Event = Callable[..., dict[str, Any]]
events = pytest.mark.parametrize("event", [gateway_event, url_event, balancer_event])


def packer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("lambda_package_of_tests", LAMBDA / "package.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install_what_is_here(folder: Path, pinned: str) -> None:
    """The zip's packages from this Python's own; their versions must be those that are pinned."""
    wanted = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", pinned, re.MULTILINE))
    assert len(wanted) == len((LAMBDA / "packages.txt").read_text().split())
    for name, version in wanted.items():
        found = distribution(name)
        assert found.version == version
        for file in found.files or ():
            if ".." not in file.parts and file.suffix != ".pyc":
                target = folder / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(str(file.locate()), target)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the zip, in a folder of its own."""
    folder, packages = tmp_path_factory.mktemp("lambda"), tmp_path_factory.mktemp("packages")
    package = packer()
    install_what_is_here(packages, package.pinned())
    package.add_sources(packages)
    zipped, _ = package.write_zip(packages, folder / "twin.zip")
    assert zipped < 50e6
    with zipfile.ZipFile(folder / "twin.zip") as archive:
        archive.extractall(folder / "twin")
    return folder / "twin"


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's Python brings besides."""
    folder = tmp_path_factory.mktemp("runtime")
    site = Path(importlib.util.find_spec("boto3").origin or "").parents[1]  # type: ignore[union-attr]
    for name in RUNTIME:
        (folder / name).symlink_to(site / name)
    return folder


async def cold(folders: list[Path], *asked: dict[str, Any], **environment: str) -> list[dict[str, Any]]:
    """What a fresh instance answers to these events."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-B", "-c", COLD, json.dumps([str(folder) for folder in folders])),
        env={
            "PATH": os.environ["PATH"],
            "CHRONO_TWIN_SIGNER": KEY.address,
            "CHRONO_TWIN_CORE_URL": NOWHERE,
            "CHRONO_TWIN_CORE_S": "5",
            "CHRONO_SNAPSHOT_ENDPOINT": NOWHERE,
            "CHRONO_SNAPSHOT_BUCKET": "prices",
            "CHRONO_SNAPSHOT_KEY_ID": "id",
            "CHRONO_SNAPSHOT_SECRET": "secret",
            **environment,
        },
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        printed, errors = await process.communicate(json.dumps(asked).encode())
    assert process.returncode == 0, errors.decode()
    answers, strangers = json.loads(printed.splitlines()[-1])
    assert strangers == []
    told: list[dict[str, Any]] = answers
    return told


@events
async def test_the_zip_alone_passes_the_cores_answer_on_from_a_cold_start(
    event: Event, unpacked: Path
) -> None:
    async def core(_: Asked) -> bytes:
        return response(b'{"prices":[]}', content_type="application/json")

    async with serving(core) as url:
        (answer,) = await cold([unpacked], event("/v1/prices"), CHRONO_TWIN_CORE_URL=url)
    assert (answer["statusCode"], answer["body"]) == (200, '{"prices":[]}')
    assert answer["headers"]["x-chrono-source"] == "core"


@events
async def test_while_the_core_is_away_the_zip_tells_a_signed_snapshot_from_a_cold_start(
    event: Event, unpacked: Path, runtime: Path
) -> None:
    body = snapshot_of(message_at(time.time() - 30), PassSigner(KEY, 14))

    async def bucket(_: Asked) -> bytes:
        return response(body, etag='"1"')

    async with serving(bucket) as url:
        (answer,) = await cold(
            [unpacked, runtime],
            event("/v1/prices/BTC/USD", "signed=true"),
            CHRONO_SNAPSHOT_ENDPOINT=url,
        )
    told = json.loads(answer["body"])
    assert (answer["statusCode"], answer["headers"]["x-chrono-source"]) == (200, "snapshot")
    price = verify_price(told["signed"], signer=KEY.address, chain_id=14, at=time.time(), age_s_max=900)
    assert (told["state"], price.venues) == ("stale", told["venues_used"])
    assert int(answer["headers"]["age"]) >= 30


async def test_a_fresh_instance_answers_what_needs_nobody(unpacked: Path) -> None:
    asked = [event(path) for event in (gateway_event, balancer_event) for path in ("/v1/feeds", "/nothing")]
    answers = await cold([unpacked], *asked)
    assert [answer["statusCode"] for answer in answers] == [200, 404] * 2
