"""Why a caller is turned away. Attributes hold the evidence; texts never hold a secret.

TurnedAway
├── KeyRefused          401  no such key, a wrong secret, or a key that has ended
├── KeyRequired         401  nobody is served here without a key
├── ScopeMissing        403  the key is valid and may not do this
├── AddressBlocked      403  the address has misbehaved
├── RateLimited         429  too fast
├── QuotaSpent          429  enough for today
└── TooManySockets      429  as many streams as the tier allows are open
"""

from __future__ import annotations

from chrono.errors import ChronoError
from core.gateway.bucket import Verdict
from core.gateway.tiers import Limits


class TurnedAway(ChronoError):
    """A request that is not served. `retry_after_s` is None when waiting does not help."""

    retry_after_s: float | None = None


class KeyRefused(TurnedAway):
    """The key is not accepted. `why` is told to the holder of the right secret only."""

    def __init__(self, why: str = "") -> None:
        self.why = why
        super().__init__(f"the API key {why}" if why else "the API key is not accepted")


class KeyRequired(TurnedAway):
    """This needs a key."""

    def __init__(self) -> None:
        super().__init__("send an API key as `Authorization: Bearer chr_...` or `X-API-Key`")


class ScopeMissing(TurnedAway):
    """The key lacks a scope."""

    def __init__(self, scope: str) -> None:
        self.scope = scope
        super().__init__(f"the key lacks the scope {scope}")


class AddressBlocked(TurnedAway):
    """The address is blocked for a while."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        self.reason, self.retry_after_s = reason, retry_after_s
        super().__init__(f"this address is blocked for {reason}; the operator can lift it")


class RateLimited(TurnedAway):
    """The bucket is empty."""

    def __init__(self, limits: Limits, verdict: Verdict) -> None:
        self.limits, self.verdict = limits, verdict
        self.tier, self.per_s, self.burst = limits.tier.value, limits.per_s, limits.burst
        self.retry_after_s = verdict.retry_after_s
        super().__init__(
            f"the tier {self.tier} allows {self.per_s:g} requests a second and {self.burst} at once"
        )


class QuotaSpent(TurnedAway):
    """The day's quota is used up."""

    def __init__(self, limits: Limits, verdict: Verdict) -> None:
        self.limits, self.verdict = limits, verdict
        self.tier, self.per_day = limits.tier.value, limits.per_day
        self.retry_after_s = verdict.retry_after_s
        super().__init__(f"the tier {self.tier} allows {self.per_day} requests a day (UTC)")


class TooManySockets(TurnedAway):
    """Too many streams are open."""

    def __init__(self, limits: Limits) -> None:
        self.tier, self.sockets, self.retry_after_s = limits.tier.value, limits.sockets, 5.0
        super().__init__(f"the tier {self.tier} allows {self.sockets} open streams")
