"""A private key behind a remote signer, by Web3Signer's eth1 interface. The key itself never comes here.

    GET  {base}/api/v1/eth1/publicKeys           -> ["0x" + 128 hexadecimal digits, ...]
    POST {base}/api/v1/eth1/sign/{public key}    {"data": "0x.."} -> text "0x" + r + s + v, 65 bytes
    GET  {base}/upcheck                          -> 200 when it is up

The signer hashes `data` with keccak-256 and signs that. So what is sent is the transaction's signing payload,
or a result's hash behind the personal-message prefix; both are built here, and a signature is used only if
it recovers to the configured address for exactly those bytes. Whatever else the signer may be asked to sign
is its operator's affair.

Bounds: a request takes at most `timeout_s`, a call makes TRIES_MAX requests and ends within `within_s`. What
comes after that is the caller's next turn, while the round's window is open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx
import orjson
import rlp
from eth_keys.constants import SECPK1_N
from eth_keys.datatypes import Signature as CurveSignature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from core.chain.errors import BadKey, SignerRefused, SignerUnavailable
from core.ftso.errors import MalformedMessage
from core.ftso.hashing import keccak
from core.ftso.identities import Address
from core.ftso.signatures import Signature, personal_message

TIMEOUT_S: Final = 1.0
WITHIN_S: Final = 2.0
TRIES_MAX: Final = 3
PAUSE_S: Final = 0.05
ANSWER_MAX: Final = 1 << 20
"""Bytes of an answer: the public keys of some thousand accounts."""

_DYNAMIC_FEE: Final = b"\x02"
_PUBLIC_KEY_SIZE: Final = 64
_UNCOMPRESSED: Final = b"\x04"
_HERE: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class RemoteKey:
    """A TransactionSigner and a ResultSigner. `aclose` ends its connections."""

    def __init__(self, client: httpx.AsyncClient, address: Address, within_s: float = WITHIN_S) -> None:
        self._client, self._address, self._within_s = client, address, within_s
        self._identifier: str | None = None

    def __repr__(self) -> str:
        return f"RemoteKey({self._address.text} at {self._client.base_url.host})"

    @property
    def address(self) -> Address:
        return self._address

    @property
    def in_the_open(self) -> bool:
        """Whether the way to the signer is neither encrypted nor within this machine."""
        url = self._client.base_url
        return url.scheme == "http" and url.host not in _HERE

    async def aclose(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def check(self) -> None:
        """Whether the signer is up and has the key; raises SignerUnavailable or SignerRefused."""
        await self._ask("GET", "/upcheck")
        self._identifier = await self._find()

    async def sign_transaction(self, transaction: Mapping[str, Any]) -> bytes:
        """The raw transaction, of type 2; raises SignerUnavailable or SignerRefused."""
        fields = _fields(transaction)
        parity, r, s = await self._signed(_DYNAMIC_FEE + rlp.encode(fields))
        return _DYNAMIC_FEE + bytes(rlp.encode([*fields, parity, r, s]))

    async def sign(self, hashed: bytes) -> Signature:
        """The signature of a 32-byte hash behind the personal-message prefix."""
        parity, r, s = await self._signed(personal_message(hashed))
        return Signature(27 + parity, r.to_bytes(32, "big"), s.to_bytes(32, "big"))

    async def _signed(self, data: bytes) -> tuple[int, int, int]:
        """Parity, r and the lower s of a signature of keccak(data) that is ours."""
        if self._identifier is None:
            self._identifier = await self._find()
        body = orjson.dumps({"data": "0x" + data.hex()})
        try:
            text = await self._ask("POST", f"/api/v1/eth1/sign/{self._identifier}", body)
        except SignerRefused:
            self._identifier = None  # its keys may have been exchanged: look again next time
            raise
        try:
            parity, r, s = read_signature(text)
        except ValueError as error:
            raise SignerRefused(f"{self._host} answered with {error}") from None
        if _signer_of(keccak(data), parity, r, s) != self._address:
            raise SignerRefused(f"{self._host} signed with another key than that of {self._address.text}")
        return parity, r, s

    async def _find(self) -> str:
        """What the signer calls our key."""
        try:
            names = orjson.loads(await self._ask("GET", "/api/v1/eth1/publicKeys"))
        except orjson.JSONDecodeError:
            names = None
        if not isinstance(names, list):
            raise SignerRefused(f"{self._host} did not answer with a list of public keys")
        for name in names:
            public = _hexadecimal(name.encode()) if isinstance(name, str) else None
            if public is not None and _address_of(public) == self._address:
                return str(name)
        raise SignerRefused(f"{self._host} has no key of {self._address.text} among its {len(names)}")

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        problem = "no answer"
        try:
            async with asyncio.timeout(self._within_s):
                for attempt in range(TRIES_MAX):
                    if attempt:
                        await asyncio.sleep(PAUSE_S)
                    try:
                        status, answer = await self._request(method, path, body)
                    except httpx.HTTPError as error:
                        problem = type(error).__name__
                        continue
                    if status not in _TRY_AGAIN:
                        return self._accepted(status, answer)
                    problem = f"HTTP {status}"
        except TimeoutError:
            problem = f"no answer within {self._within_s} s"
        raise SignerUnavailable(f"{self._host} is away ({problem}): {self._address.text} cannot sign now")

    async def _request(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"content-type": "application/json"} if body else {}
        async with self._client.stream(method, path, content=body, headers=headers) as answer:
            read = b""
            async for piece in answer.aiter_bytes():
                read += piece
                if len(read) > ANSWER_MAX:
                    raise SignerRefused(f"{self._host} answered with more than {ANSWER_MAX} bytes")
            return answer.status_code, read

    def _accepted(self, status: int, answer: bytes) -> bytes:
        if status == 200:
            return answer
        why = {404: "it does not know the key", 401: "it wants a password", 403: "it does not let us"}
        raise SignerRefused(f"{self._host} answered HTTP {status}: {why.get(status, 'it refused to sign')}")

    @property
    def _host(self) -> str:
        """The signer as it may be named in a log: without path and password."""
        url = self._client.base_url
        return f"the signer {url.host}" + (f":{url.port}" if url.port else "")


def remote_key(url: str, timeout_s: float = TIMEOUT_S, within_s: float = WITHIN_S) -> RemoteKey:
    """The key at http(s)://HOST:PORT/0xADDRESS; raises BadKey, which never repeats the URL."""
    try:
        parts = urlsplit(url)
        path, _, last = parts.path.rstrip("/").rpartition("/")
        address = Address.of(last)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except (ValueError, MalformedMessage):
        usable = False
    if not usable:
        raise BadKey("a signer's URL is http(s)://HOST:PORT/0xADDRESS, with the address that signs")
    base = urlunsplit((parts.scheme, parts.netloc, path, "", ""))
    client = httpx.AsyncClient(base_url=base, timeout=timeout_s, trust_env=False)
    return RemoteKey(client, address, within_s)


