"""What time the RPC endpoints' servers have, by the Date header of their answers. No NTP packet is sent.

An endpoint that is away, that dates nothing or that answers out of a cache tells nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from core.provider.clock import Skew, dated

TIMEOUT_S: Final = 2.0
_QUESTION: Final = {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}


class HttpDates:
    """Asks every server once, all at a time. The caller closes the client."""

    def __init__(self, urls: Sequence[str], client: httpx.AsyncClient, clock: Callable[[], float]) -> None:
        self._urls, self._client, self._clock = urls, client, clock

    async def __call__(self) -> Sequence[Skew]:
        """What each server that answered says of our clock."""
        told = await asyncio.gather(*map(self._ask, self._urls))
        return [skew for skew in told if skew is not None]

    async def _ask(self, url: str) -> Skew | None:
        sent_at = self._clock()
        try:
            answer = await self._client.post(url, json=_QUESTION, timeout=TIMEOUT_S)
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        received_at = self._clock()
        if "date" not in answer.headers or answer.headers.get("age", "0") != "0":
            return None
        try:
            written = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except ValueError:
            return None
        return dated(int(written), sent_at, received_at)
