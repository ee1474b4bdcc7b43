"""What is appended to a submission's selector: messages of several protocols, one after the other.

flare-specs FSP/Encoding (PayloadMessage), FSP/Submission. Submission's functions take no parameters; calldata
is the 4-byte selector and then, for each protocol:

    offset  size  field
    0       1     protocol id
    1       4     voting round id
    5       2     length n of the payload
    7       n     the protocol's own message

One broken message spoils the whole transaction, as it does for the reference data provider and client. Of
several messages of one protocol the last that is valid counts; who reads a payload applies that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.ftso.hashing import keccak
from core.ftso.identities import VotingRoundId
from core.ftso.wire import Reader, checked, unsigned

SELECTOR_SIZE: Final = 4


@dataclass(frozen=True, slots=True)
class Message:
    """One protocol's message for one voting round; a number or payload too large raises OutOfRange."""

    protocol: int
    voting_round: VotingRoundId
    payload: bytes

    def __post_init__(self) -> None:
        checked("protocol", self.protocol, 0, 2**8 - 1)
        checked("voting round", self.voting_round, 0, 2**32 - 1)
        checked("length of payload", len(self.payload), 0, 2**16 - 1)

    def encode(self) -> bytes:
        """The message's bytes within a submission."""
        return (
            unsigned("protocol", self.protocol, 1)
            + unsigned("voting round", self.voting_round, 4)
            + unsigned("length of payload", len(self.payload), 2)
            + self.payload
        )


def encode_messages(messages: Iterable[Message]) -> bytes:
    """The bytes that follow the selector."""
    return b"".join(message.encode() for message in messages)


def decode_messages(raw: bytes) -> tuple[Message, ...]:
    """All messages in the bytes that follow a selector; raise MalformedMessage if any is cut short."""
    reader = Reader("payload", raw)
    messages = []
    while reader.left:
        protocol = reader.unsigned(1, "protocol")
        voting_round = VotingRoundId(reader.unsigned(4, "voting round"))
        size = reader.unsigned(2, "length of payload")
        messages.append(Message(protocol, voting_round, reader.take(size, "payload")))
    return tuple(messages)


def decode_calldata(calldata: bytes) -> tuple[Message, ...]:
    """All messages of a submission's calldata, whatever its selector; raise MalformedMessage as above."""
    reader = Reader("submission", calldata)
    reader.take(SELECTOR_SIZE, "selector")
    return decode_messages(reader.rest())


def selector(signature: str) -> bytes:
    """The first four bytes of the hash of a function's signature, such as `submit1()`."""
    return keccak(signature.encode("ascii"))[:SELECTOR_SIZE]
