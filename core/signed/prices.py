"""A signed price: what is signed, byte for byte, and whether a signature is good. EIP-712 typed data.

Knows the two structs, their hashes, their JSON form and who signed them. Knows no clock: time is an argument.
This file stands alone, so that a reader of prices can copy it: it needs Python's standard library,
`eth-hash[pycryptodome]` and `coincurve`, and nothing of Chrono.

What is signed is keccak256(0x1901 ‖ domain separator ‖ struct hash). The domain is name "Chrono Prices",
version "1" and a chain id; it names no contract, so that every contract of that chain can verify.

    Price        one feed. `value`, `bandLow` and `bandHigh` are whole numbers with `decimals`; `observedAtMs`
                 is when the newest market behind the price was seen, or when a stale price was last live.
    PriceVector  many feeds of one pass under one signature.

`sequence` counts the passes of one run of the core and begins anew with the next run: time orders passes, and
the sequence those of the same millisecond. A signature is r, s, v: 65 bytes, v 27 or 28, s in the lower half.

Errors:

    Unverified
    ├── MalformedDocument   not the JSON form of a signed price
    ├── WrongSigner         the signature fits somebody else, or nobody
    └── NotFresh            signed well, but too old, or from the future
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from coincurve import PublicKey
from eth_hash.auto import keccak

DOMAIN_NAME: Final = "Chrono Prices"
DOMAIN_VERSION: Final = "1"
FUTURE_S_MAX: Final = 30.0
"""How far a price's time may be ahead of the verifier's clock."""

PRICES_MAX: Final = 1_000
TYPES: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "EIP712Domain": (("name", "string"), ("version", "string"), ("chainId", "uint256")),
    "Price": (
        ("feedId", "bytes21"),
        ("value", "int256"),
        ("decimals", "int8"),
        ("bandLow", "int256"),
        ("bandHigh", "int256"),
        ("observedAtMs", "uint64"),
        ("sequence", "uint64"),
        ("venues", "uint16"),
    ),
    "PriceVector": (("sequence", "uint64"), ("atMs", "uint64"), ("prices", "Price[]")),
}
_HALF_ORDER: Final = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0


def _type_text(name: str) -> str:
    return f"{name}({','.join(f'{kind} {member}' for member, kind in TYPES[name])})"


TYPE_TEXTS: Final[Mapping[str, str]] = {
    "EIP712Domain": _type_text("EIP712Domain"),
    "Price": _type_text("Price"),
    "PriceVector": _type_text("PriceVector") + _type_text("Price"),
}
_TYPE_HASHES: Final = {name: keccak(text.encode()) for name, text in TYPE_TEXTS.items()}
_BITS: Final = {"int8": 8, "int256": 256, "uint16": 16, "uint64": 64}


class Unverified(Exception):
    """A document that must not be relied on."""


class MalformedDocument(Unverified):
    """Not the JSON form of a signed price or of signed prices."""


class WrongSigner(Unverified):
    """The signature is not of the signer that is trusted; `found` is whose it is, None for nobody's."""

    def __init__(self, found: str | None) -> None:
        self.found = found
        super().__init__(f"signed by {found or 'nobody'}")


class NotFresh(Unverified):
    """The time is further from now than allowed; a negative age is one of the future."""

    def __init__(self, age_s: float, limit_s: float) -> None:
        self.age_s, self.limit_s = age_s, limit_s
        super().__init__(f"{age_s:.1f} s old, where {-FUTURE_S_MAX:.0f} to {limit_s:.0f} s are allowed")


@dataclass(frozen=True, slots=True)
class Domain:
    """For which chain prices are signed."""

    chain_id: int

    def separator(self) -> bytes:
        words = (keccak(DOMAIN_NAME.encode()), keccak(DOMAIN_VERSION.encode()), _word(self.chain_id))
        return keccak(_TYPE_HASHES["EIP712Domain"] + b"".join(words))

    def document(self) -> dict[str, object]:
        return {"name": DOMAIN_NAME, "version": DOMAIN_VERSION, "chainId": self.chain_id}


@dataclass(frozen=True, slots=True)
class Price:
    """One feed's price as whole numbers: what the struct `Price` holds."""

    feed_id: bytes
    value: int
    decimals: int
    band_low: int
    band_high: int
    observed_at_ms: int
    sequence: int
    venues: int

    def struct_hash(self) -> bytes:
        numbers = (self.value, self.decimals, self.band_low, self.band_high)
        counts = (self.observed_at_ms, self.sequence, self.venues)
        words = b"".join([number.to_bytes(32, "big", signed=True) for number in (*numbers, *counts)])
        return keccak(_TYPE_HASHES["Price"] + self.feed_id.ljust(32, b"\0") + words)

    def message(self) -> dict[str, object]:
        """The struct's members by name, as JSON and as wallets take them."""
        return {
            "feedId": "0x" + self.feed_id.hex(),
            "value": self.value,
            "decimals": self.decimals,
            "bandLow": self.band_low,
            "bandHigh": self.band_high,
            "observedAtMs": self.observed_at_ms,
            "sequence": self.sequence,
            "venues": self.venues,
        }

    @classmethod
    def of(cls, message: object) -> Price:
        """Read what `message` wrote; raises MalformedDocument for anything else."""
        members = _members(message, "Price")
        numbers = [_number(members[name], kind, name) for name, kind in TYPES["Price"][1:]]
        return cls(_hex(members["feedId"], 21, "feedId"), *numbers)


