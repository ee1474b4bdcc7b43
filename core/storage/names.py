"""Small, stable ids for feeds and legs.

Rows hold a small number in place of a name. A number is given to a name once, in the database, and never
follows the order of the feed table: a feed that moves or leaves never relabels history.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from chrono.feeds import FEEDS, LEGS
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.pool import Connection

Ids = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Names:
    """The database's id of each feed and each leg, in the order of `chrono.feeds`."""

    feed_ids: Ids
    leg_ids: Ids


async def sync_names(connection: Connection) -> Names:
    """Give the feeds and legs that have no id yet one each, and return all ids."""
    feeds = await name_ids(connection, "feeds", [feed.name for feed in FEEDS])
    legs = await name_ids(connection, "legs", [str(leg) for leg in LEGS])
    return Names(feeds, legs)


async def name_ids(connection: Connection, table: str, names: Sequence[str]) -> Ids:
    """The ids of names in the table `feeds` or `legs`, in the order asked; new names get the next ids."""
    queries = load_queries("names")
    async with connection.transaction():
        await connection.execute(queries["lock_names"])
        await connection.execute(queries[f"add_{table}"], names)
    rows = await connection.fetch(queries[f"list_{table}"])
    known = {row["name"]: row["id"] for row in rows}
    return np.array([known[name] for name in names], np.int16)
