"""What a provider's rounds cost: commit instant to broadcast, a round's results, signing and encoding.

The commit is one turn of one provider on a local node and a real database: read the newest block, encode 63
values, commit them to PostgreSQL with fsync, note the attempt (a second commit to disk), ask nonce and fee,
sign, send. Beside it the same transaction signed and sent to the same node with nothing kept: the floor that
no provider can go below. Needs anvil (CHRONO_ANVIL, PATH or .cache/anvil); without it that row is an error.

The results of 100 providers x 63 feeds stand beside a direct transcription of the specification, written
here, which must give the same Merkle root.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

import pytest
import structlog

from benchmarks.servers import migrated_server
from benchmarks.timing import times_of
from chrono.feeds import FEEDS
from core.chain.account import Account, Wish
from core.chain.keys import LocalKey
from core.ftso.commit import commit_hash
from core.ftso.feed_order import Feed
from core.ftso.feed_values import encode_values
from core.ftso.hashing import keccak
from core.ftso.identities import FTSO_PROTOCOL, Address, VotingRoundId
from core.ftso.payload import Message, encode_messages, selector
from core.ftso.results import RoundResults, Voter, round_results
from core.ftso.reveal import Reveal
from core.provider.content import encoded_values
from core.storage.pool import connector
from core.storage.provider import PostgresLedgers
from tests.chain.stage import Stage, open_stage

PROVIDERS = 100
ROUND = VotingRoundId(1_000_000)
ROUNDS, ROUNDS_QUICK = 60, 6
TARGET = "< 50 ms"
FEED_LIST = tuple(Feed(feed.id, feed.decimals) for feed in FEEDS)

Row = dict[str, object]


def run(quick: bool = False) -> list[Row]:
    """Rows of the table."""
    return [*asyncio.run(_commit(ROUNDS_QUICK if quick else ROUNDS)), *_results(quick), *_costs(quick)]


async def _commit(rounds: int) -> list[Row]:
    level = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        async with migrated_server() as dsn, open_stage(feeds=len(FEEDS)) as stage:
            turns, bare = await _turns(stage, dsn, rounds)
    except pytest.skip.Exception as reason:
        name = f"commit instant to broadcast, {len(FEEDS)} feeds"
        keys = ("figure", "unit", "baseline", "baseline_name", "ratio")
        return [{**dict.fromkeys(keys), "name": name, "target": TARGET, "error": str(reason)}]
    finally:
        structlog.configure(wrapper_class=level)
    p95 = quantiles(turns, n=20)[-1]
    name = f"commit instant to broadcast, {len(FEEDS)} feeds (p95 {p95:.1f} ms)"
    return [_row(name, turns, "ms", bare, "the bare transaction", target=TARGET)]


async def _turns(stage: Stage, dsn: str, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of each turn that commits, and of each bare transaction."""
    voter, network = stage.voters[0], stage.network
    turns, bare = [], []
    bystander = Account(stage.voters[1].submit, stage.endpoints, network.chain_id, stage.scene.fees)
    async with PostgresLedgers(connector(dsn)).lease("benchmark", "benchmark") as ledger:
        provider = stage.provider(voter, ledger)
        for number in map(VotingRoundId, range(rounds + 1)):
            start = network.start_of(number)
            for second in (3, 6, 7):  # the round before is revealed, signed, finalized
                await stage.mine(start + second)
                await provider.turn(float(start + second))
            await stage.mine(start + 8)
            began = time.perf_counter()
            await provider.turn(start + 9.0)
            turns.append((time.perf_counter() - began) * 1e3)
            message = Message(FTSO_PROTOCOL, number, secrets.token_bytes(32))
            calldata = selector("submit1()") + encode_messages([message])
            wish = Wish(number, stage.scene.addresses["Submission"], calldata, 200_000)
            began = time.perf_counter()
            await bystander.want(wish, float(start))
            bare.append((time.perf_counter() - began) * 1e3)
            await stage.mine(start + 9)
    return turns[1:], bare[1:]  # the first turn also reads the chain's past


def _results(quick: bool) -> list[Row]:
    voters, kept = _revealed()

    def ours() -> RoundResults:
        return round_results(ROUND, feeds=FEED_LIST, voters=voters, kept=kept, offended=(), benched=())

    assert plain_root(voters, kept) == ours().tree.root
    name = f"results of a round, {PROVIDERS} providers x {len(FEEDS)} feeds"
    times, plain = [], []
    # In turns, so that what else the machine does falls on both alike.
    for _ in range(5 if quick else 40):
        times += times_of(ours, 2)
        plain += times_of(lambda: plain_root(voters, kept), 2)
    return [_row(name, times, "ms", plain, "direct transcription")]


