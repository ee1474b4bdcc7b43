"""What stands around the Worker in a test: simulated venues, keys, and a core that notes all it gets."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chrono.batch import Batch, decode
from chrono.errors import BatchError
from chrono.signing import KeyRing, PublicKey, key_id, open_sealed
from core.keys import verify
from core.simulation import run_simulator
from core.simulator.faults import FaultBoard, parse_fault
from core.simulator.market import RandomMarket
from station.admin import message
from tests.loopback import Asked, response, serving

CORE = "https://nexus.example.org"
VENUE_ORIGINS = {
    "https://data-api.binance.vision": "binance",
    "https://api.bybit.com": "bybit",
    "https://www.okx.com": "okx",
    "https://api.kraken.com": "kraken",
    "https://api.coinbase.com": "coinbase",
    "https://api.geckoterminal.com": "gecko",
    "https://api.dexscreener.com": "dexscreener",
}
BOUND_S = 60.0


@dataclass(frozen=True)
class Key:
    """An Ed25519 key pair and the forms in which it is handed out."""

    private: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def id(self) -> bytes:
        return key_id(self.public)

    @property
    def secret(self) -> str:
        """As it is given to the Worker: PKCS #8 in base64."""
        der = self.private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return base64.b64encode(der).decode("ascii")

    @property
    def text(self) -> str:
        return base64.b64encode(self.public).decode("ascii")

    def command(self, action: str, sent_ms: int) -> dict[str, Any]:
        """A signed admin request."""
        signature = base64.b64encode(self.private.sign(message(action, sent_ms))).decode("ascii")
        return {"action": action, "sent_ms": sent_ms, "key_id": self.id.hex(), "signature": signature}


@dataclass
class RecordingCore:
    """Checks signatures and freshness as a core does, and keeps every batch that it has taken, in order."""

    keys: list[Key]
    batches: list[Batch] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    status: int = 200
    loses_answers: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def ingest(self, asked: Asked) -> bytes:
        async with self.changed:
            self.changed.notify_all()
            if self.status != 200:
                return response(b"{}", self.status)
            try:
                ring = KeyRing([PublicKey(key.public) for key in self.keys])
                open_sealed(asked.body, ring, verify, at=time.time())
            except BatchError as error:
                self.refusals.append(error.reason)
                return response(b"{}", 401)
            self.batches.append(decode(asked.body))
            if self.loses_answers:
                self.loses_answers -= 1
                return response(b"{}", 503)
        return response(b"{}")

    async def until(self, reached: Callable[[], object]) -> None:
        async with asyncio.timeout(BOUND_S), self.changed:
            await self.changed.wait_for(lambda: bool(reached()))

    def sequences(self, venue: str) -> list[int]:
        """Of the group that asks this venue, in the order of arrival."""
        return [batch.sequence for batch in self.batches if any(r.venue == venue for r in batch.reports)]

    def once(self) -> list[Batch]:
        """The batches without those that came again."""
        return list({(batch.key_id, batch.sequence): batch for batch in self.batches}.values())

    def ticks(self) -> int:
        return sum(len(batch.ticks) for batch in self.once())

    def state(self, venue: str) -> str:
        """The last that was told of a venue."""
        told = [report for batch in self.batches for report in batch.reports if report.venue == venue]
        return told[-1].state.name.lower() if told else "unheard"


@dataclass
class World:
    """Simulated venues and a recording core, and the routes from the Worker's names to them."""

    venue_url: str
    core_url: str
    faults: FaultBoard
    core: RecordingCore
    key: Key

    def routes(self, **replaced: str | None) -> dict[str, str | None]:
        """Every venue and the core; `core=None` takes the core away."""
        venues = {origin: f"{self.venue_url}/{venue}" for origin, venue in VENUE_ORIGINS.items()}
        return {**venues, CORE: replaced.get("core", self.core_url)}

    def inject(self, fault: str) -> None:
        self.faults.add(parse_fault(fault), time.time())


@asynccontextmanager
async def simulated_venues() -> AsyncIterator[tuple[str, FaultBoard]]:
    """The venues' URL and their faults."""
    faults, stop = FaultBoard(), asyncio.Event()
    port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_simulator(RandomMarket(7), faults, 0, stop, port.set_result))
        try:
            yield f"http://127.0.0.1:{await port}", faults
        finally:
            stop.set()


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    key = Key()
    core = RecordingCore([key])
    async with simulated_venues() as (venue_url, faults), serving(core.ingest) as core_url:
        yield World(venue_url, core_url, faults, core, key)


def group_of(status: Mapping[str, Any], name: str) -> dict[str, Any]:
    return next(dict(group) for group in status["groups"] if group["name"] == name)


def total(status: Mapping[str, Any], what: str, of: str = "ticks") -> int:
    """A count over all groups: `delivered`, `dropped` or `refused_by_core`."""
    return sum(int(group[of][what]) for group in status["groups"])


def waiting(status: Mapping[str, Any]) -> int:
    return sum(int(group["backlog"]["ticks"]) for group in status["groups"])


def pretty(status: Mapping[str, Any]) -> str:
    return json.dumps(status, indent=1)
