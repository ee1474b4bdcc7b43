"""One pass as signed documents: each signature is made when it is first asked for, and kept for the pass.

Knows how a price becomes the whole numbers that are signed: the digits of its text, so that text and
signature never differ, and every process that tells a pass signs the same. A pass costs at most one signature
a feed and one over all, however many ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import orjson

from chrono.feeds import FEEDS
from core.messages import EXTRA_DIGITS, PassMessage
from core.signed.prices import Domain, Price, PriceVector, about, digest


class Signs(Protocol):
    """A key that signs prices."""

    @property
    def address(self) -> str: ...

    def sign(self, digest: bytes) -> bytes: ...


class SignedPass:
    """The prices of one pass and their signatures. A feed without a price is in no document."""

    def __init__(self, message: PassMessage, key: Signs, domain: Domain) -> None:
        self._key, self._separator = key, domain.separator()
        self.prices = prices_of(message)
        self._hashes: dict[str, bytes] = {}
        self._signatures: dict[str, str] = {}
        self._all: bytes | None = None
        at_ms = round(message.at * 1000)
        self._vector = PriceVector(message.sequence, at_ms, tuple(self.prices.values()))

    def one(self, feed: str) -> bytes | None:
        """`{"message": ..., "signature": ...}` of one feed; None without a price."""
        price = self.prices.get(feed)
        return None if price is None else _document(price.message(), self.signature(feed))

    def signature(self, feed: str) -> str:
        """That of one feed which has a price."""
        signature = self._signatures.get(feed)
        if signature is None:
            signature = self._signatures[feed] = self._sign(self._hash(feed))
        return signature

    def all(self) -> bytes:
        """The same as `one` of all feeds that have a price, under one signature."""
        if self._all is None:
            hashes = [self._hash(feed) for feed in self.prices]
            signature = self._sign(self._vector.struct_hash_over(hashes))
            self._all = _document(self._vector.message(), signature)
        return self._all

    def _hash(self, feed: str) -> bytes:
        hashed = self._hashes.get(feed)
        if hashed is None:
            hashed = self._hashes[feed] = self.prices[feed].struct_hash()
        return hashed

    def _sign(self, struct_hash: bytes) -> str:
        return "0x" + self._key.sign(digest(self._separator, struct_hash)).hex()


def _document(message: Mapping[str, object], signature: str) -> bytes:
    return orjson.dumps({"message": message, "signature": signature})


class PassSigner:
    """Signs the passes of one core; remembers the last one."""

    def __init__(self, key: Signs, chain_id: int) -> None:
        self._key, self.domain = key, Domain(chain_id)
        self._last: tuple[tuple[int, float], SignedPass] | None = None
        self.address = key.address
        self.about = about(key.address, self.domain)

    def of(self, message: PassMessage) -> SignedPass:
        """The pass's documents. Not for two threads at once: a thread signs with `fresh`."""
        name = (message.sequence, message.at)
        if self._last is None or self._last[0] != name:
            self._last = (name, self.fresh(message))
        return self._last[1]

    def fresh(self, message: PassMessage) -> SignedPass:
        """The pass's documents, shared with nobody."""
        return SignedPass(message, self._key, self.domain)


def prices_of(message: PassMessage) -> dict[str, Price]:
    """By feed, in the order of FEEDS, the whole numbers of every feed that has a price."""
    prices = {}
    for feed in FEEDS:
        told = orjson.loads(message.fragments[feed.name])
        texts = (told["price"], told["band_low"], told["band_high"])
        if None in texts or told["age_s"] is None:
            continue
        value, band_low, band_high = (int(text.replace(".", "")) for text in texts)
        prices[feed.name] = Price(
            bytes(feed.id),
            value,
            feed.decimals + EXTRA_DIGITS,
            band_low,
            band_high,
            max(0, round((message.at - told["age_s"]) * 1000)),
            message.sequence,
            told["venues_used"],
        )
    return prices
