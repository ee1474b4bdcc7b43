"""What the API asks of the core, in the API's words. The composition root fills it in.

Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from prometheus_client import CollectorRegistry

from core.aggregation.estimates import Estimates
from core.api.gate import Gateway
from core.forge.anomaly.watch import Anomaly
from core.forge.report import FeedSkill, LegReport
from core.ftso.identities import VotingRoundId
from core.ftso.timings import Step
from core.messages import PassMessage
from core.ports import Bus, EstimateStore, HeardReport, Receipt, RouteReport
from core.provider.score import RoundScore
from core.provider.shadow import Comparison
from core.signed.passes import PassSigner


class Ingest(Protocol):
    """Takes batches in."""

    async def receive(self, sealed: bytes, at: float) -> Receipt:
        """Verify and commit a batch.

        Raises chrono.errors.BatchError, core.ports.StoreUnavailable or core.ports.SequenceConflict.
        """
        ...


class Rounds(Protocol):
    """Knows the values that stand for a voting round."""

    async def values(self, voting_round: int, at: float) -> Mapping[str, float]:
        """US dollars by feed, the same on every repeat; a feed without a price is absent.

        Raises core.ports.RoundNotOpen, RoundMissed or StoreUnavailable.
        """
        ...


class Volumes(Protocol):
    """Knows what was traded. Called as a function."""

    def __call__(self, feed: str, window_s: int, at: float) -> Mapping[str, float]:
        """US dollars traded by venue in the last `window_s` seconds; empty for an unknown feed."""
        ...


class RoundBook(Protocol):
    """Knows how this provider's rounds went. Every call raises core.ports.StoreUnavailable."""

    async def newest(self) -> VotingRoundId | None:
        """The newest round that anything is known of."""
        ...

    async def find(self, voting_round: VotingRoundId) -> RoundScore | None:
        """A finished round, or None."""
        ...

    async def since(self, voting_round: VotingRoundId, limit: int) -> Sequence[RoundScore]:
        """Finished rounds from `voting_round` on, newest first, at most `limit`."""
        ...

    async def steps(self, voting_round: VotingRoundId) -> Mapping[int, Mapping[Step, float]]:
        """By round from `voting_round` on, when each step was seen to be done; 100 rounds at most."""
        ...


class ShadowBook(Protocol):
    """Knows how our values compared with others'. Every call raises core.ports.StoreUnavailable."""

    async def endpoints(self) -> Sequence[str]:
        """With whom we were compared, the newest first."""
        ...

    async def newest(self, endpoint: str, limit: int) -> Sequence[Comparison]:
        """The newest comparisons with an endpoint, oldest first."""
        ...


class Routes(Protocol):
    """Knows by which collector each leg came."""

    def reports(self) -> Sequence[RouteReport]:
        """How every collector delivers."""
        ...

    def of_legs(self) -> Sequence[str | None]:
        """By leg, in the order of `chrono.feeds.LEGS`, the name of the collector it came by last."""
        ...

    def name(self, key_id: str) -> str:
        """What the collector with that key is called."""
        ...


class Learning(Protocol):
    """Knows what the estimator has learned. Answers from memory."""

    def state(self) -> Mapping[str, object]:
        """What the model is and how it came to be."""
        ...

    def legs(self) -> Sequence[LegReport]:
        """What each leg has shown itself to be, in the order of `chrono.feeds.LEGS`."""
        ...

    def anomalies(self) -> Sequence[Anomaly]:
        """Anomalies that last, then those that are over, newest first."""
        ...

    def skills(self) -> Sequence[FeedSkill]:
        """How well each feed's medians are foretold, in the order of `chrono.feeds.FEEDS`."""
        ...

    def coverage(self) -> Mapping[str, tuple[int, float]]:
        """By feed, the number of rounds whose median was compared with a band, and the share inside."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicServices:
    """What the public routes need, in the core and in a replica of the gateway.

    `ready` answers from memory: check name -> (ok, detail). `about` are further members of `/health`, such as
    the network and the market it serves. Without a `gateway` nobody is limited and there are no keys.
    `cors_origins` are those whose pages may read `/v1`.
    """

    estimates: EstimateStore
    bus: Bus
    ready: Callable[[], Mapping[str, tuple[bool, str]]]
    clock: Callable[[], float]
    registry: CollectorRegistry
    about: Mapping[str, str] = field(default_factory=dict)
    portal_dir: Path | None = None
    gateway: Gateway | None = None
    cors_origins: Sequence[str] = ("*",)
    price_signer: PassSigner | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Services(PublicServices):
    """What the core's whole API needs."""

    ingest: Ingest
    latest: Callable[[], Estimates | None]
    last_pass: Callable[[], PassMessage | None]
    rounds: Rounds
    volumes: Volumes
    venues: Callable[[float], Sequence[HeardReport]]
    routes: Routes
    round_book: RoundBook | None = None
    shadow_book: ShadowBook | None = None
    learning: Learning | None = None
