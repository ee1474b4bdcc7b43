"""Pages of other origins may read `/v1`, with a key in a header and never with cookies.

Knows CORS. Nothing else is opened to them: not `/admin`, not `/ingest`, no method that changes anything. A
preflight costs no token: browsers send it unasked, and answering it is less work than refusing it. `guard`
looks at its sender instead, and may refuse by raising a ChronoError.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from chrono.errors import ChronoError
from core.api.problems import problem_of, respond

OPEN: Final = "/v1/"
METHODS: Final = ("GET", "HEAD")
SENT: Final = ("Authorization", "X-API-Key", "If-None-Match", "Last-Event-ID", "Cache-Control")
"""Headers that a page may send, beside those that need no leave."""

SEEN: Final = (
    *("ETag", "RateLimit", "RateLimit-Policy", "Retry-After", "WWW-Authenticate"),
    *("Deprecation", "Sunset", "Link", "Age", "Warning", "X-Chrono-Source"),
)
"""Headers of answers that a page may read, likewise."""

PREFLIGHT_S: Final = 7_200
"""How long a browser need not ask again for one address; none keeps it longer."""


class PublicReads:
    """The middleware. It stands before the gate, so that pages can read refusals too."""

    def __init__(
        self, app: ASGIApp, origins: Sequence[str], guard: Callable[[Scope], None] = lambda _: None
    ) -> None:
        self._app, self._guard = app, guard
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=SEEN,
            max_age=PREFLIGHT_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(OPEN):
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS":
            try:
                self._guard(scope)
            except ChronoError as error:
                await respond(problem_of(error), scope["path"])(scope, receive, send)
                return
        await self._shared(scope, receive, send)
