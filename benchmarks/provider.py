"""From the commit instant to the commit's broadcast, 63 feeds, on a local node and a real database.

One turn of one provider: read the newest block, encode the values, commit them to PostgreSQL with fsync,
note the attempt (a second commit to disk), ask nonce and fee, sign, send. Beside it the same transaction
signed and sent to the same node with nothing kept: the floor that no provider can go below. Needs anvil
(CHRONO_ANVIL).

    python -m benchmarks.provider
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from statistics import median

import pytest
import structlog

from core.chain.account import Account, Wish
from core.ftso.identities import FTSO_PROTOCOL, VotingRoundId
from core.ftso.payload import Message, encode_messages, selector
from core.storage.embedded import EmbeddedPostgres
from core.storage.migrate import migrate
from core.storage.pool import connector
from core.storage.provider import PostgresLedgers
from tests.chain.stage import Stage, open_stage
from tests.databases import open_folder

ROUNDS = 40


async def measure(stage: Stage, dsn: str) -> tuple[list[float], list[float]]:
    """Seconds of each turn that commits, and of each bare transaction."""
    voter, network = stage.voters[0], stage.network
    turns, bare = [], []
    bystander = Account(stage.voters[1].submit, stage.endpoints, network.chain_id, stage.scene.fees)
    async with PostgresLedgers(connector(dsn)).lease("benchmark", "benchmark") as ledger:
        provider = stage.provider(voter, ledger)
        for number in map(VotingRoundId, range(ROUNDS)):
            start = network.start_of(number)
            for second in (3, 6, 7):  # the round before is revealed, signed, finalized
                await stage.mine(start + second)
                await provider.turn(float(start + second))
            await stage.mine(start + 8)
            began = time.perf_counter()
            await provider.turn(start + 9.0)
            turns.append(time.perf_counter() - began)
            message = Message(FTSO_PROTOCOL, number, secrets.token_bytes(32))
            calldata = selector("submit1()") + encode_messages([message])
            wish = Wish(number, stage.scene.addresses["Submission"], calldata, 200_000)
            began = time.perf_counter()
            await bystander.want(wish, float(start))
            bare.append(time.perf_counter() - began)
            await stage.mine(start + 9)
    return turns[1:], bare[1:]


def told(name: str, seconds: list[float]) -> str:
    """One line of figures."""
    ordered = sorted(seconds)
    p95 = ordered[int(len(ordered) * 0.95)]
    return f"{name:<34} median {median(ordered) * 1e3:6.1f} ms   p95 {p95 * 1e3:6.1f} ms"


async def main() -> None:
    """Measure and print."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with open_folder() as folder:
        server = EmbeddedPostgres(folder / "postgres")
        async with server.running() as dsn, open_stage(feeds=63) as stage:
            connection = await connector(dsn)()
            await migrate(connection)
            await connection.close()
            turns, bare = await measure(stage, dsn)
    print(told("commit instant to broadcast", turns))
    print(told("the bare transaction", bare))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except pytest.skip.Exception as reason:
        print(reason)
