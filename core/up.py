"""`chrono up` and `chrono replay`: everything on one machine, from an empty folder to a page with prices.

Knows which processes make a whole Chrono and in which order they start: database, core, market, collector.
Each runs `python -m core ...` with its settings in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

import structlog

from chrono.errors import ChronoError
from chrono.signing import PublicKey
from core.keys import KnownKeys, create_private_key, load_private_key
from core.markets import Market
from core.net import answers, free_port
from core.settings import Settings
from core.storage.embedded import EmbeddedPostgres
from core.storage.programs import EmbeddedPostgresError
from core.supervisor import Child, Supervisor

COLLECTOR_GRACE_S: Final = 1.5
CORE_GRACE_S: Final = 2.0
GATEWAY_GRACE_S: Final = 4.0
PROGRESS_S: Final = 0.2
PROGRESS_LOG_S: Final = 10.0
LAST_PASSES_S: Final = 3.0
DATABASE_CHECK_S: Final = 1.0
LOCAL_ROUNDS_BEFORE: Final = 40

Announce = Callable[[str, str], None]
Show = Callable[[float, float], None]
"""Takes the fraction that was replayed and the recorded minute, in Unix seconds."""

log = structlog.get_logger()


class Progress(Protocol):
    """How far a replay is: a fraction, the recorded minute (Unix seconds), and whether it is over."""

    @property
    def fraction(self) -> float: ...
    @property
    def minute(self) -> float: ...
    @property
    def ended(self) -> bool: ...


class Replay(Market, Protocol):
    """A market that ends."""

    def progress(self, at: float) -> Progress | None: ...


class CannotStart(ChronoError):
    """What keeps Chrono from starting, and what to do about it."""


async def run_up(settings: Settings, market: Market, stop: asyncio.Event, announce: Announce) -> None:
    """Start all of it, call `announce(url, where the data is)`, and stop all of it when `stop` is set.

    Raises CannotStart, PortTaken, ChildFailed or what the database's start raises.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings = _local_settings(settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(_only_one(settings.data_dir / "lock"))
        _ensure_collector_key(settings)
        port = free_port(settings.host, settings.port)
        starting = asyncio.create_task(_start(settings, market, port, stack))
        stopped = asyncio.create_task(stop.wait())
        await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            await asyncio.wait({starting})
            return
        try:
            starting.result()
            announce(f"http://{settings.host}:{port}", str(settings.data_dir))
            await stopped
            log.info("stopping")
        finally:
            stopped.cancel()


async def run_replay(
    settings: Settings,
    market: Replay,
    stop: asyncio.Event,
    announce: Announce,
    show: Show,
    *,
    keep: bool,
) -> None:
    """Like `run_up`, and tell `show(fraction, recorded minute)`; ends with the recording unless `keep`."""

    async def follow() -> None:
        logged_at = time.time()
        while not stop.is_set():
            await asyncio.sleep(PROGRESS_S)
            at = time.time()
            progress = market.progress(at)
            if progress is None:
                continue
            show(progress.fraction, progress.minute)
            if progress.ended or at - logged_at > PROGRESS_LOG_S:
                percent = round(100 * progress.fraction, 1)
                log.info(
                    "replayed",
                    percent=percent,
                    minute=datetime.fromtimestamp(progress.minute, UTC).isoformat(),
                )
                logged_at = at
            if progress.ended:
                break
        if not keep:
            await asyncio.sleep(LAST_PASSES_S)
            stop.set()

    following = asyncio.create_task(follow())
    try:
        await run_up(settings, market, stop, announce)
    finally:
        following.cancel()


async def _start(settings: Settings, market: Market, port: int, stack: contextlib.AsyncExitStack) -> None:
    """Start one part after the other, each to be stopped by the stack in the opposite order."""
    environment = {**settings.environment(), "CHRONO_PORT": str(port)}
    environment["DATABASE_URL"] = await _database(settings, stack)
    supervisor = Supervisor()
    stack.push_async_callback(supervisor.stop)
    core_ready = answers(f"http://{settings.host}:{port}/health")
    await supervisor.start(Child("core", ["serve"], environment, core_ready, grace_s=CORE_GRACE_S))
    if settings.gateway_processes:
        ready = _gateway_ready(settings)
        arguments = ["gateway", "serve"]
        await supervisor.start(Child("gateway", arguments, environment, ready, grace_s=GATEWAY_GRACE_S))
    opened = await market.open(supervisor, stack)
    await supervisor.start(
        Child(
            "collector",
            ["collect"],
            {**environment, **_market_environment(settings, opened.venue_urls, opened.legs)},
            _at_once,
            grace_s=COLLECTOR_GRACE_S,
        )
    )
    if settings.network == "local":
        await _start_local_chain(settings, environment, supervisor)


