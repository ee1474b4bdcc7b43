"""The key that signs public prices: a file of its own, made on first use, readable by its owner only.

A dedicated key: whoever steals it can lie about prices, but can neither spend nor vote. Never shown.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Final

from coincurve import PrivateKey
from eth_hash.auto import keccak

from chrono.errors import ChronoError

_OTHERS: Final = 0o077


class PriceKeyError(ChronoError):
    """The key's file cannot be used; the text says why and shows nothing of it."""


class PriceKey:
    """Signs digests. Its repr shows the address only."""

    __slots__ = ("_key", "address")

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.address: str = "0x" + keccak(self._key.public_key.format(compressed=False)[1:])[12:].hex()

    def sign(self, digest: bytes) -> bytes:
        """r, s, v with v 27 or 28; the same digest always gives the same 65 bytes (RFC 6979), s low."""
        made = self._key.sign_recoverable(digest, hasher=None)
        return made[:64] + bytes([made[64] + 27])

    def __repr__(self) -> str:
        return f"PriceKey({self.address})"


def load_or_create(path: Path) -> PriceKey:
    """The key in the file, 64 hexadecimal digits; a new one in a new file if there is none.

    Raises PriceKeyError.
    """
    try:
        return _load(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise PriceKeyError(f"{path} cannot be read: {error.strerror}") from None
    return _create(path)


def _load(path: Path) -> PriceKey:
    mode = path.stat().st_mode
    try:
        secret = bytes.fromhex(path.read_text("ascii").strip().removeprefix("0x"))
        if mode & _OTHERS:
            raise PriceKeyError(f"{path} holds a private key and others may read it: chmod 600 {path}")
        if len(secret) == 32:
            return PriceKey(secret)
    except ValueError:
        pass
    raise PriceKeyError(f"{path} does not hold a private key of 64 hexadecimal digits")


def _create(path: Path) -> PriceKey:
    """A key whose file appears whole or not at all, so that a crash leaves no half a key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        secret = secrets.token_bytes(32)
        try:
            key = PriceKey(secret)
            break
        except ValueError:  # zero, or not below the curve's order: never seen
            continue
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secret.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(beside, path)  # unlike a rename it never replaces a key that another process has just made
    except FileExistsError:
        return load_or_create(path)
    finally:
        beside.unlink()
    return key
