"""Asks the core over HTTP, for a second at most. Knows which answers mean that the core is away.

An answer of the core, refusals included, is passed on; no answer, a broken one, or a 5xx is none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import structlog
import urllib3

from core.api.public import Told
from core.snapshot.threads import in_thread
from core.twin.breaker import Breaker

BODY_BYTES_MAX: Final = 2_000_000
_CHUNK: Final = 65_536
_PASSED_ON: Final = (
    *("cache-control", "etag", "retry-after", "ratelimit", "ratelimit-policy"),
    *("deprecation", "sunset", "link"),
)

log = structlog.get_logger(__name__)


class Fetches(Protocol):
    """Fetches a path of the core within its time. Called in a thread; raises CoreAway."""

    def __call__(self, path: str) -> Told: ...


class CoreAway(Exception):
    """The core gave no answer that could be passed on; the text says why."""


class HttpFetch:
    """Fetches over kept connections. `deadline_s` bounds a whole answer, however slowly it comes."""

    def __init__(self, core_url: str, deadline_s: float, headers: Mapping[str, str]) -> None:
        self._url, self._deadline_s, self._headers = core_url.rstrip("/"), deadline_s, dict(headers)
        timeout = urllib3.Timeout(connect=deadline_s, read=deadline_s, total=deadline_s)
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout, maxsize=4)

    def __call__(self, path: str) -> Told:
        ends_at = time.monotonic() + self._deadline_s
        try:
            answer = self._pool.request(
                "GET", self._url + path, headers=self._headers, preload_content=False, redirect=False
            )
            body = b""
            try:
                while chunk := answer.read1(_CHUNK):
                    body += chunk
                    if time.monotonic() > ends_at or len(body) > BODY_BYTES_MAX:
                        raise CoreAway("the answer was too slow or too large")
            except BaseException:
                answer.close()
                raise
            answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise CoreAway(type(error).__name__) from None
        if answer.status >= 500:
            raise CoreAway(f"status {answer.status}")
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        return Told(body, headers, answer.status, answer.headers.get("content-type", "application/json"))

    def close(self) -> None:
        """Give the kept connections back."""
        self._pool.clear()


class Core:
    """The core as the twin sees it: an answer, or none."""

    def __init__(self, fetch: Fetches, clock: Callable[[], float], deadline_s: float) -> None:
        self._fetch, self._clock, self._deadline_s = fetch, clock, deadline_s
        self.breaker = Breaker()

    async def ask(self, path: str) -> Told | None:
        """What the core says, within its deadline; None while it is away."""
        if not self.breaker.allows(self._clock()):
            return None
        try:
            async with asyncio.timeout(self._deadline_s + 0.25):
                told = await in_thread(lambda: self._fetch(path))
        except (CoreAway, TimeoutError) as error:
            self.breaker.failed(self._clock())
            log.warning("core_away", detail=str(error) or "no answer in time", pausing=self.breaker.is_open)
            return None
        self.breaker.succeeded()
        return told
