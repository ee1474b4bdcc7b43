"""Signatures of results: making them, recovering who made them, and their two forms in submitSignatures.

flare-specs Utilities/Signing, FSP/Encoding (SignatureType0, SignatureType1). What is signed is a 32-byte hash
behind Ethereum's personal-message prefix. A signature is v (27 or 28), r, s: 65 bytes. (The specification
speaks of v less 27 beside an index; on chain it is 27 or 28 there too.) In a payload:

    type 0:  00, the 38-byte protocol message, signature, more
    type 1:  01, signature, more

Type 1 leaves the message out: the reader computes it himself, or takes it from a type 0. What follows the
signature is the protocol's own, unsigned; the FDC puts its bit vector there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from eth_keys.datatypes import PrivateKey
from eth_keys.datatypes import Signature as CurveSignature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from core.ftso.errors import UnrecoverableSignature
from core.ftso.hashing import keccak
from core.ftso.identities import Address
from core.ftso.protocol_message import ProtocolMessage
from core.ftso.wire import HASH_SIZE, Reader, checked, exactly, unsigned

SIGNATURE_SIZE: Final = 65
_PREFIX: Final = b"\x19Ethereum Signed Message:\n32"
_V_BASE: Final = 27


@dataclass(frozen=True, slots=True)
class Signature:
    """v, r, s as they stand on chain. Any bytes are a signature until it is asked who made it."""

    v: int
    r: bytes
    s: bytes

    def __post_init__(self) -> None:
        checked("v", self.v, 0, 255)
        exactly("r", self.r)
        exactly("s", self.s)

    def encode(self) -> bytes:
        """The signature's 65 bytes."""
        return unsigned("v", self.v, 1) + self.r + self.s

    @classmethod
    def take(cls, reader: Reader) -> Signature:
        """Read 65 bytes at the reader's place; raise MalformedMessage if there are fewer."""
        return cls(reader.unsigned(1, "v"), reader.take(HASH_SIZE, "r"), reader.take(HASH_SIZE, "s"))

    def signer_of(self, hashed: bytes) -> Address:
        """Who signed the 32-byte hash, as ecrecover finds it; raise UnrecoverableSignature if nobody did.

        A wrong hash gives a wrong address, not an error: compare it with the signing policy.
        """
        if self.v not in {_V_BASE, _V_BASE + 1}:
            raise UnrecoverableSignature(f"v is {self.v}, neither 27 nor 28")
        r, s = int.from_bytes(self.r, "big"), int.from_bytes(self.s, "big")
        try:
            signature = CurveSignature(vrs=(self.v - _V_BASE, r, s))
            public = signature.recover_public_key_from_msg_hash(digest(hashed))
        except (BadSignature, ValidationError) as error:
            raise UnrecoverableSignature(f"no key fits: {error}") from None
        return Address(public.to_canonical_address())


def digest(hashed: bytes) -> bytes:
    """The prefixed hash that the curve signs, from the 32-byte hash of a message or a signing policy."""
    return keccak(personal_message(hashed))


def personal_message(hashed: bytes) -> bytes:
    """The bytes that wallets and remote signers hash and sign for a 32-byte hash."""
    return _PREFIX + exactly("hash", hashed)


def sign(hashed: bytes, private_key: bytes) -> Signature:
    """Sign a 32-byte hash; the same key and hash always give the same signature (RFC 6979)."""
    made = PrivateKey(private_key).sign_msg_hash(digest(hashed))
    return Signature(made.v + _V_BASE, made.r.to_bytes(HASH_SIZE, "big"), made.s.to_bytes(HASH_SIZE, "big"))


@dataclass(frozen=True, slots=True)
class SignedResult:
    """A submitSignatures payload: with its message it is of type 0, without of type 1."""

    signature: Signature
    message: ProtocolMessage | None = None
    more: bytes = b""

    def encode(self) -> bytes:
        """The payload's bytes."""
        head = b"\x01" if self.message is None else b"\x00" + self.message.encode()
        return head + self.signature.encode() + self.more

    @classmethod
    def decode(cls, raw: bytes) -> SignedResult:
        """Read a payload of either type; raise MalformedMessage otherwise."""
        reader = Reader("signed result", raw)
        kind = reader.unsigned(1, "type")
        if kind > 1:
            raise reader.refusal(f"type {kind} is neither 0 nor 1")
        message = ProtocolMessage.take(reader) if kind == 0 else None
        return cls(Signature.take(reader), message, reader.rest())
