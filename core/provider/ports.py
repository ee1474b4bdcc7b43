"""What the provider asks of the world: a durable record under a lease, a chain, and who signs results.

Times are Unix seconds. Every port tells what its caller may rely on after a crash.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Protocol

from chrono.errors import ChronoError
from core.ftso.duties import EpochFacts, Owed
from core.ftso.identities import Address, RewardEpochId, VotingRoundId
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.reveal import Reveal
from core.ftso.reward_data import RewardData
from core.ftso.round import Record
from core.ftso.signatures import Signature
from core.ftso.submissions import Submission
from core.ftso.timings import Step
from core.provider.reward_epoch import RewardEpoch
from core.provider.score import RoundScore


class LeaseHeld(ChronoError):
    """Another instance of the same provider works; this one has to stand by."""

    def __init__(self, provider: str, holder: str) -> None:
        self.provider, self.holder = provider, holder
        super().__init__(f"{holder} works as {provider}")


class LeaseLost(ChronoError):
    """This instance may write nothing any more: its lease is gone, or somebody else has a later one."""


class ChainUnavailable(ChronoError):
    """No endpoint gave a usable answer. Nothing is known of what happened to a transaction."""


class Refused(ChronoError):
    """The chain answered and did not take the transaction; the text says why."""


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a round's commit is made of, once it is durable."""

    reveal: Reveal
    commit_hash: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is durable of one round."""

    voting_round: VotingRoundId
    frozen: Frozen | None = None
    records: Mapping[Step, Record] = field(default_factory=lambda: MappingProxyType({}))


class Ledger(Protocol):
    """One provider's durable record, writable by the holder of its lease only.

    On return from a write it is on disk. Every call raises LeaseLost once the lease is gone, and
    StoreUnavailable when nothing can be stored now, for instance on a full disk.
    """

    async def load(self, since: VotingRoundId) -> Sequence[Kept]:
        """The rounds from `since` on, in order."""
        ...

    async def freeze(self, voting_round: VotingRoundId, at: float, frozen: Frozen) -> Frozen:
        """Keep what a round will commit to unless something stands already; return what stands."""
        ...

    async def note(self, voting_round: VotingRoundId, step: Step, record: Record) -> bytes:
        """Keep how far a step has come; return the content that stands.

        A step's first content stands for ever: if the answer differs from `record.content`, nothing was
        written and the step must not be taken.
        """
        ...

    async def load_duties(self, since: RewardEpochId) -> Mapping[Owed, Record]:
        """The duties of the reward epochs from `since` on that were tried."""
        ...

    async def note_duty(self, owed: Owed, record: Record) -> bytes:
        """Keep how far a duty has come; return the content that stands. The first stands, as in `note`."""
        ...

    async def keep_score(self, score: RoundScore) -> None:
        """Keep a finished round's results and our score; the same round again changes nothing."""
        ...


class Ledgers(Protocol):
    """Where ledgers are kept."""

    def lease(self, provider: str, holder: str) -> AbstractAsyncContextManager[Ledger]:
        """The provider's ledger, under its lease until the context ends; raises LeaseHeld at once.

        When the holder dies, however it dies, the lease is free.
        """
        ...


class Function(StrEnum):
    """The contract functions that carry a provider's work."""

    SUBMIT1 = "submit1"
    SUBMIT2 = "submit2"
    SUBMIT_SIGNATURES = "submitSignatures"
    RELAY = "relay"
    PUBLISH = "publish"


class View(Protocol):
    """What the chain shows, as of its newest block that was read. Does no I/O."""

    @property
    def head_at(self) -> int:
        """The newest block's timestamp."""
        ...

    def submissions(self, function: Function, start: int, end: int) -> Sequence[Submission]:
        """The submission transactions with start <= block time < end, in the chain's order."""
        ...

    def covers(self, start: int) -> bool:
        """Whether every block from `start` to the newest was read."""
        ...

    @property
    def reorganisations(self) -> int:
        """How often blocks that had been read were replaced by others."""
        ...

    def newest_reward_epoch(self) -> RewardEpochId | None:
        """The last reward epoch whose signing policy the relay knows."""
        ...

    def finalized(self, voting_round: VotingRoundId) -> ProtocolMessage | None:
        """The FTSO's result of a round as the relay has it."""
        ...

    def reward_epoch_of(self, voting_round: VotingRoundId) -> RewardEpoch | None:
        """The reward epoch that holds the round, or None while its signing policy is not known."""
        ...

    def facts(self) -> Mapping[RewardEpochId, EpochFacts]:
        """What else the chain shows of the last reward epochs and of the next."""
        ...


class Chain(Protocol):
    """A chain to read from and to write to with this provider's accounts."""

    async def observe(self, since: int) -> View:
        """Read what is new; the view reaches back to the time `since`. Raises ChainUnavailable."""
        ...

    async def want(self, function: Function, voting_round: VotingRoundId, calldata: bytes, at: float) -> None:
        """See to it that the transaction gets into a block.

        Asking again for the same function and round is the same wish: it is sent again, or outbid if it has
        waited too long. Return means that an endpoint took it, not that it is in a block. Raises
        ChainUnavailable or Refused.
        """
        ...


class ResultSigner(Protocol):
    """Signs results with the signing policy key, wherever that is kept."""

    @property
    def address(self) -> Address: ...

    async def sign(self, hashed: bytes) -> Signature:
        """The signature of a 32-byte hash behind Ethereum's personal-message prefix."""
        ...


class System(Protocol):
    """The contracts of a reward epoch's administration, with this provider's accounts to call them."""

    def view(self) -> View:
        """The chain as it was read last; whoever does the rounds keeps it fresh."""
        ...

    async def voter_of(self, signer: Address) -> Address | None:
        """Whose signing policy address that is, or None. Raises ChainUnavailable."""
        ...

    async def shared_by(self, voter: Address) -> frozenset[Address]:
        """Through whom rewards by weight reach the voter: its delegation address."""
        ...

    async def call(self, owed: Owed, calldata: bytes, at: float) -> None:
        """See to it that the duty's transaction gets into a block, if the chain would take it.

        The same wish as in Chain. Raises Refused with the chain's reason, or ChainUnavailable.
        """
        ...

    async def would_pay(self, calldata: bytes) -> int:
        """What a claim would pay now, in wei. Raises Refused or ChainUnavailable."""
        ...


RewardSource = Callable[[RewardEpochId], Awaitable[RewardData | None]]
"""The published rewards of a reward epoch, checked in themselves; None while there are none."""

FeedValues = Callable[[VotingRoundId, float], Awaitable[Mapping[str, float]]]
"""US dollars by feed name for a round, the same on every repeat; a feed without a price is absent."""
