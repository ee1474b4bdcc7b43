"""API keys: their form, what of them is kept, and whether one is valid.

    chr_4f7k2m9x0a1b_<43 characters of base62>
        prefix: names the key, shown everywhere    secret: 256 random bits, shown once

Kept is a SHA-256 over prefix and secret, nothing else. A slow hash would add nothing to a secret that nobody
can guess, and would give everybody who sends nonsense a way to make us work. Knows no store and no clock.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from core.gateway.tiers import Tier

ENTROPY_BYTES: Final = 40
PREFIX_CHARS: Final = 12
SECRET_CHARS: Final = 43
TEXT_CHARS_MAX: Final = 200
"""Anything longer is no key, and is not looked at."""

SCOPES: Final = ("prices", "history", "stream", "admin")
DEFAULT_SCOPES: Final = frozenset({"prices", "history", "stream"})

_FORM: Final = re.compile(rf"chr_([0-9a-z]{{{PREFIX_CHARS}}})_([0-9A-Za-z]{{{SECRET_CHARS}}})")
_LOWER: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_DIGITS: Final = _LOWER + _LOWER[10:].upper()
_DOMAIN: Final = b"chrono api key 1\0"
_NOBODY: Final = bytes(32)


class Flaw(StrEnum):
    """Why a key is not accepted."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    WRONG_SECRET = "wrong-secret"  # noqa: S105  a word for the log
    REVOKED = "revoked"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, repr=False)
class NewKey:
    """A key just made. `text` is shown to its owner once and kept nowhere."""

    text: str
    prefix: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is known of a key. Limits are its account's: all keys of an account share them."""

    prefix: str
    digest: bytes
    account: str
    tier: Tier
    name: str
    scopes: frozenset[str]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None

    def ended(self, at: float) -> Flaw | None:
        """Whether the key no longer counts at `at`, and why."""
        if self.revoked_at is not None and at >= self.revoked_at:
            return Flaw.REVOKED
        return Flaw.EXPIRED if self.expires_at is not None and at >= self.expires_at else None


@dataclass(frozen=True, slots=True)
class Refused:
    """A key that is not accepted. `prefix` is empty unless the secret was right."""

    flaw: Flaw
    prefix: str = ""


def make_key(entropy: bytes) -> NewKey:
    """A key of ENTROPY_BYTES random bytes."""
    if len(entropy) != ENTROPY_BYTES:
        raise ValueError(f"a key is made of {ENTROPY_BYTES} random bytes")
    prefix = _spelled(int.from_bytes(entropy[:8], "big"), _LOWER, PREFIX_CHARS)
    secret = _spelled(int.from_bytes(entropy[8:], "big"), _DIGITS, SECRET_CHARS)
    return NewKey(f"chr_{prefix}_{secret}", prefix, digest_of(prefix, secret))


def digest_of(prefix: str, secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(_DOMAIN + f"{prefix}\0{secret}".encode()).digest()


def judge(text: str, find: Callable[[str], ApiKey | None], at: float) -> ApiKey | Refused:
    """The key that the text stands for, or why there is none.

    Takes as long for a prefix that is not known as for a wrong secret: one digest and one comparison.
    """
    form = _FORM.fullmatch(text) if len(text) <= TEXT_CHARS_MAX else None
    if form is None:
        return Refused(Flaw.MALFORMED)
    prefix, secret = form.groups()
    key = find(prefix)
    fits = hmac.compare_digest(digest_of(prefix, secret), _NOBODY if key is None else key.digest)
    if key is None:
        return Refused(Flaw.UNKNOWN)
    if not fits:
        return Refused(Flaw.WRONG_SECRET)
    flaw = key.ended(at)
    return key if flaw is None else Refused(flaw, prefix)


def _spelled(number: int, alphabet: str, length: int) -> str:
    """The last `length` digits of a number in the alphabet's base."""
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        digits.append(alphabet[digit])
    return "".join(reversed(digits))
