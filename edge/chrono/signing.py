"""Signatures of batches: who signed, may they, and is it fresh.

Knows key ids, the ring of known keys and the freshness window. Does not know Ed25519's arithmetic: a
`Signer` and a `Verify` are handed in (WebCrypto at the edge, `cryptography` in the core), nor which
sequences were seen (`core.ingest` and its store).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from chrono.batch import KEY_ID_BYTES, SIGNATURE_BYTES, Batch, Header, encode, read_header
from chrono.errors import BadSignature, RevokedKey, StaleBatch, UnknownKey

FRESHNESS_S: Final = 30.0
PUBLIC_KEY_BYTES: Final = 32

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, signature, message) -> whether the Ed25519 signature fits; never raises on bad input."""


class Signer(Protocol):
    """Signs with one Ed25519 key. Asynchronous because WebCrypto is."""

    @property
    def key_id(self) -> bytes: ...

    async def sign(self, message: bytes) -> bytes:
        """The 64-byte signature."""
        ...


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A collector's key as the core knows it. A revoked key stays known, to be refused by name."""

    raw: bytes
    name: str = ""
    revoked: bool = False

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_KEY_BYTES:
            raise ValueError(f"an Ed25519 public key has 32 bytes, not {len(self.raw)}")

    @property
    def key_id(self) -> bytes:
        return key_id(self.raw)


def key_id(public_key: bytes) -> bytes:
    """The first 8 bytes of SHA-256 of the raw public key."""
    return hashlib.sha256(public_key).digest()[:KEY_ID_BYTES]


class KeyRing:
    """All keys that a core knows. Several are valid at once, so that a key is rotated without a gap."""

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        self._keys = {key.key_id: key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[PublicKey]:
        return iter(self._keys.values())

    def find(self, wanted: bytes) -> PublicKey:
        """The valid key of that id; raises UnknownKey or RevokedKey."""
        key = self._keys.get(wanted)
        if key is None:
            raise UnknownKey(wanted.hex())
        if key.revoked:
            raise RevokedKey(wanted.hex())
        return key


async def seal(batch: Batch, signer: Signer) -> bytes:
    """The bytes to be posted: the batch and its signature. The batch must name the signer's key."""
    encoded = encode(batch)
    return encoded + await signer.sign(encoded)


def open_sealed(
    sealed: bytes, ring: KeyRing, verify: Verify, *, at: float, freshness_s: float = FRESHNESS_S
) -> Header:
    """The header of a batch whose signature fits and whose sending time is near `at`.

    Cheap checks come first; freshness is judged after the signature, so that only a key's holder learns
    of the core's clock. Raises any BatchError.
    """
    header = read_header(sealed)
    key = ring.find(header.key_id)
    signature = sealed[-SIGNATURE_BYTES:]
    if not verify(key.raw, signature, sealed[: header.signed]):
        raise BadSignature(header.key_id.hex())
    age_s = at - header.sent_at
    if abs(age_s) > freshness_s:
        raise StaleBatch(age_s, freshness_s)
    return header
