"""The finalization: signatures enough, in the bytes that Relay.relay() reads behind its selector.

flare-specs FSP/Encoding (Finalization), FSP/Finalization:

    signing policy   43 + 22·n bytes
    message          38 bytes; or 00 and a new signing policy, to relay a policy to another chain
    count            2 bytes
    signatures       67 bytes each: v (27 or 28), r, s, the signer's index (2); indices ascending

The relay reverts on an index out of order, on a signature that is not its index's, and if the weights do not
exceed the threshold; so `gather` lets through only what it will accept, and no more than it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from core.ftso.errors import BelowThreshold, UnrecoverableSignature
from core.ftso.payload import SELECTOR_SIZE, selector
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.signatures import Signature
from core.ftso.signing_policy import SigningPolicy
from core.ftso.wire import Reader, checked, unsigned

_NEW_POLICY: Final = b"\x00"  # where a message has its protocol id


@dataclass(frozen=True, slots=True)
class IndexedSignature:
    """A signature and the place of its signer in the signing policy."""

    index: int
    signature: Signature

    def __post_init__(self) -> None:
        checked("signer's index", self.index, 0, 2**16 - 1)

    def encode(self) -> bytes:
        """The entry's 67 bytes."""
        return self.signature.encode() + unsigned("signer's index", self.index, 2)

    @classmethod
    def take(cls, reader: Reader) -> IndexedSignature:
        """Read 67 bytes at the reader's place; raise MalformedMessage if there are fewer."""
        signature = Signature.take(reader)
        return cls(reader.unsigned(2, "signer's index"), signature)


@dataclass(frozen=True, slots=True)
class Finalization:
    """What one relay transaction says. `message` is a round's result, or a new signing policy."""

    policy: SigningPolicy
    message: ProtocolMessage | SigningPolicy
    signatures: tuple[IndexedSignature, ...]

    def __post_init__(self) -> None:
        if isinstance(self.message, ProtocolMessage):
            checked("protocol", self.message.protocol, 1, 2**8 - 1)  # 0 would announce a policy
        checked("number of signatures", len(self.signatures), 0, 2**16 - 1)

    @property
    def signed_hash(self) -> bytes:
        """What the signatures are of."""
        return self.message.hash

    def encode(self) -> bytes:
        """The bytes behind the selector."""
        announced = b"" if isinstance(self.message, ProtocolMessage) else _NEW_POLICY
        count = unsigned("number of signatures", len(self.signatures), 2)
        entries = b"".join(entry.encode() for entry in self.signatures)
        return self.policy.encode() + announced + self.message.encode() + count + entries

    def calldata(self) -> bytes:
        """The whole transaction's data."""
        return selector("relay()") + self.encode()

    @classmethod
    def decode(cls, raw: bytes) -> Finalization:
        """Read the bytes behind the selector; raise MalformedMessage otherwise."""
        reader = Reader("finalization", raw)
        policy = SigningPolicy.take(reader)
        message: ProtocolMessage | SigningPolicy
        if reader.peek() == _NEW_POLICY:
            reader.take(1, "protocol")
            message = SigningPolicy.take(reader)
        else:
            message = ProtocolMessage.take(reader)
        count = reader.unsigned(2, "number of signatures")
        signatures = tuple(IndexedSignature.take(reader) for _ in range(count))
        reader.end()
        return cls(policy, message, signatures)

    @classmethod
    def decode_calldata(cls, calldata: bytes) -> Finalization:
        """Read a relay transaction's data, whatever its selector; raise MalformedMessage otherwise."""
        reader = Reader("finalization", calldata)
        reader.take(SELECTOR_SIZE, "selector")
        return cls.decode(reader.rest())

    @property
    def weight(self) -> int:
        """The weight of the signatures that the relay would count: all of them, or 0 if it would revert."""
        return sum(self.policy.signers[index].weight for index in self._accepted() or ())

    def _accepted(self) -> list[int] | None:
        """The signers' indices, or None if any signature would make the relay revert."""
        indices = [entry.index for entry in self.signatures]
        if indices != sorted(set(indices)) or any(index >= len(self.policy.signers) for index in indices):
            return None
        for entry in self.signatures:
            try:
                signer = entry.signature.signer_of(self.signed_hash)
            except UnrecoverableSignature:
                return None
            if signer != self.policy.signers[entry.index].address:
                return None
        return indices


def gather(
    policy: SigningPolicy, message: ProtocolMessage, signatures: Iterable[Signature], threshold: int
) -> Finalization:
    """The finalization of `message` by as few signatures as exceed `threshold`, heaviest first.

    Signatures of others, of other messages and repetitions are left out. Raises BelowThreshold with the
    weight found if that is not enough.
    """
    found: dict[int, Signature] = {}
    for signature in signatures:
        index = _signer_index(policy, message, signature)
        if index is not None:
            found.setdefault(index, signature)
    chosen: list[int] = []
    weight = 0
    for index in sorted(found, key=lambda index: (-policy.signers[index].weight, index)):
        if weight > threshold:
            break
        chosen.append(index)
        weight += policy.signers[index].weight
    if weight <= threshold:
        raise BelowThreshold(weight, threshold)
    entries = tuple(IndexedSignature(index, found[index]) for index in sorted(chosen))
    return Finalization(policy, message, entries)


def _signer_index(policy: SigningPolicy, message: ProtocolMessage, signature: Signature) -> int | None:
    try:
        return policy.index_of(signature.signer_of(message.hash))
    except UnrecoverableSignature:
        return None
