"""The provider's durable record: what was frozen, how far each step came, finished rounds' scores.

A lease is a session's advisory lock and a fence number. The lock falls when the session ends, however its
holder dies; every write goes through the very session that holds it, checks the fence in the same
transaction, and is on disk when it returns. So of two instances only the later one can write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import orjson

from core.ftso.duties import Duty, Owed
from core.ftso.identities import RewardEpochId, VotingRoundId
from core.ftso.reveal import Reveal
from core.ftso.round import Progress, Record
from core.ftso.timings import Step
from core.provider.ports import Frozen, Kept, LeaseHeld, LeaseLost
from core.provider.score import FeedScore, RoundScore
from core.storage.pool import Connect, unavailable_when_down
from core.storage.queries import load_queries

if TYPE_CHECKING:
    from core.storage.pool import Connection

CLOSE_S: Final = 1.0
SCORES_MAX: Final = 10_000
STEPS_MAX: Final = 100

_LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # what the driver says when the session ends while a query begins
    OSError,
    TimeoutError,
)
"""After these nobody knows whether the session, and with it the lock, still lives."""


class PostgresLedgers:
    """Leases on ledgers; `connect` opens a session for each."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    @asynccontextmanager
    async def lease(self, provider: str, holder: str) -> AsyncIterator[PostgresLedger]:
        """See Ledgers. Raises LeaseHeld, or StoreUnavailable."""
        queries = load_queries("provider")
        with unavailable_when_down():
            connection = await self._connect()
        try:
            with unavailable_when_down():
                await connection.execute("set synchronous_commit = on")
                if not await connection.fetchval(queries["try_lock"], provider):
                    raise LeaseHeld(
                        provider, await connection.fetchval(queries["holder"], provider) or "another"
                    )
                fence = await connection.fetchval(queries["take_lease"], provider, holder)
            yield PostgresLedger(connection, provider, fence)
        finally:
            await _close(connection)


class PostgresLedger:
    """A Ledger over the session that holds its lease."""

    def __init__(self, connection: Connection, provider: str, fence: int) -> None:
        self._connection, self._provider, self._fence = connection, provider, fence
        self._queries = load_queries("provider")
        self._turn = asyncio.Lock()

    async def load(self, since: VotingRoundId) -> Sequence[Kept]:
        """The rounds from `since` on; see Ledger."""
        async with self._fenced():
            reveals = await self._connection.fetch(self._queries["reveals"], self._provider, since)
            steps = await self._connection.fetch(self._queries["steps"], self._provider, since)
        frozen = {row["voting_round"]: _frozen(row) for row in reveals}
        records: dict[int, dict[Step, Record]] = {number: {} for number in frozen}
        for row in steps:
            record = Record(Progress(row["progress"]), row["at"], bytes(row["content"]))
            records.setdefault(row["voting_round"], {})[Step(row["step"])] = record
        return [Kept(VotingRoundId(key), frozen.get(key), records[key]) for key in sorted(records)]

    async def freeze(self, voting_round: VotingRoundId, at: float, frozen: Frozen) -> Frozen:
        """The first to freeze wins; see Ledger."""
        key = (self._provider, voting_round)
        async with self._fenced():
            await self._connection.execute(
                self._queries["freeze"],
                *key,
                at,
                frozen.reveal.random,
                frozen.reveal.values,
                frozen.commit_hash,
            )
            return _frozen(await self._connection.fetchrow(self._queries["frozen"], *key))

    async def note(self, voting_round: VotingRoundId, step: Step, record: Record) -> bytes:
        """The first content stands; see Ledger."""
        key = (self._provider, voting_round, str(step))
        async with self._fenced():
            await self._connection.execute(
                self._queries["note"], *key, int(record.progress), record.at, record.content
            )
            return bytes(await self._connection.fetchval(self._queries["noted"], *key))

    async def load_duties(self, since: RewardEpochId) -> Mapping[Owed, Record]:
        """The duties that were tried; see Ledger."""
        async with self._fenced():
            rows = await self._connection.fetch(self._queries["duties"], self._provider, since)
        return {
            Owed(Duty(row["duty"]), RewardEpochId(row["reward_epoch"])): Record(
                Progress(row["progress"]), row["at"], bytes(row["content"])
            )
            for row in rows
        }

    async def note_duty(self, owed: Owed, record: Record) -> bytes:
        """The first content stands; see Ledger."""
        key = (self._provider, owed.reward_epoch, str(owed.duty))
        async with self._fenced():
            await self._connection.execute(
                self._queries["note_duty"], *key, int(record.progress), record.at, record.content
            )
            return bytes(await self._connection.fetchval(self._queries["noted_duty"], *key))

    async def keep_score(self, score: RoundScore) -> None:
        """See Ledger."""
        async with self._fenced():
            await self._connection.execute(
                self._queries["keep_score"],
                self._provider,
                score.voting_round,
                score.merkle_root,
                score.random.to_bytes(32, "big"),
                score.secure_random,
                score.revealed,
                orjson.dumps([asdict(feed) for feed in score.feeds]).decode(),
            )

    @asynccontextmanager
    async def _fenced(self) -> AsyncIterator[None]:
        """A transaction that ends in LeaseLost unless the lease is still ours when it commits.

        One at a time: rounds and duties share the session.
        """
        async with self._turn:
            with _lost_when_broken():
                async with self._connection.transaction():
                    if not await self._connection.fetchval(
                        self._queries["check_fence"], self._provider, self._fence
                    ):
                        raise LeaseLost(f"somebody else took {self._provider} over")
                    yield


