"""A database holds the prices of one market."""

from __future__ import annotations

import asyncpg
import pytest

from core.storage.market import WrongMarket, claim_market


async def test_simulated_prices_never_get_among_live_ones(any_database: str) -> None:
    connection = await asyncpg.connect(any_database)
    try:
        await claim_market(connection, "live")
        await claim_market(connection, "live")
        with pytest.raises(WrongMarket, match="holds prices of the live market"):
            await claim_market(connection, "simulated")
    finally:
        await connection.close()