@dataclass(frozen=True, slots=True)
class PriceVector:
    """The prices of one pass: what the struct `PriceVector` holds."""

    sequence: int
    at_ms: int
    prices: tuple[Price, ...]

    def struct_hash(self) -> bytes:
        return self.struct_hash_over([price.struct_hash() for price in self.prices])

    def struct_hash_over(self, hashes: list[bytes]) -> bytes:
        """The same from the prices' own hashes, for one who has them."""
        head = _TYPE_HASHES["PriceVector"] + _word(self.sequence) + _word(self.at_ms)
        return keccak(head + keccak(b"".join(hashes)))

    def message(self) -> dict[str, object]:
        prices = [price.message() for price in self.prices]
        return {"sequence": self.sequence, "atMs": self.at_ms, "prices": prices}

    @classmethod
    def of(cls, message: object) -> PriceVector:
        """Read what `message` wrote; raises MalformedDocument for anything else."""
        members = _members(message, "PriceVector")
        prices = members["prices"]
        if not isinstance(prices, list) or len(prices) > PRICES_MAX:
            raise MalformedDocument(f"prices is no list of at most {PRICES_MAX}")
        sequence, at_ms = (_number(members[name], "uint64", name) for name in ("sequence", "atMs"))
        return cls(sequence, at_ms, tuple(map(Price.of, prices)))


def digest(separator: bytes, struct_hash: bytes) -> bytes:
    """The 32 bytes that the curve signs."""
    return keccak(b"\x19\x01" + separator + struct_hash)


def about(address: str, domain: Domain) -> dict[str, object]:
    """What one must know to verify: the signer's address, the domain and the types, as wallets take them."""
    types = {name: [{"name": each, "type": kind} for each, kind in kinds] for name, kinds in TYPES.items()}
    return {
        "address": address,
        "domain": domain.document(),
        "types": types,
        "type_texts": dict(TYPE_TEXTS),
    }


def verify_price(signed: object, *, signer: str, chain_id: int, at: float, age_s_max: float = 60.0) -> Price:
    """The price of `{"message": ..., "signature": ...}`, if it is `signer`'s and fresh at `at` (Unix time).

    Raises Unverified. Ask for the signer's address once and keep it: who tells prices must not tell each
    time whom to trust.
    """
    message, signature = _signed(signed)
    price = Price.of(message)
    _check_signer(digest(Domain(chain_id).separator(), price.struct_hash()), signature, signer)
    _check_fresh(price.observed_at_ms, at, age_s_max)
    return price


def verify_prices(
    signed: object, *, signer: str, chain_id: int, at: float, age_s_max: float = 60.0
) -> PriceVector:
    """The prices of a signed vector whose pass is fresh at `at`; each price has its own age besides.

    Raises Unverified.
    """
    message, signature = _signed(signed)
    vector = PriceVector.of(message)
    _check_signer(digest(Domain(chain_id).separator(), vector.struct_hash()), signature, signer)
    _check_fresh(vector.at_ms, at, age_s_max)
    return vector


def signer_of(hashed: bytes, signature: bytes) -> str | None:
    """The address, in lower case, whose key signed the digest; None if no key did."""
    if len(signature) != 65 or signature[64] not in (27, 28):
        return None
    if int.from_bytes(signature[32:64], "big") > _HALF_ORDER:
        return None
    bare = signature[:64] + bytes([signature[64] - 27])
    try:
        public = PublicKey.from_signature_and_message(bare, hashed, hasher=None)
    except Exception:  # noqa: BLE001 - the curve's library raises plain Exception for a bad point
        return None
    return "0x" + keccak(public.format(compressed=False)[1:])[12:].hex()


def signature_bytes(text: object) -> bytes:
    """The 65 bytes of a signature in JSON; raises MalformedDocument."""
    return _hex(text, 65, "signature")


def _check_signer(hashed: bytes, signature: bytes, trusted: str) -> None:
    found = signer_of(hashed, signature)
    if found is None or found != trusted.lower():
        raise WrongSigner(found)


def _check_fresh(at_ms: int, now: float, limit_s: float) -> None:
    age_s = now - at_ms / 1000
    if not -FUTURE_S_MAX <= age_s <= limit_s:
        raise NotFresh(age_s, limit_s)


def _signed(document: object) -> tuple[object, bytes]:
    if not isinstance(document, dict) or not {"message", "signature"} <= document.keys():
        raise MalformedDocument("no object with message and signature")
    return document["message"], signature_bytes(document["signature"])


def _members(message: object, struct: str) -> dict[str, Any]:
    names = {name for name, _ in TYPES[struct]}
    if not isinstance(message, dict) or message.keys() != names:
        raise MalformedDocument(f"no object with exactly the members {', '.join(sorted(names))}")
    return message


def _number(value: object, kind: str, name: str) -> int:
    """A whole number that fits the type of EIP-712."""
    bits, signed = _BITS[kind], kind.startswith("i")
    if type(value) is not int:
        raise MalformedDocument(f"{name} is no whole number")
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)
    if not low <= value < high:
        raise MalformedDocument(f"{name} does not fit {kind}")
    return value


def _hex(text: object, size: int, name: str) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(f"0x[0-9a-fA-F]{{{2 * size}}}", text):
        raise MalformedDocument(f"{name} is not 0x and {2 * size} hexadecimal digits")
    return bytes.fromhex(text[2:])


def _word(number: int) -> bytes:
    return number.to_bytes(32, "big")