def _local_settings(settings: Settings) -> Settings:
    """The settings with the local network's first round, some rounds ago, and whose rounds the API shows."""
    if settings.network != "local" or settings.local_first_round_at:
        return settings
    from core.local_chain import find_anvil, write_our_keys  # noqa: PLC0415 - loads web3, which is slow

    find_anvil(settings)
    began = int(time.time()) - LOCAL_ROUNDS_BEFORE * settings.local_epoch_s
    named = write_our_keys(settings.data_dir / "keys")
    chosen = {name.removeprefix("CHRONO_").lower(): value for name, value in named.items()}
    return settings.model_copy(
        update={
            "local_first_round_at": began,
            "submit_address": chosen.pop("submit_address"),
            "rewards_url": chosen.pop("rewards_url"),
            **{name: Path(value) for name, value in chosen.items()},
        }
    )


async def _start_local_chain(
    settings: Settings, environment: Mapping[str, str], supervisor: Supervisor
) -> None:
    """The node with its contracts and neighbours, then our provider on it."""
    from core.local_chain import READY_FILE  # noqa: PLC0415 - see above

    port = free_port("127.0.0.1", 0)
    ready = settings.data_dir / READY_FILE
    ready.unlink(missing_ok=True)

    async def deployed() -> bool:
        return ready.exists()

    arguments = ["local-chain", "--rpc-port", str(port)]
    await supervisor.start(Child("chain", arguments, environment, deployed, ready_within_s=60.0))
    provider = {**environment, "CHRONO_RPC_URLS": f"http://127.0.0.1:{port}"}
    await supervisor.start(Child("provider", ["provider", "run"], provider, _at_once))


def _market_environment(
    settings: Settings, venue_urls: Mapping[str, str], legs: tuple[str, ...]
) -> dict[str, str]:
    environment = {"CHRONO_VENUE_URLS": json.dumps({**venue_urls, **settings.venue_urls})}
    if legs:
        environment["CHRONO_LEGS"] = ",".join(legs)
    return environment


async def _database(settings: Settings, stack: contextlib.AsyncExitStack) -> str:
    """The URL of the database; an embedded one is started, and stopped with the stack."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    server = EmbeddedPostgres(settings.postgres_dir)
    dsn = await stack.enter_async_context(server.running())
    keeping = asyncio.create_task(_keep_database(server))
    stack.callback(keeping.cancel)
    return dsn


async def _keep_database(server: EmbeddedPostgres) -> None:
    """Start the embedded server again whenever it is gone, until cancelled. Its address stays."""
    while True:
        await asyncio.sleep(DATABASE_CHECK_S)
        if server.pid is None:
            log.error("postgres_ended")
            try:
                await server.stop()
                await server.start()
            except EmbeddedPostgresError as error:
                log.error("postgres_not_restarted", detail=str(error))


def _ensure_collector_key(settings: Settings) -> None:
    """Make the local collector's key at the first start, and let the core know it."""
    path = settings.private_key_file
    signer = load_private_key(path) if path.exists() else create_private_key(path)
    KnownKeys(settings.known_keys_file).add(PublicKey(signer.public_key, "local"))


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Hold the folder's lock; raises CannotStart if another Chrono has it. A dead holder holds nothing."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CannotStart(
                f"another Chrono runs on {path.parent}; stop it, or choose another --data-dir"
            ) from None
        yield


def _gateway_ready(settings: Settings) -> Callable[[], Awaitable[bool]]:
    """Whether a replica answers; with a free port, which nobody knows yet, at once."""
    if not settings.gateway_port:
        return _at_once
    return answers(f"http://{settings.gateway_host}:{settings.gateway_port}/health")


async def _at_once() -> bool:
    return True
