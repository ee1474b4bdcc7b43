"""A round's values from a feed value provider over HTTP: Chrono's own core, or another's.

Speaks Flare's feed value provider interface, so the engine and the source of prices can be changed for each
other. Knows nothing of how values come about.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from chrono.errors import ChronoError
from chrono.feeds import CRYPTO_CATEGORY, FEEDS
from core.ftso.identities import VotingRoundId

TIMEOUT_S: Final = 3.0


class NoValues(ChronoError):
    """The value provider did not answer, or not with values."""


class HttpFeedValues:
    """FeedValues by `POST /feed-values/{round}`. The caller closes the client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._body = {"feeds": [{"category": CRYPTO_CATEGORY, "name": feed.name} for feed in FEEDS]}

    async def __call__(self, voting_round: VotingRoundId, at: float) -> Mapping[str, float]:  # noqa: ARG002
        """US dollars by feed name; raises NoValues."""
        try:
            answer = await self._client.post(
                f"/feed-values/{voting_round}", json=self._body, timeout=TIMEOUT_S
            )
            answer.raise_for_status()
            return {
                each["feed"]["name"]: float(each["value"])
                for each in answer.json()["data"]
                if "value" in each
            }
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise NoValues(f"no values for round {voting_round}: {type(error).__name__}") from error
