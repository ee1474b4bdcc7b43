"""Which market a database is for: said once, by the first Chrono that uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chrono.errors import ChronoError
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.pool import Connection


class WrongMarket(ChronoError):
    """The database holds another market's prices."""

    def __init__(self, held: str, wanted: str) -> None:
        self.held, self.wanted = held, wanted
        super().__init__(
            f"this database holds prices of the {held} market; a {wanted} one needs a database of its own"
        )


async def claim_market(connection: Connection, market: str) -> None:
    """Make the database this market's if it is nobody's yet; raises WrongMarket if it is another's."""
    queries = load_queries("market")
    await connection.execute(queries["claim"], market)
    held = await connection.fetchval(queries["find"])
    if held != market:
        raise WrongMarket(held, market)
