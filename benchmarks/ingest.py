"""Ingest as collectors meet it: signed batches of 500 ticks over HTTP, acknowledged when they are committed.

A core in a process of its own (`chrono serve`), an embedded PostgreSQL with the settings of production and
the sending processes share this machine's cores. The batches are built and signed beforehand; a connection
sends its next when it has the answer to the one before. The baseline is bare COPY of the same rows into a
table like `ticks` on the same server, in turns with the posting; afterwards every row is counted.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import struct
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

import asyncpg
import numpy as np
import uvloop
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from benchmarks.copy_baseline import BATCH_ROWS, CHUNK_ROWS, Row, bare_copy
from benchmarks.servers import migrated_server
from chrono.batch import KEY_ID_BYTES, TICK_BYTES, Batch, encode, restamp
from chrono.feeds import LEGS
from chrono.ticks import Quote
from core.columns import TICK_DTYPE
from core.keys import LocalSigner
from tests.served_core import served_core

SENDERS = 2
CONNECTIONS = 4  # of each sender
ROUNDS = 5
ROUND_BATCHES = 400
WAIT_S = 120.0
_SEQUENCE_AT = 6 + KEY_ID_BYTES
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: acknowledged rows a second, beside both ways to COPY."""
    rounds, batches = (1, 100) if quick else (ROUNDS, ROUND_BATCHES)
    ours, small, large = asyncio.run(_measure(rounds, batches))
    name = f"ingest over HTTP, signed and committed, {SENDERS} senders x {CONNECTIONS} connections"
    return [
        {
            "name": name,
            "figure": round(ours),
            "unit": "rows/s",
            "baseline": round(bare),
            "baseline_name": f"bare COPY, {chunk} rows a transaction",
            "ratio": round(ours / bare, 2),
            "target": target,
        }
        for bare, chunk, target in ((small, BATCH_ROWS, ">= 0.5x"), (large, CHUNK_ROWS, None))
    ]