def _revealed() -> tuple[list[Voter], dict[Address, Reveal]]:
    """A full round: everybody a little beside the others, a twentieth of values missing."""
    dice = random.Random(7)
    voters = [Voter(Address(keccak(bytes([n]))[:20]), dice.randint(1, 10**26)) for n in range(PROVIDERS)]
    middle = [dice.randint(10_000, 10**8) for _ in FEEDS]
    kept = {}
    for voter in voters:
        values = [None if dice.random() < 0.05 else int(each * dice.gauss(1, 1e-3)) for each in middle]
        kept[voter.submit_address] = Reveal(dice.randbytes(32), encode_values(values))
    return voters, kept


def plain_root(voters: Sequence[Voter], kept: Mapping[Address, Reveal]) -> bytes:
    """The round's Merkle root, step by step as the specification tells it. Nobody offended."""
    total = sum(voter.weight for voter in voters)
    number = sum(int.from_bytes(reveal.random, "big") for reveal in kept.values()) % 2**256
    leaves = [keccak(_word(ROUND) + _word(number) + _word(1))]
    for index, feed in enumerate(FEED_LIST):
        votes = []
        for voter in voters:
            cell = kept[voter.submit_address].values[4 * index : 4 * index + 4]
            if cell and cell != bytes(4):
                votes.append((int.from_bytes(cell, "big") - 2**31, voter.weight))
        votes.sort()
        weight, reached, value = sum(each for _, each in votes), 0, 0
        for place, (value, each) in enumerate(votes):  # the value it stops at is the median
            reached += each
            if reached * 2 == weight:
                value = (value + votes[place + 1][0]) // 2  # noqa: PLW2901
            if reached * 2 >= weight:
                break
        feed_id = bytes(feed.id).ljust(32, b"\0")
        turnout = weight * 10_000 // total
        leaves.append(keccak(_word(ROUND) + feed_id + _word(value) + _word(turnout) + _word(feed.decimals)))
    cells = [b""] * (len(set(leaves)) - 1) + sorted(set(leaves))
    for cell in range(len(set(leaves)) - 2, -1, -1):
        cells[cell] = keccak(b"".join(sorted(cells[2 * cell + 1 : 2 * cell + 3])))
    return cells[0]


def _word(number: int) -> bytes:
    return (number % 2**256).to_bytes(32, "big")


def _costs(quick: bool) -> list[Row]:
    """What the parts of a commit and of a signature cost."""
    key, dice = LocalKey(keccak(b"a benchmark's key")), random.Random(7)
    prices = {feed.name: dice.randint(10_000, 10**8) / 10.0**feed.decimals for feed in FEEDS}
    reveal = Reveal(bytes(32), encoded_values(prices, FEED_LIST))
    hashed = keccak(b"a result")
    signature = asyncio.run(key.sign(hashed))
    transaction = {"type": 2, "chainId": 14, "nonce": 1, "to": bytes(20), "value": 0, "gas": 100_000}
    fees = {"maxFeePerGas": 10**11, "maxPriorityFeePerGas": 10**9, "data": bytes(43)}
    steps: dict[str, Callable[[], object]] = {
        f"encode {len(FEEDS)} values": lambda: encoded_values(prices, FEED_LIST),
        f"commit hash of {len(FEEDS)} values": lambda: commit_hash(key.address, ROUND, reveal),
        "sign a transaction": lambda: _finished(key.sign_transaction({**transaction, **fees})),
        "sign a result": lambda: _finished(key.sign(hashed)),
        "recover a result's signer": lambda: signature.signer_of(hashed),
    }
    count = 20 if quick else 400
    return [_row(name, [each * 1e3 for each in times_of(step, count)], "us") for name, step in steps.items()]


def _finished(work: object) -> None:
    """Run a coroutine that never waits, without a loop's own cost."""
    try:
        work.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        return
    raise AssertionError("a local key waits for nothing")


def _row(
    name: str,
    figures: list[float],
    unit: str,
    baseline: list[float] | None = None,
    baseline_name: str | None = None,
    *,
    target: str | None = None,
) -> Row:
    figure = median(figures)
    return {
        "name": name,
        "figure": figure,
        "unit": unit,
        "baseline": median(baseline) if baseline else None,
        "baseline_name": baseline_name,
        "ratio": median(baseline) / figure if baseline else None,
        "target": target,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
