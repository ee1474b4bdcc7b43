"""The decision at the entrance: who asks, whether they may, and what it costs them.

Holds the keys of the whole service in memory, so that no request waits for the database and nobody can make
it work by asking for keys that do not exist. Knows no HTTP. In this order: a block, the key, its scope, the
limits. A key that is refused costs its address tokens, so that guessing is slowed before it is blocked.
"""

from __future__ import annotations

import hmac
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from core.gateway.bucket import Verdict, Want
from core.gateway.callers import Place
from core.gateway.errors import (
    AddressBlocked,
    KeyRefused,
    KeyRequired,
    QuotaSpent,
    RateLimited,
    ScopeMissing,
    TooManySockets,
)
from core.gateway.keys import DEFAULT_SCOPES, SCOPES, ApiKey, Flaw, Refused, judge
from core.gateway.limiter import Limiter
from core.gateway.meter import Meter
from core.gateway.tiers import LIMITS, Limits, Tier
from core.gateway.watch import Block, Signal, Watch

REFUSAL_COST: Final = 5
"""Tokens of the free tier that a refused key costs its address: one guess a second, sustained."""

NEW_BLOCKS_MAX: Final = 1_000
ADMIN: Final = "operator"
_ENDED: Final = {Flaw.REVOKED: "was revoked", Flaw.EXPIRED: "has expired"}


@dataclass(frozen=True, slots=True)
class Asking:
    """What the entrance is asked. `scope` is None where any key will do."""

    place: Place
    key: str | None
    page: bool
    scope: str | None
    cost: int = 1


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who may pass. `who` is whose limits count; `verdict` is None for those without limits."""

    who: str
    limits: Limits
    key: ApiKey | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something suspicious, for log and metrics. `block` is what it led to."""

    signal: Signal
    network: str
    detail: str
    block: Block | None


class Entrance:
    """Admits or turns away. `anonymous` says whether callers without a key are served at all."""

    def __init__(
        self,
        *,
        limiter: Limiter,
        meter: Meter,
        clock: Callable[[], float],
        watch: Watch | None = None,
        anonymous: bool = True,
        admin_token: str | None = None,
        tell: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.meter = meter
        self.watch = watch or Watch()
        self.new_blocks: deque[Block] = deque(maxlen=NEW_BLOCKS_MAX)
        self._limiter, self._clock, self._tell = limiter, clock, tell
        self._anonymous, self._admin_token = anonymous, admin_token
        self._keys: dict[str, ApiKey] = {}
        self._sockets: Counter[str] = Counter()

    @property
    def keys_known(self) -> int:
        """How many keys are held."""
        return len(self._keys)

    def learn(self, keys: Iterable[ApiKey], *, whole: bool = True) -> None:
        """Take keys that are new or have changed; a `whole` replaces all those known before."""
        if whole:
            self._keys = {}
        self._keys.update((key.prefix, key) for key in keys)

    async def admit(self, asking: Asking) -> Admitted:
        """Raises a TurnedAway."""
        at = self._clock()
        place = asking.place
        if not place.ours:
            self._check_block(place, at)
        key = await self._key(asking, at)
        if asking.scope is not None:
            self._check_scope(asking, key)
        who, limits = self._whose(asking, key)
        if not limits.limited:
            return Admitted(who, limits, key, None)
        verdict = await self._limiter.take(who, limits, asking.cost)
        if not verdict.allowed:
            self.note(place, Signal.FLOOD, who)
            raise _refusal(limits, verdict)
        return Admitted(who, limits, key, verdict)

    def preflight(self, place: Place) -> None:
        """A browser asks before it asks. It takes no token, and adds up to a block. Raises AddressBlocked."""
        if not place.ours:
            self._check_block(place, self._clock())
        self.note(place, Signal.PREFLIGHT)

    @contextmanager
    def socket(self, admitted: Admitted) -> Iterator[None]:
        """Hold one of the caller's streams; raises TooManySockets. Each process counts its own."""
        who, limits = admitted.who, admitted.limits
        if self._sockets[who] >= limits.sockets:
            raise TooManySockets(limits)
        self._sockets[who] += 1
        try:
            yield
        finally:
            self._sockets[who] -= 1
            if not self._sockets[who]:
                del self._sockets[who]

    def note(self, place: Place, signal: Signal, detail: str = "") -> None:
        """Something suspicious came from there. Our own networks are told of and never blocked."""
        block = None if place.ours else self.watch.note(place.network, signal, self._clock())
        if block is not None:
            self.new_blocks.append(block)
        self._tell(Event(signal, place.network, detail, block))

    def _check_block(self, place: Place, at: float) -> None:
        block = self.watch.blocked(place.network, at)
        if block is not None:
            raise AddressBlocked(block.reason, block.until - at)

    async def _key(self, asking: Asking, at: float) -> ApiKey | None:
        if asking.key is None or self._is_admin(asking.key):
            return None
        found = judge(asking.key, self._keys.get, at)
        if isinstance(found, ApiKey):
            if self.watch.spread(found.prefix, asking.place.network, at):
                self.note(asking.place, Signal.SPREAD_KEY, found.prefix)
            return found
        await self._refuse_key(asking.place, found)
        raise KeyRefused(_ENDED.get(found.flaw, ""))

    async def _refuse_key(self, place: Place, refused: Refused) -> None:
        self.note(place, Signal.ENDED_KEY if refused.prefix else Signal.BAD_KEY, refused.prefix)
        if place.ours:
            return
        limits = LIMITS[Tier.FREE]
        verdict = await self._limiter.take(f"refused:{place.network}", limits, REFUSAL_COST)
        if not verdict.allowed:
            raise _refusal(limits, verdict)

    def _check_scope(self, asking: Asking, key: ApiKey | None) -> None:
        if asking.scope not in SCOPES:
            raise ScopeMissing(str(asking.scope))
        if self._is_admin(asking.key):
            return
        if key is None and asking.scope not in DEFAULT_SCOPES:
            raise KeyRequired
        if key is not None and asking.scope not in key.scopes:
            raise ScopeMissing(asking.scope)

    def _whose(self, asking: Asking, key: ApiKey | None) -> tuple[str, Limits]:
        if self._is_admin(asking.key):
            return ADMIN, LIMITS[Tier.INTERNAL]
        if key is not None:
            return f"account:{key.account}", LIMITS[key.tier]
        if asking.place.ours:
            return f"address:{asking.place.network}", LIMITS[Tier.INTERNAL]
        if not self._anonymous:
            raise KeyRequired
        kind = Tier.PAGE if asking.page else Tier.FREE
        return f"{kind}:{asking.place.network}", LIMITS[kind]

    def _is_admin(self, text: str | None) -> bool:
        if self._admin_token is None or text is None:
            return False
        return hmac.compare_digest(text.encode(), self._admin_token.encode())


def _refusal(limits: Limits, verdict: Verdict) -> RateLimited | QuotaSpent:
    return (QuotaSpent if verdict.want is Want.QUOTA else RateLimited)(limits, verdict)
