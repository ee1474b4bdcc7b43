"""`chrono up`: everything on one machine, from an empty folder to a page with prices.

Knows which processes make a whole Chrono and in which order they start. Each runs `python -m core ...` with
its settings in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import structlog

from chrono.errors import ChronoError
from chrono.feeds import VENUES
from chrono.signing import PublicKey
from core.keys import KnownKeys, create_private_key, load_private_key
from core.settings import Settings
from core.storage.embedded import EmbeddedPostgres
from core.supervisor import Child, Supervisor

COLLECTOR_GRACE_S: Final = 1.5
CORE_GRACE_S: Final = 1.8
SIMULATOR_GRACE_S: Final = 0.4

log = structlog.get_logger()


class CannotStart(ChronoError):
    """What keeps Chrono from starting, and what to do about it."""


@dataclass(frozen=True, slots=True)
class MarketServer:
    """The arguments of the process that stands in for the venues; None of it in a live market."""

    arguments: Sequence[str]


async def run_up(
    settings: Settings,
    market_server: MarketServer | None,
    stop: asyncio.Event,
    announce: Callable[[str, str], None],
) -> None:
    """Start all of it, call `announce(url, where the data is)`, and stop all of it when `stop` is set.

    Raises CannotStart or ChildFailed.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with _only_one(settings.data_dir / "lock"):
        _ensure_collector_key(settings)
        port = _free_port(settings.host, settings.port)
        async with contextlib.AsyncExitStack() as stack:
            database_url = await _database(settings, stack)
            supervisor = Supervisor()
            stack.push_async_callback(supervisor.stop)
            environment = {"DATABASE_URL": database_url, "CHRONO_PORT": str(port)}
            children = _children(settings, port, environment, market_server)
            for child in children:
                starting = asyncio.create_task(supervisor.start(child))
                stopped = asyncio.create_task(stop.wait())
                await asyncio.wait({starting, stopped}, return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                if not starting.done():
                    starting.cancel()
                    return
                starting.result()
            announce(f"http://{settings.host}:{port}", str(settings.data_dir))
            await stop.wait()
            log.info("stopping")


def _children(
    settings: Settings, port: int, environment: Mapping[str, str], market_server: MarketServer | None
) -> list[Child]:
    """The processes in the order of their start."""
    everything = {**settings.environment(), **environment}
    children = []
    if market_server is not None:
        market_port = _free_port("127.0.0.1", 0)
        market_url = f"http://127.0.0.1:{market_port}"
        everything["CHRONO_VENUE_URLS"] = json.dumps({venue: f"{market_url}/{venue}" for venue in VENUES})
        children.append(
            Child(
                "simulator",
                [*market_server.arguments, "--port", str(market_port)],
                everything,
                _answers(f"{market_url}/_truth"),
                grace_s=SIMULATOR_GRACE_S,
            )
        )
    core_url = f"http://{settings.host}:{port}"
    children.append(
        Child("core", ["serve"], everything, _answers(f"{core_url}/health"), grace_s=CORE_GRACE_S)
    )
    children.append(Child("collector", ["collect"], everything, _at_once, grace_s=COLLECTOR_GRACE_S))
    return children


async def _database(settings: Settings, stack: contextlib.AsyncExitStack) -> str:
    """The URL of the database; an embedded one is started and stopped with the stack."""
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    return await stack.enter_async_context(EmbeddedPostgres(settings.postgres_dir).running())


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


def _free_port(host: str, port: int) -> int:
    """The port if it is free, or any free one for 0; raises CannotStart."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotStart(
                f"cannot listen on {host}:{port} ({error.strerror}); choose another with --port"
            ) from None
        return int(probe.getsockname()[1])


def _answers(url: str) -> Callable[[], Awaitable[bool]]:
    async def ready() -> bool:
        try:
            async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
                return (await client.get(url)).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    return ready


async def _at_once() -> bool:
    return True
