"""Requests on a fixed schedule over kept connections, and how long their answers took.

Requests leave whether or not answers are back, so that a slow answer cannot slow the questions; a request's
time begins when it was due, but where the load itself came too late for it.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast


@dataclass
class Answers:
    """Milliseconds of the answers with 200, in their order, and how many there were of every status.

    The status 0 is of connections that ended without an answer.
    """

    ms: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    def count(self, status: int) -> None:
        self.statuses[status] = self.statuses.get(status, 0) + 1

    @property
    def total(self) -> int:
        return sum(self.statuses.values())


class Asker(asyncio.Protocol):
    """One kept connection: asks, and knows when the whole answer is there. It answers with the status."""

    def __init__(self) -> None:
        self._left = 0
        self._buffer = b""
        self._status = 0
        self._answered: asyncio.Future[int] | None = None
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from it

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        if self._answered and not self._answered.done():
            self._answered.set_result(0)

    def ask(self, request: bytes) -> asyncio.Future[int]:
        self._answered = asyncio.get_running_loop().create_future()
        if self.lost or self.transport.is_closing():
            self._answered.set_result(0)
        else:
            self.transport.write(request)
        return self._answered

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._buffer += data
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            self._status = int(head[9:12])
            length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._left, self._buffer = int(length or 0) - len(rest), b""
        if self._left <= 0 and self._answered and not self._answered.done():
            self._answered.set_result(self._status)


@dataclass(frozen=True)
class Schedule:
    """`per_s` requests a second for so many seconds, taken in turn from `requests`.

    `origins` are the addresses that connections come from in turn; a connection that ends is opened again.
    """

    requests: Sequence[bytes]
    per_s: float
    seconds: float
    connections: int = 32
    origins: Sequence[str] = ("127.0.0.1",)


async def asked(port: int, schedule: Schedule) -> Answers:
    """Ask by the schedule. What is still unanswered 5 s after its end is left."""
    loop, answers = asyncio.get_running_loop(), Answers()
    idle: asyncio.Queue[Asker] = asyncio.Queue()

    async def opened(number: int) -> Asker:
        origin = schedule.origins[number % len(schedule.origins)]
        _, asker = await loop.create_connection(Asker, "127.0.0.1", port, local_addr=(origin, 0))
        return asker

    for number in range(schedule.connections):
        idle.put_nowait(await opened(number))

    async def ask(number: int, due: float) -> None:
        """Waiting for a free connection counts."""
        asker = await idle.get()
        try:
            if asker.lost:
                asker = await opened(number)
            status = await asker.ask(schedule.requests[number % len(schedule.requests)])
        except OSError:
            status = 0
        finally:
            idle.put_nowait(asker)
        answers.count(status)
        if status == 200:
            answers.ms.append((time.perf_counter() - due) * 1000)

    asking: set[asyncio.Task[None]] = set()
    started = time.perf_counter()
    for number in range(int(schedule.per_s * schedule.seconds)):
        due = started + number / schedule.per_s
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(ask(number, max(due, time.perf_counter() - 0.001)))
        asking.add(task)
        task.add_done_callback(asking.discard)
    if asking:
        _, late = await asyncio.wait(asking, timeout=5)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
    while not idle.empty():
        idle.get_nowait().transport.close()
    return answers


def latency_row(
    name: str,
    ours: Sequence[float],
    bare: Sequence[float],
    part: float,
    *,
    baseline_name: str,
    target_ms: float | None = None,
) -> dict[str, object]:
    """A row of the table: a quantile of our latencies beside the baseline's."""
    figure, baseline = share(ours, part), share(bare, part)
    return {
        "name": f"{name}, p{part * 100:.0f}",
        "figure": round(figure, 3),
        "unit": "ms",
        "baseline": round(baseline, 3),
        "baseline_name": baseline_name,
        "ratio": round(baseline / figure, 2),
        "target": target_ms,
    }


def share(latencies: Sequence[float], part: float) -> float:
    """A quantile: 0.95 is the p95."""
    return statistics.quantiles(latencies, n=1000, method="inclusive")[round(part * 1000) - 1]
