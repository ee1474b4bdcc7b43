"""The store of ticks: a bounded queue, and one writer that commits together whatever waits.

Knows when to connect, to group, to give up. What a transaction does is in `tick_commit`. Every append ends
in a receipt or an error within APPEND_S. While the database is down appends fail at once, so that nothing
piles up; the writer keeps trying to connect, ever more slowly up to BACKOFF_MAX_S.

An append that fails while its transaction was under way may still have been committed (the answer was lost,
not the commit). Sending it again tells: the ledger answers with the first receipt.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog

from core.ports import BatchRecord, Receipt, StoreUnavailable
from core.storage.names import Names, sync_names
from core.storage.pool import unavailable_when_down
from core.storage.tick_commit import commit

if TYPE_CHECKING:
    from core.storage.metrics import StorageMetrics
    from core.storage.pool import Connect, Connection

log = structlog.get_logger()

QUEUE_BATCHES_MAX: Final = 256
GROUP_ROWS_MAX: Final = 20_000
APPEND_S: Final = 5.0
COMMIT_S: Final = 4.0
DRAIN_S: Final = 3.0
BACKOFF_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
FULL_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    record: BatchRecord
    outcome: asyncio.Future[Receipt]


class PostgresTickStore:
    """A TickStore. Use it inside `async with store.running():`; outside every append is refused."""

    def __init__(
        self,
        connect: Connect,
        metrics: StorageMetrics,
        *,
        queue_batches_max: int = QUEUE_BATCHES_MAX,
        group_rows_max: int = GROUP_ROWS_MAX,
        append_s: float = APPEND_S,
    ) -> None:
        self._connect, self._metrics = connect, metrics
        self._queue_max, self._group_max, self._append_s = queue_batches_max, group_rows_max, append_s
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._tried = asyncio.Event()
        self._running = False
        self._connected = False
        self._retry_at = 0.0

    @property
    def connected(self) -> bool:
        """Whether an append would reach the database now."""
        return self._connected

    async def append(self, record: BatchRecord) -> Receipt:
        """Commit a batch once; see TickStore."""
        self._check_open()
        waiting = _Waiting(record, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._metrics.queue_batches.set(len(self._queue))
        self._wake.set()
        try:
            async with asyncio.timeout(self._append_s):
                return await waiting.outcome
        except TimeoutError:
            raise self._refusal("timeout", "the database is too slow", FULL_RETRY_S) from None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[PostgresTickStore]:
        """Own the writer. Enters after the first attempt to connect; leaves when the queue is written.

        What is not written DRAIN_S after the end is refused.
        """
        self._running = True
        writer = asyncio.create_task(self._write(), name="tick-writer")
        try:
            await self._tried.wait()
            yield self
        finally:
            self._running = False
            self._wake.set()
            await asyncio.wait([writer], timeout=DRAIN_S)
            writer.cancel()
            with suppress(asyncio.CancelledError):
                await writer
            self._refuse(self._queue, "down", "the store is closing")

    def _check_open(self) -> None:
        if not self._running:
            raise self._refusal("down", "the store is not running", FULL_RETRY_S)
        if not self._connected:
            wait_s = max(BACKOFF_S, self._retry_at - asyncio.get_running_loop().time())
            raise self._refusal("down", "the database is down", wait_s)
        if len(self._queue) >= self._queue_max:
            raise self._refusal("queue_full", f"{len(self._queue)} batches wait already", FULL_RETRY_S)

    async def _write(self) -> None:
        """Connect, serve until the connection breaks, and again."""
        backoff_s = BACKOFF_S
        while self._running:
            try:
                with unavailable_when_down():
                    connection, names = await self._open()
            except Exception as error:
                if not isinstance(error, StoreUnavailable):
                    log.exception("tick_store_failed_to_open")
                await self._rest(backoff_s, str(error))
                backoff_s = min(BACKOFF_MAX_S, backoff_s * 2)
                continue
            backoff_s = BACKOFF_S
            try:
                await self._serve(connection, names)
            finally:
                self._set_connected(False)
                connection.terminate()

    async def _open(self) -> tuple[Connection, Names]:
        connection = await self._connect()
        try:
            await connection.execute("set synchronous_commit = on")
            names = await sync_names(connection)
        except BaseException:
            connection.terminate()
            raise
        connection.add_termination_listener(lambda _: self._wake.set())
        self._set_connected(True)
        self._tried.set()
        return connection, names

    def _set_connected(self, connected: bool) -> None:
        self._connected = connected
        self._metrics.connected.set(connected)

    async def _rest(self, seconds: float, detail: str) -> None:
        """Wait before the next attempt, shorter when the store is closed meanwhile."""
        log.warning("tick_store_down", detail=detail, retry_in_s=seconds)
        self._retry_at = asyncio.get_running_loop().time() + seconds
        self._refuse(self._queue, "down", "the database is down", seconds)
        self._tried.set()
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _serve(self, connection: Connection, names: Names) -> None:
        """Commit group after group until the connection is closed, or the store is and nothing waits."""
        while not connection.is_closed():
            group = self._take_group()
            if group:
                await self._commit(connection, group, names)
            elif not self._running:
                return
            else:
                self._wake.clear()
                await self._wake.wait()

    def _take_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        rows = 0
        while self._queue and rows < self._group_max:
            waiting = self._queue.popleft()
            if not waiting.outcome.done():  # its caller has given up
                group.append(waiting)
                rows += len(waiting.record.ticks)
        self._metrics.queue_batches.set(len(self._queue))
        return group

    async def _commit(self, connection: Connection, group: Sequence[_Waiting], names: Names) -> None:
        records = [waiting.record for waiting in group]
        try:
            with self._metrics.commit_seconds.time(), unavailable_when_down():
                async with asyncio.timeout(COMMIT_S):
                    committed = await commit(connection, records, names.leg_ids)
        except StoreUnavailable as error:
            log.warning("tick_commit_failed", detail=error.detail, batches=len(group))
            self._refuse(group, "down", error.detail)
            connection.terminate()
            return
        except Exception:
            log.exception("tick_commit_failed", batches=len(group))
            await self._commit_apart(connection, group, names)
            return
        self._metrics.rows.labels("ticks").inc(committed.rows)
        for waiting, outcome in zip(group, committed.outcomes, strict=True):
            if waiting.outcome.done():
                continue
            if isinstance(outcome, Receipt):
                waiting.outcome.set_result(outcome)
            else:
                waiting.outcome.set_exception(outcome)

    async def _commit_apart(self, connection: Connection, group: Sequence[_Waiting], names: Names) -> None:
        """After an error that is not the database's state: only the batch at fault shall suffer."""
        if len(group) == 1:
            self._refuse(group, "error", "the batch could not be committed")
            return
        for waiting in group:
            await self._commit(connection, [waiting], names)

    def _refuse(
        self, group: Sequence[_Waiting], kind: str, detail: str, retry_after_s: float = FULL_RETRY_S
    ) -> None:
        """End the waiting of a group without a commit that we know of; a queue is emptied."""
        for waiting in tuple(group):
            if not waiting.outcome.done():
                waiting.outcome.set_exception(self._refusal(kind, detail, retry_after_s))
        if group is self._queue:
            self._queue.clear()
            self._metrics.queue_batches.set(0)

    def _refusal(self, kind: str, detail: str, retry_after_s: float) -> StoreUnavailable:
        self._metrics.failures.labels(kind).inc()
        return StoreUnavailable(detail, retry_after_s)
