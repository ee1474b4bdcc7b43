"""What a bucket in trouble does: a reason from a few words, within the stated time, and no secret told."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from core.snapshot.objects import StoreFailed
from core.snapshot.s3 import ATTEMPTS, CONNECT_S, READ_S, S3Objects
from tests.loopback import Asked, response, serving
from tests.s3_server import BUCKET, KEY_ID, S3Server


def failure(objects: S3Objects) -> StoreFailed:
    with pytest.raises(StoreFailed) as failed:
        objects.put("latest.json", b"{}", (1, 1), None)
    with pytest.raises(StoreFailed):
        objects.get("latest.json")
    return failed.value


@pytest.mark.parametrize(("key_id", "secret"), [(KEY_ID, "hunter2"), ("nobody", "hunter2")])
def test_wrong_credentials_are_told_without_the_secret(s3_server: S3Server, key_id: str, secret: str) -> None:
    failed = failure(S3Objects(s3_server.url, BUCKET, key_id, secret))
    assert failed.reason == "credentials"
    assert "hunter2" not in str(failed)


def test_a_server_that_is_away_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert failure(S3Objects(f"http://127.0.0.1:{port}", BUCKET, "a", "b")).reason == "unreachable"


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    async def never(_: Asked) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with serving(never) as url:
        began = time.monotonic()
        objects = S3Objects(url, BUCKET, "a", "b", read_s=0.2)
        with pytest.raises(StoreFailed, match="timeout"):
            await asyncio.to_thread(objects.put, "latest.json", b"{}", (1, 1), None)
    assert time.monotonic() - began < ATTEMPTS * (CONNECT_S + READ_S) + 1


async def test_an_object_that_ends_in_the_middle_is_no_object() -> None:
    async def cut(_: Asked) -> bytes:
        whole = response(b"x" * 100, etag='"1"')
        return whole.replace(b"content-length: 100", b"Content-Length: 900")

    async with serving(cut) as url:
        objects = S3Objects(url, BUCKET, "a", "b", read_s=0.2)
        with pytest.raises(StoreFailed):
            await asyncio.to_thread(objects.get, "latest.json")


async def test_a_server_in_trouble_is_asked_twice_and_not_more() -> None:
    asked = 0

    async def broken(_: Asked) -> bytes:
        nonlocal asked
        asked += 1
        return response(b"<Error><Code>InternalError</Code></Error>", 500)

    async with serving(broken) as url:
        with pytest.raises(StoreFailed, match="InternalError with status 500"):
            await asyncio.to_thread(S3Objects(url, BUCKET, "a", "b").get, "latest.json")
    assert asked == ATTEMPTS
