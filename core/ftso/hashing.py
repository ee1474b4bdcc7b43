"""keccak-256, and the hash of ABI-encoded values as Solidity's `keccak256(abi.encode(...))`."""

from __future__ import annotations

from collections.abc import Sequence

from eth_abi.abi import encode
from eth_hash.auto import keccak as _keccak


def keccak(data: bytes) -> bytes:
    """The 32-byte keccak-256 of `data`."""
    return _keccak(data)


def abi_hash(types: Sequence[str], values: Sequence[object]) -> bytes:
    """The 32 bytes of `keccak256(abi.encode(values))`. Ranges are the caller's duty."""
    return _keccak(encode(types, values))
