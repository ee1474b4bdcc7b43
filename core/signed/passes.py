"""One pass as signed documents: each signature is made when it is first asked for, and kept for the pass.

Knows how an estimate becomes the whole numbers that are signed: the digits of the price's text, so that text
and signature never differ. A pass costs at most one signature a feed and one over all, however many ask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

import orjson

from chrono.feeds import FEEDS, Feed
from core.aggregation.estimates import Estimates
from core.messages import EXTRA_DIGITS, price_text
from core.signed.prices import Domain, Price, PriceVector, about, digest

_IDS: Final = tuple(bytes(feed.id) for feed in FEEDS)


class Signs(Protocol):
    """A key that signs prices."""

    @property
    def address(self) -> str: ...

    def sign(self, digest: bytes) -> bytes: ...


class SignedPass:
    """The prices of one pass and their signatures. A feed without a price is in no document."""

    def __init__(self, estimates: Estimates, key: Signs, domain: Domain) -> None:
        self._key, self._separator = key, domain.separator()
        self.prices = prices_of(estimates)
        self._hashes: dict[str, bytes] = {}
        self._signatures: dict[str, str] = {}
        self._all: bytes | None = None
        at_ms = round(estimates.at * 1000)
        self._vector = PriceVector(estimates.sequence, at_ms, tuple(self.prices.values()))

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

    def of(self, estimates: Estimates) -> SignedPass:
        """The pass's documents. Not for two threads at once: a thread signs with `fresh`."""
        name = (estimates.sequence, estimates.at)
        if self._last is None or self._last[0] != name:
            self._last = (name, self.fresh(estimates))
        return self._last[1]

    def fresh(self, estimates: Estimates) -> SignedPass:
        """The pass's documents, shared with nobody."""
        return SignedPass(estimates, self._key, self.domain)


def prices_of(estimates: Estimates) -> dict[str, Price]:
    """By feed, in the order of FEEDS, the whole numbers of every feed that has a price."""
    columns = zip(
        FEEDS,
        _IDS,
        estimates.price.tolist(),
        estimates.band_low.tolist(),
        estimates.band_high.tolist(),
        estimates.age_s.tolist(),
        estimates.venues_used.tolist(),
        strict=True,
    )
    prices = {}
    for feed, feed_id, price, low, high, age_s, venues in columns:
        numbers = _whole(feed, (price, low, high))
        if numbers is not None and math.isfinite(age_s):
            observed_at_ms = max(0, math.floor((estimates.at - age_s) * 1000))
            value, band_low, band_high = numbers
            prices[feed.name] = Price(
                feed_id,
                value,
                feed.decimals + EXTRA_DIGITS,
                band_low,
                band_high,
                observed_at_ms,
                estimates.sequence,
                venues,
            )
    return prices


def _whole(feed: Feed, numbers: Sequence[float]) -> list[int] | None:
    """The digits of each number's text; None if one of them is none."""
    texts = [price_text(number, feed) for number in numbers]
    return None if None in texts else [int(text.replace(".", "")) for text in texts if text is not None]