class PostgresScores:
    """Reads finished rounds, for the API. Needs no lease."""

    def __init__(self, pool: asyncpg.Pool, provider: str) -> None:
        self._pool, self._provider = pool, provider

    async def find(self, voting_round: VotingRoundId) -> RoundScore | None:
        """A finished round, or None. Raises StoreUnavailable."""
        with unavailable_when_down():
            row = await self._pool.fetchrow(load_queries("provider")["score"], self._provider, voting_round)
        return None if row is None else _score(row)

    async def since(self, voting_round: VotingRoundId, limit: int) -> Sequence[RoundScore]:
        """Finished rounds from `voting_round` on, newest first, at most `limit`. Raises StoreUnavailable."""
        query = load_queries("provider")["scores_since"]
        with unavailable_when_down():
            rows = await self._pool.fetch(query, self._provider, voting_round, min(limit, SCORES_MAX))
        return [_score(row) for row in rows]

    async def newest(self) -> VotingRoundId | None:
        """The newest round that was frozen. Raises StoreUnavailable."""
        with unavailable_when_down():
            newest = await self._pool.fetchval(load_queries("provider")["newest"], self._provider)
        return None if newest is None else VotingRoundId(newest)

    async def steps(self, voting_round: VotingRoundId) -> Mapping[int, Sequence[Step]]:
        """By round, the steps that the chain has shown. Raises StoreUnavailable."""
        query = load_queries("provider")["shown"]
        with unavailable_when_down():
            rows = await self._pool.fetch(query, self._provider, voting_round, STEPS_MAX)
        shown: dict[int, list[Step]] = {}
        for row in rows:
            steps = shown.setdefault(row["voting_round"], [])
            if row["step"] is not None:
                steps.append(Step(row["step"]))
        return shown


@contextmanager
def _lost_when_broken() -> Iterator[None]:
    with unavailable_when_down():
        try:
            yield
        except _LOST as error:
            raise LeaseLost(f"the session of the lease broke ({type(error).__name__})") from error


async def _close(connection: Connection) -> None:
    """End the session, and with it the lock."""
    try:
        await connection.close(timeout=CLOSE_S)
    except (*_LOST, asyncpg.PostgresError):
        connection.terminate()


def _frozen(row: Any) -> Frozen:
    return Frozen(Reveal(bytes(row["random"]), bytes(row["feed_values"])), bytes(row["commit_hash"]))


def _score(row: Any) -> RoundScore:
    feeds = tuple(FeedScore(**feed) for feed in orjson.loads(row["feeds"]))
    return RoundScore(
        VotingRoundId(row["voting_round"]),
        bytes(row["merkle_root"]),
        int.from_bytes(row["random"], "big"),
        row["secure_random"],
        row["revealed"],
        feeds,
    )
