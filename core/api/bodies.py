"""Reading a request's body within bounds, before anything else looks at it.

Knows bytes and seconds. Does not know what a body means.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.types import Message, Receive

from core.api.problems import Problem, Refused

BODY_BYTES_MAX: Final = 65_536
READ_S_MAX: Final = 10.0


class OversizedBody(Refused):
    """More bytes than any request here has."""


class SlowBody(Refused):
    """The body did not end in time."""


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a body is announced."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


async def bounded(receive: Receive, headers: Mapping[bytes, bytes], within_s: float = READ_S_MAX) -> Receive:
    """A `receive` that gives the whole body at once. Raises OversizedBody, SlowBody or Refused."""
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced[:20]) > BODY_BYTES_MAX:
        raise OversizedBody(_too_large(int(announced[:20])))
    body = b""
    try:
        async with asyncio.timeout(within_s):
            more = True
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(Problem("body-cut-off", 400, "The body was cut off", "it did not end"))
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > BODY_BYTES_MAX:
                    raise OversizedBody(_too_large(len(body)))
    except TimeoutError:
        detail = f"the body did not end within {within_s:.0f} s"
        raise SlowBody(Problem("request-timeout", 408, "Request timeout", detail)) from None
    return _again(body, receive)


def _again(body: bytes, receive: Receive) -> Receive:
    given = False

    async def once() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _too_large(size: int) -> Problem:
    detail = f"a body has at most {BODY_BYTES_MAX} bytes"
    evidence = {"size": size, "limit": BODY_BYTES_MAX}
    return Problem("oversized-body", 413, "The body is too large", detail, evidence)
