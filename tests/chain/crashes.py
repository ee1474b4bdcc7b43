"""Providers in processes of their own that are killed, cut off and reorganised while rounds run.

Time is the chain's and is turned by hand, with mainnet's own timings, so a thousand rounds take minutes.
Each provider is a real process with real transactions, the real PostgreSQL ledger, and is killed with
SIGKILL a random moment after it was told to take a turn. It is started again at once, as a supervisor does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import random
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from typing import Any

from core.ftso.epochs import Network, local
from core.ftso.identities import VotingRoundId
from core.ports import StoreUnavailable
from core.provider.ports import ChainUnavailable, LeaseHeld, LeaseLost
from core.storage.pool import connector
from core.storage.provider import PostgresLedgers
from tests.chain.stage import GENESIS, Scene, Stage, open_stage, voters
from tests.chain.witness import Verdict, judge

TICKS = (1, 21, 24, 28, 32, 36, 40, 44, 46, 48, 50, 53, 57, 66, 70, 76, 79, 82, 85, 88)
"""Offsets in a voting epoch at which everybody takes a turn and a block is made."""
REORGANISED_FROM = (24, 48, 76)
"""Offsets whose block may be taken back at the next tick: the windows stay open for longer."""
FEEDS = 3
TOLD_EVERY = 25
"""Rounds between two counts while a long run goes on."""
STANDBYS = (0, 0, 1, 2, 3)
"""Whom each process works as: the first voter has a warm standby."""


@dataclass
class Chances:
    """How often what happens, for each tick or each process and tick."""

    kill: float = 0.02
    drop_session: float = 0.01
    outage: float = 0.03
    reorganisation: float = 0.1


@dataclass
class Happened:
    """What was done to the providers."""

    kills: int = 0
    sessions_dropped: int = 0
    outages: int = 0
    reorganisations: int = 0
    answers: dict[str, int] = field(default_factory=dict)


def crash_network() -> Network:
    """Mainnet's timings, a short memory for offenders."""
    network = local(GENESIS + 1_000, voting_epoch_s=90, reveal_deadline_s=45, reward_epoch_rounds=10_000)
    return replace(network, benching_rounds=3)


def provide(connection: Connection, scene: Scene, dsn: str, index: int, name: str) -> None:
    """A provider's process: takes a turn whenever it is told a time."""
    asyncio.run(_provide(connection, scene, dsn, index, name))


async def _provide(connection: Connection, scene: Scene, dsn: str, index: int, name: str) -> None:
    voter, endpoints = voters(index + 1)[index], scene.endpoints()
    ledgers = PostgresLedgers(connector(dsn))
    stack, provider = AsyncExitStack(), None
    chain = scene.chain(voter, endpoints)
    while True:
        at = await asyncio.to_thread(connection.recv)
        try:
            if provider is None:
                ledger = await stack.enter_async_context(ledgers.lease(voter.submit.address.text, name))
                provider = scene.provider(voter, ledger, chain)
                await provider.restore(at)
            await provider.turn(at)
            answer = "turned"
        except (LeaseHeld, LeaseLost, StoreUnavailable, ChainUnavailable) as error:
            answer = type(error).__name__
            if not isinstance(error, ChainUnavailable):
                await stack.aclose()
                provider = None
        connection.send(answer)


