"""A remote signer on loopback: Web3Signer's eth1 interface before real keys, with faults on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import PrivateKey

from core.ftso.hashing import keccak
from tests.loopback import Asked, response, serving

Form = Callable[[int, int, int], bytes]
"""The bytes of an answer out of parity, r and s."""


def as_web3signer(parity: int, r: int, s: int) -> bytes:
    """r, s and v, which is 27 or 28."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([27 + parity])


def with_parity(parity: int, r: int, s: int) -> bytes:
    """r, s and v, which is 0 or 1."""
    return r.to_bytes(32, "big") + s.to_bytes(32, "big") + bytes([parity])


def with_high_s(parity: int, r: int, s: int) -> bytes:
    """The other signature of the same: valid on the curve, refused by chains since EIP-2."""
    return as_web3signer(1 - parity, r, SECPK1_N - s)


@dataclass
class FakeSigner:
    """Holds keys by what it calls them. `status` refuses, `fails` does so for that many requests only."""

    secrets: list[bytes]
    form: Form = as_web3signer
    status: int = 200
    fails: int = 0
    silent: bool = False
    signs_with: bytes | None = None
    keys_told: bytes | None = None
    asked: list[Asked] = field(default_factory=list)

    def named(self) -> dict[str, bytes]:
        """Its keys by public key."""
        return {"0x" + PrivateKey(secret).public_key.to_bytes().hex(): secret for secret in self.secrets}

    async def answer(self, asked: Asked) -> bytes:
        self.asked.append(asked)
        if self.silent:
            await asyncio.Event().wait()
        if self.fails:
            self.fails -= 1
            return response(b"", 503)
        if self.status != 200:
            return response(b"no", self.status)
        if asked.path == "/upcheck":
            return response(b"OK")
        if asked.path == "/api/v1/eth1/publicKeys":
            return response(self.keys_told or orjson.dumps(list(self.named())))
        return self._signature(asked)

    def _signature(self, asked: Asked) -> bytes:
        secret = self.named().get(asked.path.removeprefix("/api/v1/eth1/sign/"))
        if asked.method != "POST" or secret is None:
            return response(b"", 404)
        data = bytes.fromhex(orjson.loads(asked.body)["data"].removeprefix("0x"))
        made = PrivateKey(self.signs_with or secret).sign_msg_hash(keccak(data))
        return response(b"0x" + self.form(made.v, made.r, made.s).hex().encode())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Serve; gives the base URL."""
        async with serving(self.answer) as url:
            yield url
