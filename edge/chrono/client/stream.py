"""The stream by WebSocket, for ever: opened again when it is lost, and resumed by sequence.

Silence longer than SILENCE_S is a lost connection: heartbeats come every five seconds. Between attempts it
waits from BACKOFF_S_MIN, doubling to BACKOFF_S_MAX, each time shortened by up to half at random.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from chrono.client.errors import ClientError, Problem, Unreachable
from chrono.client.values import Gap, Update, read_event

SILENCE_S: Final = 20.0
BACKOFF_S_MIN: Final = 0.25
BACKOFF_S_MAX: Final = 30.0
MESSAGE_BYTES_MAX: Final = 1_048_576
_FOR_GOOD: Final = (400, 401, 404)


async def listen(
    url: str, headers: Mapping[str, str], feeds: tuple[str, ...], since: int | None
) -> AsyncGenerator[Update | Gap]:
    """See AsyncClient.stream."""
    wait_s = BACKOFF_S_MIN
    while True:
        try:
            async with aclosing(_connection(url, headers, feeds, since)) as events:
                async for event in events:
                    if isinstance(event, Update):
                        since, wait_s = event.sequence, BACKOFF_S_MIN
                    yield event
        except Problem as problem:
            if problem.status in _FOR_GOOD or problem.type.endswith(":too-many-feeds"):
                raise
            wait_s = max(wait_s, problem.retry_after_s or 0.0)
        except Unreachable:
            pass
        await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311  jitter, not a secret
        wait_s = min(BACKOFF_S_MAX, wait_s * 2)


async def _connection(
    url: str, headers: Mapping[str, str], feeds: tuple[str, ...], since: int | None
) -> AsyncGenerator[Update | Gap]:
    """One connection until it is lost. Raises Problem or Unreachable."""
    try:
        from websockets.asyncio.client import connect  # noqa: PLC0415  only the stream needs it
        from websockets.exceptions import InvalidStatus, WebSocketException  # noqa: PLC0415
    except ImportError:
        raise ClientError("the stream needs the package websockets: pip install websockets") from None
    address = "ws" + url.removeprefix("http") + "/v1/stream"
    asked: dict[str, object] = {"op": "subscribe", "feeds": list(feeds)}
    if since is not None:
        asked["since"] = since
    try:
        async with connect(
            address, additional_headers=headers, max_size=MESSAGE_BYTES_MAX, compression=None
        ) as socket:
            await socket.send(json.dumps(asked))
            while True:
                async with asyncio.timeout(SILENCE_S):
                    text = await socket.recv()
                event = _read(text)
                if event is not None:
                    yield event
    except InvalidStatus as refused:
        answer = refused.response
        raise Problem(
            answer.status_code, _document(answer.body), answer.headers.get("retry-after"), time.time()
        ) from None
    except (WebSocketException, OSError, TimeoutError) as error:
        raise Unreachable(f"{type(error).__name__}: {error}") from error


def _read(text: str | bytes) -> Update | Gap | None:
    try:
        message = json.loads(text)
    except ValueError:
        raise Unreachable("a message is not JSON") from None
    if isinstance(message, dict) and message.get("type") == "error":
        problem = message.get("problem", {})
        raise Problem(int(problem.get("status", 400)), problem, None, time.time())
    return read_event(message)


def _document(body: bytes | bytearray | memoryview | None) -> dict[str, Any]:
    try:
        told = json.loads(bytes(body or b""))
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
