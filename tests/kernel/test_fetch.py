from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import httpx
import pytest

from chrono.fetch import fetch, post_batch
from chrono.http import BODY_BYTES_MAX, Answer, Failure
from tests.kernel.payloads import tickers_of
from tests.loopback import Asked, response, serving

REQUEST = tickers_of("binance:BTC/USDT", "binance:ETH/USDT")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as made:
        yield made


async def fetched(client: httpx.AsyncClient, raw: bytes, timeout_s: float = 5.0) -> Answer | Failure:
    async def handler(_: Asked) -> bytes:
        return raw

    async with serving(handler) as url:
        return await fetch(client, url, REQUEST, timeout_s, clock=lambda: 17.5)


async def test_an_answer_is_whole_with_its_status_and_headers(client: httpx.AsyncClient) -> None:
    answer = await fetched(client, response(b"[]", 429, Retry_After="7"))
    assert isinstance(answer, Answer)
    assert (answer.status, answer.body, answer.received_at) == (429, b"[]", 17.5)
    assert answer.retry_after_s == 7.0


async def test_a_request_says_what_it_wants_and_who_asks(client: httpx.AsyncClient) -> None:
    asked: list[Asked] = []

    async def handler(request: Asked) -> bytes:
        asked.append(request)
        return response(b"[]")

    async with serving(handler) as url:
        await fetch(client, f"{url}/", REQUEST, 5.0)
    assert (asked[0].method, asked[0].path) == ("GET", "/api/v3/ticker/24hr")
    assert asked[0].params == (("symbols", '["BTCUSDT","ETHUSDT"]'),)
    assert asked[0].headers["user-agent"].startswith("chrono/")
    assert asked[0].headers["accept-encoding"] == "gzip"


async def test_a_compressed_answer_is_opened(client: httpx.AsyncClient) -> None:
    body = b'{"symbol":"BTCUSDT"}' * 1_000
    answer = await fetched(client, response(gzip.compress(body, mtime=0), Content_Encoding="gzip"))
    assert isinstance(answer, Answer)
    assert answer.body == body


async def test_an_answer_at_the_bound_is_taken_and_one_byte_more_is_not(client: httpx.AsyncClient) -> None:
    answer = await fetched(client, response(b"x" * BODY_BYTES_MAX))
    assert isinstance(answer, Answer)
    assert isinstance(await fetched(client, response(b"x" * (BODY_BYTES_MAX + 1))), Failure)


async def test_a_small_answer_that_unpacks_to_gigabytes_is_not_unpacked(client: httpx.AsyncClient) -> None:
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    assert len(bomb) < 100_000
    assert isinstance(await fetched(client, response(bomb, Content_Encoding="gzip")), Failure)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        response(gzip.compress(b"abc" * 100, mtime=0)[:-9], Content_Encoding="gzip"),
        response(b"not gzip at all", Content_Encoding="gzip"),
        response(b"abc", Content_Encoding="br"),
    ],
)
async def test_a_broken_answer_is_a_failure(client: httpx.AsyncClient, raw: bytes) -> None:
    if raw.endswith(b"short"):
        raw = raw.replace(b"content-length", b"Content-Length")  # so that the server closes after it
    assert isinstance(await fetched(client, raw), Failure)


async def test_a_venue_that_does_not_answer_in_time_is_a_failure(client: httpx.AsyncClient) -> None:
    async def handler(_: Asked) -> bytes:
        await asyncio.Event().wait()
        return b""

    async with serving(handler) as url:
        failure = await fetch(client, url, REQUEST, 0.05)
    assert isinstance(failure, Failure)
    assert "0.05 s" in failure.detail


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:1", "http://[broken", "nonsense://x", ""])
async def test_an_address_where_nobody_is_is_a_failure(client: httpx.AsyncClient, base_url: str) -> None:
    assert isinstance(await fetch(client, base_url, REQUEST, 5.0), Failure)
    assert isinstance(await post_batch(client, base_url, b"batch", 5.0), Failure)


async def test_a_cancelled_fetch_is_cancelled(client: httpx.AsyncClient) -> None:
    reached = asyncio.Event()

    async def handler(_: Asked) -> bytes:
        reached.set()
        await asyncio.Event().wait()
        return b""

    async with serving(handler) as url:
        task = asyncio.create_task(fetch(client, url, REQUEST, 5.0))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_batch_is_posted_as_its_very_bytes(client: httpx.AsyncClient) -> None:
    asked: list[Asked] = []

    async def handler(request: Asked) -> bytes:
        asked.append(request)
        return response(b"{}")

    async with serving(handler) as url:
        answer = await post_batch(client, f"{url}/ingest", b"\x00batch\xff", 5.0)
    assert isinstance(answer, Answer)
    assert (asked[0].method, asked[0].path, asked[0].body) == ("POST", "/ingest", b"\x00batch\xff")
    assert asked[0].headers["content-type"] == "application/octet-stream"