class Proxy:
    """An endpoint that can fail: `mode` is open, closed (refuses), or hanging (takes and never answers)."""

    def __init__(self, port: int) -> None:
        self._upstream, self.mode, self.url = port, "open", ""

    @asynccontextmanager
    async def running(self) -> Any:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, outward = await asyncio.open_connection("127.0.0.1", self._upstream)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65_536):
                if self.mode == "closed":
                    break
                if self.mode == "hanging":
                    continue
                sink.write(data)
                await sink.drain()

        pumps = [asyncio.create_task(pump(reader, outward)), asyncio.create_task(pump(upstream, writer))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for each in pumps:
            each.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        writer.close()
        outward.close()


@dataclass
class Worker:
    """One provider's process, started again whenever it was killed."""

    scene: Scene
    dsn: str
    index: int
    name: str
    process: Any = None
    connection: Any = None

    def start(self) -> None:
        context = multiprocessing.get_context("forkserver")
        ours, theirs = context.Pipe()
        self.process = context.Process(
            target=provide, args=(theirs, self.scene, self.dsn, self.index, self.name), daemon=True
        )
        self.process.start()
        theirs.close()
        self.connection = ours

    async def turn(self, at: float, kill_after_s: float | None) -> str:
        """Tell it the time; kill it after so many seconds, if any are given, and start it again."""
        self.connection.send(at)
        answered = asyncio.get_running_loop().create_future()
        descriptor = self.connection.fileno()
        loop = asyncio.get_running_loop()
        loop.add_reader(descriptor, lambda: answered.done() or answered.set_result(None))
        try:
            async with asyncio.timeout(60.0 if kill_after_s is None else kill_after_s):
                await answered
            return str(self.connection.recv())
        except TimeoutError:
            self.kill()
            self.start()
            return "killed"
        except EOFError:
            self.start()
            return "ended"
        finally:
            loop.remove_reader(descriptor)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()


@dataclass
class Play:
    """Everybody on the stage, and what they need."""

    stage: Stage
    workers: list[Worker]
    proxies: list[Proxy]
    admin: Any
    happened: Happened


async def run_crashes(dsn: str, rounds: int, seed: int, chances: Chances) -> tuple[Verdict, Happened]:
    """Run the rounds, and let the chain be judged."""
    chance = random.Random(seed)
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # the fork server of Python 3.11 takes no path over
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.chain.crashes"])
    async with open_stage(feeds=FEEDS, network=crash_network()) as stage, AsyncExitStack() as stack:
        port = int(stage.scene.urls[0].rpartition(":")[2])
        proxies = [await stack.enter_async_context(Proxy(port).running()) for _ in range(2)]
        scene = replace(stage.scene, urls=tuple(proxy.url for proxy in proxies), timeout_s=0.4)
        workers = [Worker(scene, dsn, index, f"instance {place}") for place, index in enumerate(STANDBYS)]
        for worker in workers:
            worker.start()
            stack.callback(worker.kill)
        happened = Happened()
        admin = await connector(dsn)()
        stack.push_async_callback(admin.close)
        await _run(Play(stage, workers, proxies, admin, happened), rounds, chance, chances)
        reader = await stage.reader()
        verdict = judge(reader, stage.network, stage.voters, range(rounds), FEEDS)
        return verdict, happened


async def _run(play: Play, rounds: int, chance: random.Random, chances: Chances) -> None:
    stage, workers, proxies, happened = play.stage, play.workers, play.proxies, play.happened
    snapshot: Any = None
    outage_ends = 0
    for turn, (offset, at) in enumerate(_ticks(stage.network, rounds + 2)):
        if turn >= outage_ends:
            for proxy in proxies:
                proxy.mode = "open"
            if chance.random() < chances.outage:
                happened.outages += 1
                outage_ends = turn + chance.randint(1, 2)
                for proxy in chance.sample(proxies, chance.randint(1, 2)):
                    proxy.mode = chance.choice(["closed", "hanging"])
        if chance.random() < chances.drop_session:
            happened.sessions_dropped += 1
            await play.admin.execute(
                "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory'"
                " order by random() limit 1"
            )
        if snapshot is not None:
            await stage.endpoints.ask("evm_revert", snapshot)
            snapshot = None
            happened.reorganisations += 1
            await stage.mine(at - 1)
        elif offset in REORGANISED_FROM and chance.random() < chances.reorganisation:
            snapshot = await stage.endpoints.ask("evm_snapshot")
        fates = [chance.uniform(0, 0.05) if chance.random() < chances.kill else None for _ in workers]
        answers = await asyncio.gather(
            *(worker.turn(float(at), fate) for worker, fate in zip(workers, fates, strict=True))
        )
        for answer in answers:
            happened.answers[answer] = happened.answers.get(answer, 0) + 1
        happened.kills = happened.answers.get("killed", 0)
        await stage.mine(at)
        done = turn // len(TICKS) - 2
        if offset == TICKS[-1] and done > 0 and done % TOLD_EVERY == 0:
            reader = await stage.reader()
            print(judge(reader, stage.network, stage.voters, range(done), FEEDS), happened, flush=True)


def _ticks(network: Network, rounds: int) -> Iterator[tuple[int, int]]:
    for number in map(VotingRoundId, range(rounds)):
        for offset in TICKS:
            yield offset, network.start_of(number) + offset
