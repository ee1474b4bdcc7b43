"""The two clients: the same questions, asked synchronously or asynchronously.

Knows addresses, headers and waits. A refusal raises Problem; 429 and 503 are asked again up to `retries`
times, after as long as the answer says if that is at most RETRY_S_MAX.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import httpx

from chrono.client.errors import Problem, Unreachable
from chrono.client.stream import listen
from chrono.client.values import Candle, Gap, Price, Update, read_candles, read_prices

TIMEOUT_S: Final = 10.0
RETRIES: Final = 2
RETRY_S_MAX: Final = 30.0
_AGAIN: Final = (429, 503)


class _Asked:
    """What both clients know: where the API is, and how an answer is read."""

    def __init__(self, url: str, key: str | None, retries: int) -> None:
        self._url = url.rstrip("/")
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}
        self._retries = retries

    @staticmethod
    def _prices_path(feeds: tuple[str, ...]) -> str:
        return "/v1/prices" + (f"?feeds={quote(','.join(feeds), safe='/,')}" if feeds else "")

    @staticmethod
    def _candles_path(feed: str, interval: str, start: float | None, end: float | None) -> str:
        bounds = "".join(f"&{name}={at:.3f}" for name, at in (("from", start), ("to", end)) if at is not None)
        return f"/v1/prices/history?feed={quote(feed, safe='/')}&interval={quote(interval)}{bounds}"

    def _wait_s(self, problem: Problem, attempt: int) -> float | None:
        """How long to wait before asking again; None to give up."""
        if attempt >= self._retries or problem.status not in _AGAIN:
            return None
        wait_s = 1.0 if problem.retry_after_s is None else problem.retry_after_s
        return wait_s if wait_s <= RETRY_S_MAX else None


class AsyncClient(_Asked):
    """Asks the API at `url`, with an API key or without."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retries: int = RETRIES,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, retries)
        self._http = httpx.AsyncClient(
            base_url=self._url, headers=self._headers, timeout=TIMEOUT_S, transport=transport
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def prices(self, *feeds: str) -> dict[str, Price]:
        """What feeds are worth now, by name; all feeds without names."""
        return read_prices(await self._get(self._prices_path(feeds)))

    async def price(self, feed: str) -> Price:
        """What one feed is worth now."""
        return (await self.prices(feed))[feed]

    async def candles(
        self, feed: str, interval: str = "1m", *, start: float | None = None, end: float | None = None
    ) -> list[Candle]:
        """Candles of 1m, 5m, 1h or 1d, oldest first; the last day without bounds."""
        found: list[Candle] = []
        path: str | None = self._candles_path(feed, interval, start, end)
        while path is not None:
            told = await self._get(path)
            found += read_candles(told)
            path = told.get("next")
        return found

    def stream(self, *feeds: str, since: int | None = None) -> AsyncGenerator[Update | Gap]:
        """Prices as they change, for ever: a lost connection is opened again and goes on where it was.

        What cannot be had any more is told as a Gap. Give `since` to go on after an earlier stream. Leave it
        early through `contextlib.aclosing`. Raises Problem when the API refuses for good.
        """
        return listen(self._url, self._headers, feeds or ("*",), since)

    async def _get(self, path: str) -> Any:
        attempt = 0
        while True:
            try:
                return _read(await self._http.get(path), time.time())
            except httpx.HTTPError as error:
                raise Unreachable(f"{type(error).__name__}: {error}") from error
            except Problem as problem:
                wait_s = self._wait_s(problem, attempt)
                if wait_s is None:
                    raise
            attempt += 1
            await asyncio.sleep(wait_s)


class Client(_Asked):
    """Asks the API at `url`, with an API key or without; for programs without an event loop."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retries: int = RETRIES,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, retries)
        self._http = httpx.Client(
            base_url=self._url, headers=self._headers, timeout=TIMEOUT_S, transport=transport
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def prices(self, *feeds: str) -> dict[str, Price]:
        """See AsyncClient.prices."""
        return read_prices(self._get(self._prices_path(feeds)))

    def price(self, feed: str) -> Price:
        """See AsyncClient.price."""
        return self.prices(feed)[feed]

    def candles(
        self, feed: str, interval: str = "1m", *, start: float | None = None, end: float | None = None
    ) -> list[Candle]:
        """See AsyncClient.candles."""
        found: list[Candle] = []
        path: str | None = self._candles_path(feed, interval, start, end)
        while path is not None:
            told = self._get(path)
            found += read_candles(told)
            path = told.get("next")
        return found

    def _get(self, path: str) -> Any:
        attempt = 0
        while True:
            try:
                return _read(self._http.get(path), time.time())
            except httpx.HTTPError as error:
                raise Unreachable(f"{type(error).__name__}: {error}") from error
            except Problem as problem:
                wait_s = self._wait_s(problem, attempt)
                if wait_s is None:
                    raise
            attempt += 1
            time.sleep(wait_s)


def _read(answer: httpx.Response, at: float) -> Any:
    try:
        told = answer.json()
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise Unreachable(f"HTTP {answer.status_code} without a JSON object")
    if answer.status_code != httpx.codes.OK:
        raise Problem(answer.status_code, told, answer.headers.get("retry-after"), at)
    return told
