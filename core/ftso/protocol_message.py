"""The 38 bytes that every provider signs and that the relay stores: a protocol's result of a round.

flare-specs FSP/Encoding (ProtocolMerkleRoot):

    offset  size  field
    0       1     protocol id
    1       4     voting round id
    5       1     1 if the round's random number is secure, else 0
    6       32    Merkle root
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.ftso.hashing import keccak
from core.ftso.identities import VotingRoundId
from core.ftso.wire import HASH_SIZE, Reader, checked, exactly, unsigned

MESSAGE_SIZE: Final = 38


@dataclass(frozen=True, slots=True)
class ProtocolMessage:
    """A protocol's Merkle root of one voting round; a field that does not fit raises OutOfRange."""

    protocol: int
    voting_round: VotingRoundId
    secure_random: bool
    merkle_root: bytes

    def __post_init__(self) -> None:
        checked("protocol", self.protocol, 0, 2**8 - 1)
        checked("voting round", self.voting_round, 0, 2**32 - 1)
        exactly("Merkle root", self.merkle_root)

    def encode(self) -> bytes:
        """The message's 38 bytes."""
        return (
            unsigned("protocol", self.protocol, 1)
            + unsigned("voting round", self.voting_round, 4)
            + unsigned("secure random", self.secure_random, 1)
            + self.merkle_root
        )

    @property
    def hash(self) -> bytes:
        """What is signed (see `core.ftso.signatures`): the keccak-256 of the 38 bytes."""
        return keccak(self.encode())

    @classmethod
    def take(cls, reader: Reader) -> ProtocolMessage:
        """Read the message at the reader's place; raise MalformedMessage if it is none."""
        protocol = reader.unsigned(1, "protocol")
        voting_round = VotingRoundId(reader.unsigned(4, "voting round"))
        secure = reader.unsigned(1, "secure random")
        if secure > 1:
            raise reader.refusal(f"secure random is {secure}, neither 0 nor 1")
        return cls(protocol, voting_round, secure == 1, reader.take(HASH_SIZE, "Merkle root"))

    @classmethod
    def decode(cls, raw: bytes) -> ProtocolMessage:
        """Read exactly one message; raise MalformedMessage otherwise."""
        reader = Reader("protocol message", raw)
        message = cls.take(reader)
        reader.end()
        return message
