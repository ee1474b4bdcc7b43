"""Who misbehaves: signals add up by address and leak away; too many make a block, longer each time.

Pure and bounded: at most ENTRIES_MAX addresses, blocks and keys each are known, the longest quiet one is
forgotten first. An IPv6 caller is its /64. Does not know what a request is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

ENTRIES_MAX: Final = 20_000
THRESHOLD: Final = 100.0
LEAK_PER_S: Final = 0.5
BLOCK_S_MIN: Final = 60.0
BLOCK_S_MAX: Final = 86_400.0
STRIKE_FACTOR: Final = 4.0
NETWORKS_MAX: Final = 20
NETWORKS_WINDOW_S: Final = 600.0


class Signal(StrEnum):
    """What is suspicious."""

    BAD_KEY = "bad-key"
    ENDED_KEY = "ended-key"
    SPREAD_KEY = "spread-key"
    SCAN = "scan"
    FLOOD = "flood"
    PREFLIGHT = "preflight"
    OVERSIZED = "oversized"
    SLOW_BODY = "slow-body"
    FORGED_BATCH = "forged-batch"
    REPLAYED_BATCH = "replayed-batch"


WEIGHTS: Final[Mapping[Signal, float]] = MappingProxyType(
    {
        Signal.BAD_KEY: 10.0,
        Signal.ENDED_KEY: 1.0,
        Signal.SPREAD_KEY: 0.0,  # the key's owner is to be told; the addresses did nothing
        Signal.SCAN: 5.0,
        Signal.FLOOD: 0.2,  # twice the free rate is blocked after three minutes, ten times after ten seconds
        Signal.PREFLIGHT: 0.05,  # a page's visitor sends one an address in two hours: ten a second are borne
        Signal.OVERSIZED: 10.0,
        Signal.SLOW_BODY: 10.0,
        Signal.FORGED_BATCH: 0.0,  # a collector with a wrong clock or key must not shut out its neighbours
        Signal.REPLAYED_BATCH: 0.0,
    }
)


@dataclass(frozen=True, slots=True)
class Block:
    """An address that is not served until `until`. `strikes` counts its blocks so far."""

    address: str
    reason: str
    since: float
    until: float
    strikes: int = 1


@dataclass(slots=True)
class _Watched:
    score: float
    at: float
    strikes: int = 0


class Watch:
    """What addresses and keys did lately, and the blocks that stand."""

    def __init__(self, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._watched: OrderedDict[str, _Watched] = OrderedDict()
        self._blocks: OrderedDict[str, Block] = OrderedDict()
        self._networks: OrderedDict[str, OrderedDict[str, float]] = OrderedDict()

    def note(self, address: str, signal: Signal, at: float) -> Block | None:
        """Add a signal up; the block that it makes, if it does."""
        weight = WEIGHTS[signal]
        if not weight:
            return None
        watched = self._watched.get(address)
        if watched is None:
            watched = self._watched[address] = _Watched(0.0, at)
        self._watched.move_to_end(address)
        if len(self._watched) > self._entries_max:
            self._watched.popitem(last=False)
        leaked = max(0.0, at - watched.at) * LEAK_PER_S
        watched.score, watched.at = max(0.0, watched.score - leaked) + weight, max(at, watched.at)
        if watched.score < THRESHOLD:
            return None
        watched.score, watched.strikes = 0.0, watched.strikes + 1
        block_s = min(BLOCK_S_MAX, BLOCK_S_MIN * STRIKE_FACTOR ** min(watched.strikes - 1, 10))
        block = Block(address, signal.value, at, at + block_s, watched.strikes)
        self._put(block)
        return block

    def blocked(self, address: str, at: float) -> Block | None:
        """The block that stands for an address."""
        block = self._blocks.get(address)
        if block is None or block.until > at:
            return block
        del self._blocks[address]
        return None

    def lift(self, address: str) -> None:
        """Forget an address and its block."""
        self._blocks.pop(address, None)
        self._watched.pop(address, None)

    def learn(self, blocks: Iterable[Block]) -> None:
        """Take the blocks that all replicas share; they replace what is known here."""
        self._blocks.clear()
        for block in blocks:
            self._put(block)
            watched = self._watched.get(block.address)
            if watched is not None:
                watched.strikes = max(watched.strikes, block.strikes)

    def spread(self, prefix: str, network: str, at: float) -> bool:
        """Note where a key is used from; true once when it is used from too many networks at a time."""
        seen = self._networks.get(prefix)
        if seen is None:
            seen = self._networks[prefix] = OrderedDict()
            if len(self._networks) > self._entries_max:
                self._networks.popitem(last=False)
        if network in seen:
            seen[network] = at
            seen.move_to_end(network)
            return False
        while seen and next(iter(seen.values())) < at - NETWORKS_WINDOW_S:
            seen.popitem(last=False)
        seen[network] = at
        if len(seen) <= NETWORKS_MAX:
            return False
        seen.clear()
        return True

    def _put(self, block: Block) -> None:
        self._blocks[block.address] = block
        self._blocks.move_to_end(block.address)
        if len(self._blocks) > self._entries_max:
            self._blocks.popitem(last=False)
