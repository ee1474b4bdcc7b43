"""Values from a feed value provider over HTTP: Chrono's own core, or another's; and our estimates' bands.

Speaks Flare's feed value provider interface, so the engine and the source of prices can be changed for each
other. Knows nothing of how values come about. An answer is read up to ANSWER_MAX bytes within TIMEOUT_S.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import httpx
import orjson

from chrono.errors import ChronoError
from chrono.feeds import CRYPTO_CATEGORY, FEEDS
from core.ftso.identities import VotingRoundId

TIMEOUT_S: Final = 3.0
ANSWER_MAX: Final = 1 << 20
_BROKEN: Final = (httpx.HTTPError, ValueError, KeyError, TypeError)


class NoValues(ChronoError):
    """The value provider did not answer, or not with values."""


class HttpFeedValues:
    """FeedValues by `POST /feed-values/{round}`. The caller closes the client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        feeds = [{"category": CRYPTO_CATEGORY, "name": feed.name} for feed in FEEDS]
        self._body = orjson.dumps({"feeds": feeds})

    async def __call__(self, voting_round: VotingRoundId, at: float) -> Mapping[str, float]:  # noqa: ARG002
        """US dollars by feed name; raises NoValues."""
        return await self._values(f"/feed-values/{voting_round}", f"for round {voting_round}")

    async def current(self) -> Mapping[str, float]:
        """The same, of the present; raises NoValues."""
        return await self._values("/feed-values/", "now")

    async def _values(self, path: str, what: str) -> Mapping[str, float]:
        try:
            told = await _read(self._client, "POST", path, self._body)
            return {
                each["feed"]["name"]: float(each["value"])
                for each in told["data"]
                if each.get("value") is not None
            }
        except _BROKEN as error:
            raise NoValues(f"no values {what}: {_why(error)}") from error


async def bands(client: httpx.AsyncClient) -> Mapping[str, tuple[float, float]]:
    """The bands of a core's present estimates by feed; raises NoValues."""
    try:
        told = await _read(client, "GET", "/v1/prices", b"")
        return {
            each["feed"]: (float(each["band_low"]), float(each["band_high"]))
            for each in told["prices"]
            if each["band_low"] is not None and each["band_high"] is not None
        }
    except _BROKEN as error:
        raise NoValues(f"no bands: {_why(error)}") from error


async def _read(client: httpx.AsyncClient, method: str, path: str, body: bytes) -> Any:
    headers = {"content-type": "application/json"} if body else {}
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            client.stream(method, path, content=body, headers=headers, timeout=TIMEOUT_S) as answer,
        ):
            answer.raise_for_status()
            read = bytearray()
            async for piece in answer.aiter_bytes():
                read += piece
                if len(read) > ANSWER_MAX:
                    raise ValueError(f"more than {ANSWER_MAX} bytes")
    except TimeoutError:
        raise httpx.ReadTimeout(f"no answer within {TIMEOUT_S} s") from None
    return orjson.loads(read)


def _why(error: Exception) -> str:
    """What is wrong, without the URL, whose path or password may be a secret."""
    if isinstance(error, httpx.HTTPStatusError):
        return f"HTTP {error.response.status_code}"
    return type(error).__name__