def read_signature(text: bytes) -> tuple[int, int, int]:
    """Parity, r and the lower s (EIP-2) out of a signer's words; raises ValueError for what is none.

    v may be 27 or 28, or the bare parity. Whether the numbers lie on the curve is seen when the signer is
    recovered.
    """
    raw = _hexadecimal(text)
    if raw is None or len(raw) != 65 or raw[64] not in (0, 1, 27, 28):
        raise ValueError("something that is no signature of 65 bytes")
    parity, r, s = raw[64] % 27, int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:64], "big")
    if SECPK1_N // 2 < s < SECPK1_N:
        parity, s = 1 - parity, SECPK1_N - s
    return parity, r, s


def _fields(transaction: Mapping[str, Any]) -> Sequence[Any]:
    """What is signed of a dynamic fee transaction, in EIP-1559's order."""
    if transaction["type"] != 2:
        raise SignerRefused(f"transactions of type {transaction['type']} are not sent by remote keys")
    names = ("chainId", "nonce", "maxPriorityFeePerGas", "maxFeePerGas", "gas", "to", "value", "data")
    return [*(transaction[name] for name in names), []]


def _signer_of(digest: bytes, parity: int, r: int, s: int) -> Address | None:
    try:
        public = CurveSignature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(digest)
    except (BadSignature, ValidationError):
        return None
    return Address(public.to_canonical_address())


def _address_of(public: bytes) -> Address | None:
    if len(public) == _PUBLIC_KEY_SIZE + 1 and public.startswith(_UNCOMPRESSED):
        public = public[1:]
    return Address(keccak(public)[-20:]) if len(public) == _PUBLIC_KEY_SIZE else None


def _hexadecimal(text: bytes) -> bytes | None:
    """The bytes of `0x..`, with or without quotation marks and blanks around it."""
    try:
        return bytes.fromhex(text.strip().strip(b'"').removeprefix(b"0x").decode("ascii"))
    except (UnicodeDecodeError, ValueError):
        return None
