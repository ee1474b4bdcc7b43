"""Where prices come from: the venues themselves, or something on this machine that stands in for them.

A market opens right before the collector starts and says at which base URLs its venues are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from chrono.feeds import VENUES
from core.net import answers, free_port
from core.supervisor import Child, Supervisor

SIMULATOR_GRACE_S: Final = 1.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Opened:
    """The venues' base URLs (empty: their own) and the legs to collect (empty: all)."""

    venue_urls: Mapping[str, str] = field(default_factory=dict)
    legs: tuple[str, ...] = ()


class Market(Protocol):
    """A market that can be opened once."""

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened: ...


class LiveMarket:
    """The venues themselves."""

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened:  # noqa: ARG002
        return Opened()


@dataclass(frozen=True, slots=True)
class SimulatedMarket:
    """A simulator in a process of its own. `arguments` go to `chrono simulate`."""

    arguments: Sequence[str]
    environment: Mapping[str, str]

    async def open(self, supervisor: Supervisor, stack: AsyncExitStack) -> Opened:  # noqa: ARG002
        port = free_port("127.0.0.1", 0)
        arguments = ["simulate", *self.arguments, "--port", str(port)]
        ready = answers(f"http://127.0.0.1:{port}/_truth")
        await supervisor.start(
            Child("simulator", arguments, self.environment, ready, grace_s=SIMULATOR_GRACE_S)
        )
        log.info("venues_simulated", url=f"http://127.0.0.1:{port}")
        return Opened(simulator_urls(port))


def simulator_urls(port: int) -> dict[str, str]:
    """The venues' base URLs at a simulator on this machine."""
    return {venue: f"http://127.0.0.1:{port}/{venue}" for venue in VENUES}
