"""`chrono gateway serve`: several replicas behind one port, kept alive.

Holds the listening socket, which every replica inherits: a connection waits for whichever takes it, also
while one of them starts again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from core.net import answers, listening
from core.parts import NotConfigured
from core.settings import Settings
from core.supervisor import Child, Supervisor

GRACE_S: Final = 3.5

log = structlog.get_logger()


async def run_replicas(
    settings: Settings,
    processes: int,
    stop: asyncio.Event,
    announce: Callable[[str], None] = lambda _: None,
) -> None:
    """Run so many replicas until `stop` is set; `announce` is called with the address once one answers.

    Raises NotConfigured, PortTaken or ChildFailed.
    """
    for name, value in (("DATABASE_URL", settings.database_url), ("REDIS_URL", settings.redis_url)):
        if value is None:
            raise NotConfigured(f"{name} is not set; replicas need it")
    with listening(settings.gateway_host, settings.gateway_port) as listener:
        url = f"http://{settings.gateway_host}:{listener.getsockname()[1]}"
        supervisor = Supervisor()
        try:
            for place in range(processes):
                await supervisor.start(_replica(settings, place, listener.fileno(), url))
            log.info("replicas_started", processes=processes, url=url, pids=supervisor.pids())
            announce(url)
            await stop.wait()
        finally:
            await supervisor.stop()


def _replica(settings: Settings, place: int, descriptor: int, url: str) -> Child:
    return Child(
        f"replica-{place}",
        ["gateway", "replica", "--descriptor", str(descriptor), "--place", str(place)],
        settings.environment(),
        answers(f"{url}/health"),
        grace_s=GRACE_S,
        descriptors=(descriptor,),
    )
