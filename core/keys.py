"""Collector keys on disk: private keys in PEM files, known public keys in one text file.

Knows files and Ed25519 (through `cryptography`). Which key is valid for a batch is `chrono.signing`'s.

The file of known keys has one line a key, in the manner of SSH's authorized_keys:

    ed25519 <base64 of the 32-byte public key> <name>
    revoked ed25519 <base64 of the 32-byte public key> <name>

Empty lines and lines that begin with # are comments.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from chrono.batch import SIGNATURE_BYTES
from chrono.errors import ChronoError
from chrono.signing import KeyRing, PublicKey, key_id

_ALGORITHM = "ed25519"
_REVOKED = "revoked"


class KeyFileError(ChronoError):
    """A key file cannot be used; the text names the file, the line and what is wrong, never a secret."""


@dataclass(frozen=True, slots=True, repr=False)
class LocalSigner:
    """Signs with a private key in memory. Its repr shows the key id only."""

    private_key: Ed25519PrivateKey
    public_key: bytes

    @classmethod
    def of(cls, private_key: Ed25519PrivateKey) -> LocalSigner:
        return cls(private_key, private_key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw))

    @property
    def key_id(self) -> bytes:
        return key_id(self.public_key)

    async def sign(self, message: bytes) -> bytes:
        return self.private_key.sign(message)

    def __repr__(self) -> str:
        return f"LocalSigner({self.key_id.hex()})"


def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the Ed25519 signature fits. False, never an error, on bytes of a wrong form."""
    if len(signature) != SIGNATURE_BYTES:
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def create_private_key(path: Path) -> LocalSigner:
    """A new key in a new file that only its owner can read; raises KeyFileError if the file exists."""
    private_key = Ed25519PrivateKey.generate()
    pem = private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise KeyFileError(f"{path} exists already; a key is never overwritten") from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return LocalSigner.of(private_key)


def load_private_key(path: Path) -> LocalSigner:
    """The key in a PEM file. Raises KeyFileError if it is absent, readable by others, or no Ed25519 key."""
    try:
        mode = path.stat().st_mode & 0o077
        pem = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from None
    if mode:
        raise KeyFileError(f"{path} can be read by others; run: chmod 600 {path}")
    try:
        private_key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise KeyFileError(f"{path} holds no unencrypted PEM private key") from None
    if not isinstance(private_key, Ed25519PrivateKey):
        raise KeyFileError(f"{path} holds a key that is not Ed25519")
    return LocalSigner.of(private_key)


def parse_known_keys(text: str, name: str) -> list[PublicKey]:
    """The keys in a file of known keys; raises KeyFileError naming the first bad line."""
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        revoked = words[0] == _REVOKED
        if revoked:
            words = words[1:]
        if len(words) not in (2, 3) or words[0] != _ALGORITHM:
            raise KeyFileError(f"{name}, line {number}: expected `[revoked] ed25519 BASE64 [name]`")
        try:
            raw = base64.b64decode(words[1], validate=True)
            keys.append(PublicKey(raw, words[2] if len(words) == 3 else "", revoked))
        except (binascii.Error, ValueError):
            raise KeyFileError(f"{name}, line {number}: not 32 bytes in base64") from None
    return keys


def format_known_key(key: PublicKey) -> str:
    """The key's line in a file of known keys."""
    words = [_ALGORITHM, base64.b64encode(key.raw).decode("ascii"), key.name]
    return " ".join(([_REVOKED] if key.revoked else []) + words).rstrip()


class KnownKeys:
    """The file of known keys; it is read again when it changes, so that rotation needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._ring = KeyRing(())

    def ring(self) -> KeyRing:
        """The present ring; raises KeyFileError if the file is damaged. No file means no keys."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            self._ring, self._stamp = KeyRing(()), None
            return self._ring
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._ring = KeyRing(self.read())
            self._stamp = stamp
        return self._ring

    def read(self) -> list[PublicKey]:
        """Every key in the file, in its order."""
        if not self._path.exists():
            return []
        return parse_known_keys(self._path.read_text("utf-8"), str(self._path))

    def add(self, key: PublicKey) -> None:
        """Add a key unless it is known; raises KeyFileError if it was revoked."""
        known = self.read()
        for other in known:
            if other.raw == key.raw:
                if other.revoked:
                    raise KeyFileError(f"key {key.key_id.hex()} was revoked")
                return
        self._write([*known, key])

    def revoke(self, wanted: bytes) -> PublicKey:
        """Mark a key as revoked, for good; raises KeyFileError if there is no such key."""
        known = self.read()
        for position, key in enumerate(known):
            if key.key_id == wanted:
                known[position] = replace(key, revoked=True)
                self._write(known)
                return known[position]
        raise KeyFileError(f"{self._path} has no key {wanted.hex()}")

    def _write(self, keys: Iterable[PublicKey]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = "# Collectors whose batches this core accepts.\n" + "".join(
            format_known_key(key) + "\n" for key in keys
        )
        beside = self._path.with_suffix(".new")
        beside.write_text(text, "utf-8")
        beside.replace(self._path)
