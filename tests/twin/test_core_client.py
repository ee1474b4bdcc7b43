"""Asking the core over real sockets: within its time, and only whole answers count."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from core.api.public import Told
from core.twin.core_client import CoreAway, HttpFetch
from tests.loopback import Asked, response, serving

DEADLINE_S = 0.3


async def fetched(handler: Callable[[Asked], Awaitable[bytes]]) -> Told:
    async with serving(handler) as url:
        fetch = HttpFetch(url, DEADLINE_S, {"X-API-Key": "key"})
        try:
            return await asyncio.to_thread(fetch, "/v1/prices/BTC/USD?signed=true")
        finally:
            fetch.close()


async def test_an_answer_comes_with_what_may_be_passed_on() -> None:
    async def answer(asked: Asked) -> bytes:
        assert (asked.path, asked.headers["x-api-key"]) == ("/v1/prices/BTC/USD", "key")
        return response(b"{}", 404, content_type="application/problem+json", etag='"1"', set_cookie="a=b")

    told = await fetched(answer)
    assert told == Told(b"{}", {"etag": '"1"'}, 404, "application/problem+json")


async def test_a_core_that_never_answers_is_away_in_time() -> None:
    async def never(_: Asked) -> bytes:
        await asyncio.Event().wait()
        return b""

    began = time.monotonic()
    with pytest.raises(CoreAway):
        await fetched(never)
    assert time.monotonic() - began < DEADLINE_S + 1


@pytest.mark.parametrize(
    "raw",
    [
        response(b"{}", 502),
        response(b"{}", 500),
        b"",
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
    ],
)
async def test_a_broken_answer_is_none(raw: bytes) -> None:
    async def answer(_: Asked) -> bytes:
        return raw

    with pytest.raises(CoreAway):
        await fetched(answer)


async def test_nobody_listening_is_away() -> None:
    async def unused(_: Asked) -> bytes:
        return b""

    async with serving(unused) as url:
        pass
    fetch = HttpFetch(url, DEADLINE_S, {})
    with pytest.raises(CoreAway):
        await asyncio.to_thread(fetch, "/v1/prices")
