"""The published rewards of reward epochs, from a web address or a folder.

Both hold `<reward epoch>/reward-distribution-data.json`, as flare-foundation/fsp-rewards has them a network.
Knows nothing of what the rewards should be.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import httpx

from chrono.errors import ChronoError
from core.ftso.identities import RewardEpochId
from core.ftso.reward_data import RewardData

FILE: Final = "reward-distribution-data.json"
SIZE_MAX: Final = 64 * 2**20
TIMEOUT_S: Final = 20.0


class NoRewardData(ChronoError):
    """The rewards could not be fetched; the text says why."""


class PublishedRewards:
    """A RewardSource. The caller closes the client."""

    def __init__(self, place: str, client: httpx.AsyncClient) -> None:
        self._place, self._client = place.rstrip("/"), client

    async def __call__(self, reward_epoch: RewardEpochId) -> RewardData | None:
        """The reward epoch's data, or None while there is none. Raises NoRewardData or MalformedMessage."""
        where = f"{self._place}/{reward_epoch}/{FILE}"
        web = self._place.startswith(("http://", "https://"))
        raw = await (self._fetched(where) if web else asyncio.to_thread(_read, Path(where)))
        return None if raw is None else await asyncio.to_thread(RewardData.decode, raw)

    async def _fetched(self, url: str) -> bytes | None:
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client.stream("GET", url, follow_redirects=True) as answer,
            ):
                if answer.status_code == httpx.codes.NOT_FOUND:
                    return None
                answer.raise_for_status()
                raw = bytearray()
                async for piece in answer.aiter_bytes():
                    raw += piece
                    if len(raw) > SIZE_MAX:
                        raise NoRewardData(f"{url} holds more than {SIZE_MAX} bytes")
                return bytes(raw)
        except (httpx.HTTPError, TimeoutError) as error:
            raise NoRewardData(f"{url}: {type(error).__name__}") from error


def _read(path: Path) -> bytes | None:
    try:
        if path.stat().st_size > SIZE_MAX:
            raise NoRewardData(f"{path} holds more than {SIZE_MAX} bytes")
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NoRewardData(f"{path}: {type(error).__name__}") from error
