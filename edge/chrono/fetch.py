"""The one rim where the kernel touches the network: an httpx client, which the caller makes and owns.

Bounds every exchange in time and in bytes, also after decompression. Does not know what is asked for.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Callable
from typing import Final

import httpx

from chrono.http import BODY_BYTES_MAX, Answer, Failure
from chrono.venues.adapter import Request

USER_AGENT: Final = "chrono/0.1"
ACCEPT_ENCODING: Final = "gzip"
_GZIP_WINDOW: Final = 31  # zlib's way to say: gzip with its header


async def fetch(
    client: httpx.AsyncClient,
    base_url: str,
    request: Request,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.time,
) -> Answer | Failure:
    """Perform a venue request. Raises nothing but CancelledError, if the client's transport raises as
    httpx asks of it.
    """
    try:
        built = client.build_request(
            "GET",
            base_url.rstrip("/") + request.path,
            params=list(request.params),
            headers={"accept": "application/json", "cache-control": "no-cache", **_headers()},
        )
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        return Failure(f"{type(error).__name__}: {error}")
    return await _exchange(client, built, timeout_s, clock)


async def post_batch(
    client: httpx.AsyncClient,
    url: str,
    sealed: bytes,
    timeout_s: float,
    *,
    clock: Callable[[], float] = time.time,
) -> Answer | Failure:
    """Post a sealed batch to a core. Raises as little as `fetch`."""
    try:
        headers = {"content-type": "application/octet-stream", **_headers()}
        built = client.build_request("POST", url, content=sealed, headers=headers)
    except (httpx.InvalidURL, ValueError, TypeError) as error:
        return Failure(f"{type(error).__name__}: {error}")
    return await _exchange(client, built, timeout_s, clock)


def _headers() -> dict[str, str]:
    return {"user-agent": USER_AGENT, "accept-encoding": ACCEPT_ENCODING}


async def _exchange(
    client: httpx.AsyncClient, request: httpx.Request, timeout_s: float, clock: Callable[[], float]
) -> Answer | Failure:
    try:
        async with asyncio.timeout(timeout_s):
            response = await client.send(request, stream=True)
            try:
                body = await _read_body(response)
            finally:
                await response.aclose()
    except TimeoutError:
        return Failure(f"no whole answer within {timeout_s:g} s")
    except (httpx.HTTPError, httpx.StreamError, httpx.InvalidURL, OSError, zlib.error) as error:
        return Failure(f"{type(error).__name__}: {error}"[:200])
    if isinstance(body, Failure):
        return body
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, body, clock(), headers)


async def _read_body(response: httpx.Response) -> bytes | Failure:
    """The whole body, or why it is not taken: too long, cut, or encoded in a way that was not asked for.

    Decompressed here and not by httpx, whose decoder has no bound: a few kilobytes of gzip may hold
    gigabytes. Where a transport has decompressed already, it has also taken the header away.
    """
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        return Failure(f"an answer in encoding {encoding[:20]!r}")
    inflater = zlib.decompressobj(_GZIP_WINDOW) if encoding == "gzip" else None
    body = bytearray()
    async for chunk in response.aiter_raw():
        left = BODY_BYTES_MAX - len(body) + 1
        body += inflater.decompress(chunk, left) if inflater else chunk
        if len(body) > BODY_BYTES_MAX:
            return Failure(f"the answer is over {BODY_BYTES_MAX} bytes")
    if inflater and not inflater.eof:
        return Failure("a compressed answer was cut")
    return bytes(body)
