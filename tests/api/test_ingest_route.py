"""What a collector hears when it posts a batch."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import Request

from chrono.batch import BYTES_MAX, Batch, encode
from chrono.errors import BadSignature, RevokedKey, StaleBatch, UnknownKey
from core.api.ingest import read_bounded
from core.api.problems import Refused
from core.api.schemas.common import ProblemDocument
from core.api.schemas.operations import Acknowledgement
from core.ports import StoreUnavailable
from tests.fakes.services import NOW, World

OCTETS = {"Content-Type": "application/octet-stream"}


def sealed(sequence: int = 7, sent_at: float = NOW) -> bytes:
    return encode(Batch(b"\x01" * 8, sequence, sent_at, ())) + b"\x00" * 64


async def test_a_committed_batch_is_acknowledged(client: httpx.AsyncClient, world: World) -> None:
    answer = await client.post("/ingest", content=sealed(), headers=OCTETS)
    told = Acknowledgement.model_validate_json(answer.content)
    assert (answer.status_code, told.sequence, told.accepted) == (200, 7, 0)
    assert told.refused == {"crossed_book": 1, "malformed": 2}
    assert answer.headers["chrono-duplicate"] == "false"
    assert world.metric("chrono_ingest_answers_total", outcome="committed") == 1


async def test_a_batch_redelivered_is_answered_byte_for_byte_the_same(client: httpx.AsyncClient) -> None:
    first, again = [await client.post("/ingest", content=sealed(), headers=OCTETS) for _ in range(2)]
    assert first.content == again.content
    assert (first.headers["chrono-duplicate"], again.headers["chrono-duplicate"]) == ("false", "true")


async def test_a_sequence_with_other_content_is_a_conflict(client: httpx.AsyncClient) -> None:
    await client.post("/ingest", content=sealed(), headers=OCTETS)
    answer = await client.post("/ingest", content=sealed(sent_at=NOW + 1), headers=OCTETS)
    problem = ProblemDocument.model_validate_json(answer.content)
    assert (answer.status_code, problem.type) == (409, "urn:chrono:problem:sequence-conflict")
    assert problem.model_extra == {"key_id": "01" * 8, "sequence": 7}


@pytest.mark.parametrize(
    ("error", "told", "evidence"),
    [
        (UnknownKey("ab"), (401, "unknown-key"), {"key_id": "ab"}),
        (RevokedKey("ab"), (401, "revoked-key"), {"key_id": "ab"}),
        (BadSignature("ab"), (401, "bad-signature"), {"key_id": "ab"}),
        (StaleBatch(-40.0, 30.0), (422, "stale-batch"), {"age_s": -40.0, "limit_s": 30.0}),
        (StoreUnavailable("down", 2.5), (503, "store-unavailable"), {"retry_after_s": 2.5}),
    ],
)
async def test_a_refused_batch_says_why(
    client: httpx.AsyncClient,
    world: World,
    error: Exception,
    told: tuple[int, str],
    evidence: dict[str, object],
) -> None:
    world.ingest.fails_with = error
    answer = await client.post("/ingest", content=sealed(), headers=OCTETS)
    problem = ProblemDocument.model_validate_json(answer.content)
    assert (answer.status_code, problem.type) == (told[0], f"urn:chrono:problem:{told[1]}")
    assert (problem.model_extra, problem.instance) == (evidence, "/ingest")
    assert world.metric("chrono_ingest_answers_total", outcome=told[1]) == 1


async def test_a_store_that_is_down_says_when_to_come_back(client: httpx.AsyncClient, world: World) -> None:
    world.ingest.fails_with = StoreUnavailable("the database is down", 2.5)
    answer = await client.post("/ingest", content=sealed(), headers=OCTETS)
    assert answer.headers["retry-after"] == "3"


async def test_an_unauthorised_answer_names_its_scheme(client: httpx.AsyncClient, world: World) -> None:
    world.ingest.fails_with = BadSignature("ab")
    answer = await client.post("/ingest", content=sealed(), headers=OCTETS)
    assert answer.headers["www-authenticate"].startswith("Chrono-Batch")


async def test_bytes_that_are_no_batch_are_malformed(client: httpx.AsyncClient) -> None:
    answer = await client.post("/ingest", content=b"x" * 200, headers=OCTETS)
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:chrono:problem:malformed-batch")


@pytest.mark.parametrize("media_type", ["application/json", "", "application/octet-streams"])
async def test_another_media_type_is_refused(client: httpx.AsyncClient, media_type: str) -> None:
    answer = await client.post("/ingest", content=sealed(), headers={"Content-Type": media_type})
    assert (answer.status_code, answer.headers["accept"]) == (415, "application/octet-stream")


async def test_an_announced_size_is_refused_before_it_is_read(client: httpx.AsyncClient) -> None:
    answer = await client.post("/ingest", content=b"x" * (BYTES_MAX + 1), headers=OCTETS)
    problem = answer.json()
    assert (answer.status_code, problem["size"], problem["limit"]) == (413, BYTES_MAX + 1, BYTES_MAX)


async def test_an_endless_body_is_refused_at_the_limit(client: httpx.AsyncClient) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        while True:
            read += 65_536
            yield b"x" * 65_536
            await asyncio.sleep(0)

    answer = await client.post("/ingest", content=endless(), headers=OCTETS)
    assert (answer.status_code, answer.json()["type"]) == (413, "urn:chrono:problem:oversized-batch")
    assert read <= BYTES_MAX + 2 * 65_536


async def test_a_body_that_does_not_come_is_given_up() -> None:
    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"200")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(Refused) as refused:
        await read_bounded(request, BYTES_MAX, within_s=0.0)
    assert (refused.value.problem.status, refused.value.problem.evidence) == (408, {"bytes_received": 0})


async def test_an_unforeseen_failure_tells_nothing_of_itself(client: httpx.AsyncClient, world: World) -> None:
    world.ingest.fails_with = RuntimeError("secret")
    answer = await client.post("/ingest", content=sealed(), headers=OCTETS)
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:chrono:problem:internal-error")
    assert "secret" not in answer.text