async def _measure(rounds: int, batches: int) -> tuple[float, float, float]:
    """Medians over the rounds: ours, COPY of 500 rows, COPY of 5,000 rows."""
    rates: list[tuple[float, float, float]] = []
    load = [Drafts.make(sender, rounds * batches // SENDERS) for sender in range(SENDERS)]
    signers = [LocalSigner.of(draft.private_key) for draft in load]
    with tempfile.TemporaryDirectory(prefix="chrono-bench-") as name, _senders(load) as senders:
        async with migrated_server() as dsn, served_core(Path(name), dsn, signers) as core:
            port = int(core.url.rpartition(":")[2])
            for turn in range(rounds):
                share = range(turn * batches // SENDERS, (turn + 1) * batches // SENDERS)
                rows = [row for draft in load for row in draft.rows(share)]
                small = await bare_copy(dsn, rows, BATCH_ROWS)
                ours = await asyncio.to_thread(_post, senders, port, share)
                large = await bare_copy(dsn, rows, CHUNK_ROWS)
                rates.append((ours, small, large))
            await _count(dsn, rounds * (batches // SENDERS) * SENDERS)
    ours, small, large = (median(column) for column in zip(*rates, strict=True))
    return ours, small, large


async def _count(dsn: str, batches: int) -> None:
    """Fails unless every row that was acknowledged is there, once."""
    connection = await asyncpg.connect(dsn)
    try:
        stored = await connection.fetchval("select count(*) from batches")
        ticks = await connection.fetchval("select count(*) from ticks")
        marks = await connection.fetchval("select count(distinct (last, volume)) from ticks")
    finally:
        await connection.close()
    wanted = (batches, batches * BATCH_ROWS, batches * BATCH_ROWS)
    if (stored, ticks, marks) != wanted:
        raise RuntimeError(f"the database holds {(stored, ticks, marks)}, acknowledged were {wanted}")


class Drafts:
    """One sender's batches, encoded but not signed: 500 quotes each, and no two quotes are the same."""

    def __init__(self, private_key: Ed25519PrivateKey, encoded: list[bytes]) -> None:
        self.private_key = private_key
        self.encoded = encoded

    @classmethod
    def make(cls, sender: int, count: int) -> Drafts:
        """One batch is encoded and its table varied for the others: encoding all would take minutes."""
        private_key = Ed25519PrivateKey.generate()
        at = time.time()
        price = Decimal("97000.01")
        quotes = tuple(
            Quote(LEGS[index % len(LEGS)], price, price, price, Decimal("1200.5"), at, at)
            for index in range(BATCH_ROWS)
        )
        encoded = encode(Batch(LocalSigner.of(private_key).key_id, 1, at, quotes))
        return cls(private_key, [_varied(encoded, sender * count + number) for number in range(count)])

    def rows(self, share: range) -> list[Row]:
        """A share of the ticks as records for COPY."""
        tables = np.concatenate([_table(self.encoded[number]) for number in share])
        return [
            (_time(received), _time(event), int(leg) + 1, int(kind), int(price), int(size), *map(int, values))
            for leg, kind, price, size, _, received, event, *values in tables.tolist()
        ]


def _varied(encoded: bytes, number: int) -> bytes:
    made = bytearray(encoded)
    struct.pack_into("<Q", made, _SEQUENCE_AT, number + 1)
    table = _table(made)
    table["last"] += np.arange(BATCH_ROWS)
    table["ask"] += BATCH_ROWS
    table["volume"] += number
    table["received_ms"] += np.arange(BATCH_ROWS) // 50
    return bytes(made)


def _table(encoded: bytes | bytearray) -> NDArray[np.void]:
    return np.frombuffer(encoded, TICK_DTYPE, BATCH_ROWS, len(encoded) - BATCH_ROWS * TICK_BYTES)


def _time(ms: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=ms)


# The senders


@contextmanager
def _senders(load: Sequence[Drafts]) -> Iterator[list[Connection]]:
    """Processes that wait to be told what to post."""
    spawn = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for drafts in load:
        ours, theirs = spawn.Pipe()
        key = drafts.private_key.private_bytes_raw()
        process = spawn.Process(target=_serve_sender, args=(theirs, key, drafts.encoded), daemon=True)
        process.start()
        ends.append(ours)
        processes.append(process)
    try:
        yield ends
    finally:
        for end in ends:
            end.send(None)
        for process in processes:
            process.join(10)


def _post(senders: Sequence[Connection], port: int, share: range) -> float:
    """Let all senders post their share at once; acknowledged rows a second."""
    for sender in senders:
        sender.send((port, share))
    for sender in senders:
        _hear(sender)  # its batches are signed
    began = time.perf_counter()
    for sender in senders:
        sender.send("go")
    for sender in senders:
        _hear(sender)
    return len(senders) * len(share) * BATCH_ROWS / (time.perf_counter() - began)


def _hear(sender: Connection) -> Any:
    if not sender.poll(WAIT_S):
        raise TimeoutError("a sender gave no result")
    heard = sender.recv()
    if isinstance(heard, Exception):
        raise heard
    return heard


def _serve_sender(control: Connection, private_key: bytes, encoded: list[bytes]) -> None:
    key = Ed25519PrivateKey.from_private_bytes(private_key)
    while (asked := control.recv()) is not None:
        port, share = asked
        stamped = [restamp(encoded[number], time.time()) for number in share]
        requests = [_request(batch + key.sign(batch)) for batch in stamped]
        control.send("signed")
        control.recv()
        try:
            uvloop.run(_send(port, requests))
        except Exception as error:  # noqa: BLE001  # told to the process that asked
            control.send(RuntimeError(repr(error)))
        else:
            control.send("done")


def _request(sealed: bytes) -> bytes:
    head = (
        "POST /ingest HTTP/1.1\r\nHost: chrono\r\nContent-Type: application/octet-stream\r\n"
        f"Content-Length: {len(sealed)}\r\n\r\n"
    )
    return head.encode() + sealed


async def _send(port: int, requests: list[bytes]) -> None:
    waiting = iter(requests)
    async with asyncio.TaskGroup() as group:
        for _ in range(CONNECTIONS):
            group.create_task(_send_in_turn(port, waiting))


async def _send_in_turn(port: int, waiting: Iterator[bytes]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for request in waiting:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"not acknowledged: {head!r} {body!r}")
    writer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
