"""The store of voting rounds' frozen values: written once, read the same for ever."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import asyncpg
import orjson

from core.storage.pool import unavailable_when_down
from core.storage.queries import load_queries


class PostgresRoundStore:
    """A RoundStore over a pool."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool

    async def freeze(self, voting_round: int, at: float, values: Mapping[str, float]) -> Mapping[str, float]:
        """Store a round's values unless it has some; see RoundStore. Raises ValueError on NaN or infinity."""
        wrong = [name for name, value in values.items() if not math.isfinite(value)]
        if wrong:
            raise ValueError(f"only finite values can be frozen, not those of {', '.join(wrong)}")
        text = orjson.dumps(dict(values)).decode()
        with unavailable_when_down():
            await self._pool.execute(load_queries("rounds")["freeze"], voting_round, at, text)
            return _values(await self._pool.fetchval(load_queries("rounds")["find"], voting_round))

    async def find(self, voting_round: int) -> Mapping[str, float] | None:
        """A round's values; see RoundStore."""
        with unavailable_when_down():
            text = await self._pool.fetchval(load_queries("rounds")["find"], voting_round)
        return None if text is None else _values(text)


def _values(text: Any) -> dict[str, float]:
    """Every double comes back as it went: its shortest text is exact, and jsonb keeps the text's digits."""
    return {name: float(value) for name, value in orjson.loads(text).items()}
