"""What only the core knows, asked of the core for a caller of a replica.

Knows HTTP. Passes GET requests on, without who asked: the caller was admitted here. A core that is away, or
slower than CORE_S_MAX, is told as `core-away`; nothing old is told in its place.
"""

from __future__ import annotations

from typing import Final

import httpx
import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from core.api.problems import TYPE_PREFIX, Problem, respond

CORE_S_MAX: Final = 5.0
BODY_BYTES_MAX: Final = 8_000_000
CONNECTIONS_MAX: Final = 32
RETRY_S: Final = 2
PREFIXES: Final = ("/v1/", "/docs", "/openapi.json")
_ASKED_WITH: Final = (b"accept", b"accept-encoding", b"if-none-match")
_PASSED_ON: Final = frozenset(
    {"content-type", "content-encoding", "cache-control", "etag", "vary", "retry-after"}
)
_NOT_FOUND: Final = f'"{TYPE_PREFIX}not-found"'.encode()

log = structlog.get_logger(__name__)


class _Away(Exception):
    """The core gave no answer that can be passed on; the text says why."""


class Forward:
    """An ASGI application for what no route here answers; what is not the core's goes to `otherwise`."""

    path: Final = "forwarded"
    """What metrics call the route."""

    def __init__(self, core_url: str, otherwise: ASGIApp) -> None:
        self._otherwise = otherwise
        self._http = httpx.AsyncClient(
            base_url=core_url,
            timeout=httpx.Timeout(CORE_S_MAX),
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=8),
            trust_env=False,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _is_core_s(scope):
            await self._otherwise(scope, receive, send)
            return
        try:
            status, headers, body = await self._ask(scope)
        except (_Away, httpx.HTTPError) as error:
            log.warning("core_away", path=scope["path"][:80], detail=str(error) or type(error).__name__)
            scope["route"] = self
            await respond(_away(), scope["path"])(scope, receive, send)
            return
        if status != httpx.codes.NOT_FOUND or _NOT_FOUND not in body:
            scope["route"] = self  # a path that the core does not know either is a scan, as everywhere
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def aclose(self) -> None:
        """Give the kept connections back."""
        await self._http.aclose()

    async def _ask(self, scope: Scope) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        path = scope.get("raw_path") or scope["path"].encode()
        query = scope.get("query_string", b"")
        given = [(name, value) for name, value in scope["headers"] if name in _ASKED_WITH]
        request = self._http.build_request(
            "GET", httpx.URL((path + b"?" + query if query else path).decode("latin-1")), headers=given
        )
        answer = await self._http.send(request, stream=True)
        try:
            body = b""
            async for part in answer.aiter_raw():
                body += part
                if len(body) > BODY_BYTES_MAX:
                    raise _Away("the answer is too large")
        finally:
            await answer.aclose()
        kept = [pair for pair in answer.headers.items() if pair[0] in _PASSED_ON]
        headers = [(name.encode(), value.encode()) for name, value in kept]
        return answer.status_code, [*headers, (b"content-length", str(len(body)).encode())], body


def _is_core_s(scope: Scope) -> bool:
    """Paths with dots are nobody's: whoever resolves them might leave the prefix."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return False
    path: str = scope["path"]
    return path.startswith(PREFIXES) and "/." not in path


def _away() -> Problem:
    said = "the core cannot be reached, and only it knows this; prices go on, with their age"
    return Problem("core-away", 503, "The core is away", said, {}, {"Retry-After": str(RETRY_S)})
