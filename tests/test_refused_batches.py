"""Batches that a core must refuse, over real HTTP with real keys and a real store: what is told and counted.

What the route alone answers, and how bodies are read, is in tests/api.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from chrono.batch import BYTES_MAX, TICKS_MAX
from chrono.signing import PublicKey
from core.app import run_core
from core.keys import KnownKeys, LocalSigner
from core.settings import Settings
from tests.fakes.batches import new_signer, quote, sealed_batch

OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass
class Rim:
    """A core on loopback, as a collector with one known key meets it."""

    http: httpx.AsyncClient
    signer: LocalSigner
    known: KnownKeys
    database: str

    async def batch(self, sequence: int = 1, *, age_s: float = 0.0, bid: str = "64000.1") -> bytes:
        at = time.time()
        return await sealed_batch(self.signer, quote(bid=bid, at=at), sequence=sequence, sent_at=at - age_s)

    async def post(self, sealed: bytes) -> httpx.Response:
        return await self.http.post("/ingest", content=sealed, headers=OCTETS)

    async def counted(self, sample: str) -> float:
        lines = (await self.http.get("/metrics")).text.splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(sample + " ")), 0.0)

    async def stored(self) -> tuple[int, int]:
        """How many batches and ticks the database holds."""
        connection = await asyncpg.connect(self.database)
        try:
            return tuple(
                await connection.fetchrow(
                    "select (select count(*) from batches), (select count(*) from ticks)"
                )
            )
        finally:
            await connection.close()

    async def heard_price(self) -> Any:
        told = (await self.http.get("/v1/prices/sources", params={"feed": "BTC/USD"})).json()
        return next(leg for leg in told["sources"] if leg["venue"] == "kraken")["price"]


@pytest.fixture
async def rim(tmp_path: Path, database: str) -> AsyncIterator[Rim]:
    settings = Settings(data_dir=tmp_path, port=0, database_url=database)  # type: ignore[arg-type]
    signer, known = new_signer(), KnownKeys(settings.known_keys_file)
    known.add(PublicKey(signer.public_key, "test"))
    stop, port = asyncio.Event(), asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_core(settings, stop, port.set_result))
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{await port}", trust_env=False, timeout=10
        ) as http:
            async with asyncio.timeout(30):
                while not (await http.get("/ready")).json()["checks"]["database"]["ok"]:
                    await asyncio.sleep(0.02)
            yield Rim(http, signer, known, database)
        stop.set()


async def cut_short(rim: Rim) -> bytes:
    return (await rim.batch())[:-10]


async def of_another_version(rim: Rim) -> bytes:
    sealed = bytearray(await rim.batch())
    sealed[4] = 2
    return bytes(sealed)


async def unsigned(rim: Rim) -> bytes:
    return (await rim.batch())[:-64] + bytes(64)


async def tampered(rim: Rim) -> bytes:
    sealed = bytearray(await rim.batch())
    sealed[-64 - 32] ^= 1  # in the tick's bid
    return bytes(sealed)


async def of_a_stranger(rim: Rim) -> bytes:
    at = time.time()
    return await sealed_batch(new_signer(), quote(at=at), sent_at=at)


async def signed_by_a_stranger(rim: Rim) -> bytes:
    sealed = await rim.batch()
    return sealed[:-64] + await new_signer().sign(sealed[:-64])


async def of_a_revoked_key(rim: Rim) -> bytes:
    rim.known.revoke(rim.signer.key_id)
    return await rim.batch()


async def stale(rim: Rim) -> bytes:
    return await rim.batch(age_s=60)


async def of_the_future(rim: Rim) -> bytes:
    return await rim.batch(age_s=-60)


async def of_too_many_ticks(rim: Rim) -> bytes:
    sealed = bytearray(await rim.batch())
    struct.pack_into("<H", sealed, 32, TICKS_MAX + 1)
    return bytes(sealed)


@pytest.mark.parametrize(
    ("made", "status", "reason", "evidence"),
    [
        (cut_short, 400, "malformed-batch", {}),
        (of_another_version, 400, "malformed-batch", {}),
        (unsigned, 401, "bad-signature", {"key_id"}),
        (tampered, 401, "bad-signature", {"key_id"}),
        (signed_by_a_stranger, 401, "bad-signature", {"key_id"}),
        (of_a_stranger, 401, "unknown-key", {"key_id"}),
        (of_a_revoked_key, 401, "revoked-key", {"key_id"}),
        (stale, 422, "stale-batch", {"age_s", "limit_s"}),
        (of_the_future, 422, "stale-batch", {"age_s", "limit_s"}),
        (of_too_many_ticks, 413, "oversized-batch", {"size", "limit", "unit"}),
    ],
)
async def test_a_refused_batch_is_told_and_counted_and_changes_nothing(
    rim: Rim,
    made: Callable[[Rim], Awaitable[bytes]],
    status: int,
    reason: str,
    evidence: set[str],
) -> None:
    answer = await rim.post(await made(rim))
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:chrono:problem:{reason}")
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem.keys() == {"type", "title", "status", "detail", "instance"} | set(evidence)
    assert await rim.counted(f'chrono_ingest_batches_total{{outcome="{reason}"}}') == 1
    assert await rim.counted(f'chrono_ingest_answers_total{{outcome="{reason}"}}') == 1
    assert await rim.counted("chrono_ingest_ticks_total") == 0
    assert (await rim.stored(), await rim.heard_price()) == ((0, 0), None)


async def test_a_body_over_the_limit_is_refused_unread(rim: Rim) -> None:
    answer = await rim.post(await rim.batch() + bytes(BYTES_MAX))
    assert (answer.status_code, answer.json()["limit"]) == (413, BYTES_MAX)
    assert await rim.counted('chrono_ingest_answers_total{outcome="oversized-batch"}') == 1


async def test_a_replayed_batch_is_answered_as_before_and_stored_once(rim: Rim) -> None:
    sealed = await rim.batch()
    answers = [await rim.post(sealed) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200] * 3
    assert {answer.content for answer in answers} == {answers[0].content}
    assert [answer.headers["chrono-duplicate"] for answer in answers] == ["false", "true", "true"]
    assert await rim.counted('chrono_ingest_batches_total{outcome="duplicate"}') == 2
    assert await rim.stored() == (1, 1)


async def test_a_batch_posted_many_times_at_once_is_stored_once(rim: Rim) -> None:
    sealed = await rim.batch()
    answers = await asyncio.gather(*(rim.post(sealed) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert sorted(answer.headers["chrono-duplicate"] for answer in answers) == ["false"] + ["true"] * 19
    assert await rim.stored() == (1, 1)


async def test_a_sequence_used_again_for_other_ticks_is_a_conflict(rim: Rim) -> None:
    await rim.post(await rim.batch(7, bid="64000.1"))
    answer = await rim.post(await rim.batch(7, bid="1.5"))
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "urn:chrono:problem:sequence-conflict")
    assert (problem["key_id"], problem["sequence"]) == (rim.signer.key_id.hex(), 7)
    assert await rim.counted('chrono_ingest_batches_total{outcome="sequence-conflict"}') == 1
    assert await rim.stored() == (1, 1)
    assert float(await rim.heard_price()) > 60_000


async def test_a_sender_that_hangs_up_in_the_middle_disturbs_nobody(rim: Rim) -> None:
    url = rim.http.base_url
    sealed = await rim.batch()
    head = f"POST /ingest HTTP/1.1\r\nHost: x\r\nContent-Type: {OCTETS['Content-Type']}\r\n"
    with socket.create_connection((url.host, url.port)) as half:
        half.sendall(f"{head}Content-Length: {len(sealed)}\r\n\r\n".encode() + sealed[:50])
    assert (await rim.post(sealed)).status_code == 200
    assert await rim.stored() == (1, 1)
    async with asyncio.timeout(30):
        while await rim.counted('chrono_ingest_answers_total{outcome="body-cut-off"}') != 1:
            await asyncio.sleep(0.02)
    assert await rim.counted('chrono_http_problems_total{problem="internal-error"}') == 0
