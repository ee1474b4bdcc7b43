"""The errors of the protocol code. Attributes hold the evidence; texts are for people.

ChronoError
└── FtsoError
    ├── MalformedMessage     the bytes are no message of the kind that was expected
    ├── OutOfRange           a number or a length does not fit its field on chain
    ├── BadTimings           a network's or a round's times contradict each other
    ├── BeforeFirstEpoch     a voting round that no reward epoch holds
    ├── ConflictingOffers    two reward offers give one feed different decimals
    ├── NoResult             a round without a result: nothing may be signed
    ├── UnknownLeaf          a proof was asked for what is not in the tree
    ├── UnrecoverableSignature  no key can have made the signature
    ├── BelowThreshold       the signatures do not weigh enough to finalize
    └── IllegalStep          a step that this round must not take
        └── Contradiction    a step that says something else than was said before
"""

from __future__ import annotations

from chrono.errors import ChronoError


class FtsoError(ChronoError):
    """Root of every refusal of the protocol code."""


class MalformedMessage(FtsoError):
    """The bytes are no message of this kind."""

    def __init__(self, kind: str, why: str) -> None:
        self.kind, self.why = kind, why
        super().__init__(f"no valid {kind}: {why}")


class OutOfRange(FtsoError):
    """A number, or a length in bytes, does not fit its field. Bounds are inclusive."""

    def __init__(self, field: str, value: object, low: int, high: int) -> None:
        self.field, self.low, self.high = field, low, high
        self.value = str(value)[:60]
        super().__init__(f"{field} is {self.value}; it must be {low} to {high}")


class BadTimings(FtsoError):
    """Times that contradict each other, such as a reveal that would close before it opens."""


class BeforeFirstEpoch(FtsoError):
    """The voting round lies before the network's first reward epoch."""

    def __init__(self, voting_round: int, first: int) -> None:
        self.voting_round, self.first = voting_round, first
        super().__init__(f"voting round {voting_round} lies before the first reward epoch's round {first}")


class ConflictingOffers(FtsoError):
    """Two reward offers of one reward epoch give the same feed different decimals."""

    def __init__(self, feed: str, decimals: int, other: int) -> None:
        self.feed, self.decimals, self.other = feed, decimals, other
        super().__init__(f"feed {feed} is offered with {decimals} and with {other} decimals")


class NoResult(FtsoError):
    """The round has no result, by the protocol's own rules."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(f"no result: {why}")


class UnknownLeaf(FtsoError):
    """The hash is not a leaf of the tree."""

    def __init__(self, leaf: bytes) -> None:
        self.leaf = leaf
        super().__init__(f"{leaf.hex()} is not a leaf of the tree")


class UnrecoverableSignature(FtsoError):
    """No public key fits the signature, whatever was signed."""


class BelowThreshold(FtsoError):
    """The signatures' weight is not above the threshold."""

    def __init__(self, weight: int, threshold: int) -> None:
        self.weight, self.threshold = weight, threshold
        super().__init__(f"signatures weigh {weight}; more than {threshold} is needed")


class IllegalStep(FtsoError):
    """The round must not take this step: it is too early, too late, or was never owed."""

    def __init__(self, voting_round: int, step: str, why: str) -> None:
        self.voting_round, self.step, self.why = voting_round, step, why
        super().__init__(f"round {voting_round} must not {step}: {why}")


class Contradiction(IllegalStep):
    """The step would say something else than this round has said before."""
