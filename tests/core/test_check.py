"""`chrono check` says of the bucket and of Redis whether they serve, and what is wrong where they do not."""

from __future__ import annotations

import socket

from core.check import Finding, _redis, _snapshots, try_bucket
from core.settings import Settings
from core.snapshot.objects import StoreFailed
from tests.fakes.objects import FakeObjects
from tests.fakes.services import NOW
from tests.redis_server import RedisServer
from tests.s3_server import BUCKET, KEY_ID, SECRET, S3Server

NEWEST = "prices/latest.json"


def found(objects: FakeObjects) -> tuple[str, str]:
    finding = try_bucket(objects, "prices/", NOW)
    return finding.outcome, finding.detail


def test_a_bucket_with_a_fresh_snapshot_is_well() -> None:
    objects = FakeObjects()
    assert found(objects) == ("warning", "can be written and read; no snapshot is there yet")
    objects.put(NEWEST, b"{}", (round(NOW * 1000) - 4_000, 1), None)
    assert found(objects) == ("ok", "can be written and read; the newest snapshot is 4 s old")


def test_a_snapshot_that_no_core_renews_is_told_with_its_age() -> None:
    objects = FakeObjects()
    objects.put(NEWEST, b"{}", (round(NOW * 1000) - 900_000, 1), None)
    assert found(objects) == ("warning", "can be written and read; the newest snapshot is 900 s old")


def test_the_snapshot_itself_is_left_alone() -> None:
    objects = FakeObjects()
    objects.put(NEWEST, b"{}", (1, 1), None)
    before = objects.standing(NEWEST)
    found(objects)
    assert (objects.get(NEWEST), objects.standing(NEWEST)) == (b"{}", before)


class ReadOnly(FakeObjects):
    """A bucket with the token that was meant for the twin."""

    def put(self, name: str, body: bytes, order: tuple[int, int], replaces: str | None) -> str:
        raise StoreFailed("credentials", "AccessDenied with status 403")


def test_a_token_that_may_only_read_is_told_as_that() -> None:
    outcome, told = found(ReadOnly())
    assert (outcome, told.partition(":")[0]) == ("failed", "cannot be written")
    assert "may not do this" in told


async def of_bucket(url: str, secret: str = SECRET) -> Finding:
    return await _snapshots(
        Settings(
            snapshot_endpoint=url,
            snapshot_bucket=BUCKET,
            snapshot_key_id=KEY_ID,
            snapshot_secret=secret,  # type: ignore[arg-type]
            snapshot_prefix="checked/",
        )
    )


async def test_a_real_bucket_is_tried(s3_server: S3Server) -> None:
    for _ in range(2):
        finding = await of_bucket(s3_server.url)
        assert (finding.outcome, "can be written and read" in finding.detail) == ("warning", True)


async def test_a_wrong_secret_and_no_server_are_told_apart(s3_server: S3Server) -> None:
    told = [
        await of_bucket(s3_server.url, secret="another"),
        await of_bucket("http://127.0.0.1:1"),
    ]
    assert [finding.outcome for finding in told] == ["failed"] * 2
    for finding, words in zip(told, ("secret is wrong", "does not answer"), strict=True):
        assert words in finding.detail
        assert "another" not in finding.detail


async def test_no_bucket_is_no_fault() -> None:
    assert (await _snapshots(Settings())).outcome == "ok"


async def test_a_redis_that_answers_is_told_with_its_version_and_its_time(redis_server: RedisServer) -> None:
    finding = await _redis(Settings(redis_url=redis_server.url))  # type: ignore[arg-type]
    assert finding.outcome == "ok"
    assert "answered in" in finding.detail


async def test_a_redis_that_is_away_is_named_without_its_password() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"redis://:hunter2@127.0.0.1:{port}/0"
    finding = await _redis(Settings(redis_url=url))  # type: ignore[arg-type]
    assert finding.outcome == "failed"
    assert f"127.0.0.1:{port}" in finding.detail
    assert "does not answer" in finding.detail
    assert "hunter2" not in finding.detail
