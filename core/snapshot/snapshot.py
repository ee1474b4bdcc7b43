"""A snapshot: the signed prices of one pass as one JSON document, and whether it may be relied on.

Knows the document, and checks everything in it against a signer who is known beforehand. Knows no bucket.

    {"schema":1,"domain":{"name":...,"version":...,"chainId":14},"signer":"0x...",
     "all":{"message":{"sequence":7,"atMs":1790000000250,"prices":[...]},"signature":"0x..."},
     "signatures":["0x...", ...]}

`all` is the signed vector. `signatures` are those of each of its prices alone, in its order: who has no key
can so show one price without the others. `signer` and `domain` are for people; a reader trusts neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from chrono.errors import ChronoError
from chrono.feeds import FeedId
from core.signed.prices import (
    Domain,
    Price,
    PriceVector,
    Unverified,
    digest,
    signature_bytes,
    signer_of,
    verify_prices,
)

SCHEMA: Final = 1
BYTES_MAX: Final = 1_000_000
OBJECT: Final = "latest.json"
"""The object's name behind the prefix."""


class SnapshotRefused(ChronoError):
    """The bytes are no snapshot that may be relied on; the text says why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Verified prices of one pass. `order` says which of two snapshots is newer."""

    chain_id: int
    signer: str
    vector: PriceVector
    vector_signature: str
    prices: Mapping[str, tuple[Price, str]]

    @property
    def order(self) -> tuple[int, int]:
        return self.vector.at_ms, self.vector.sequence

    @property
    def at(self) -> float:
        return self.vector.at_ms / 1000

    def age_s(self, at: float) -> float:
        return max(0.0, at - self.at)

    def signed_vector(self) -> dict[str, object]:
        return {"message": self.vector.message(), "signature": self.vector_signature}

    def signed_price(self, feed: str) -> dict[str, object]:
        """One price with its own signature; raises SnapshotRefused if that is not the signer's."""
        price, signature = self.prices[feed]
        hashed = digest(Domain(self.chain_id).separator(), price.struct_hash())
        if signer_of(hashed, signature_bytes(signature)) != self.signer:
            raise SnapshotRefused(f"the snapshot's signature of {feed} is not of {self.signer}")
        return {"message": price.message(), "signature": signature}


def encode_snapshot(domain: Domain, signer: str, signed_vector: bytes, signatures: list[str]) -> bytes:
    """The document. `signed_vector` is JSON already, as `core.signed.passes` makes it."""
    head = orjson.dumps({"schema": SCHEMA, "domain": domain.document(), "signer": signer})
    return head[:-1] + b',"all":' + signed_vector + b',"signatures":' + orjson.dumps(signatures) + b"}"


def decode_snapshot(body: bytes, *, signer: str, chain_id: int, at: float, age_s_max: float) -> Snapshot:
    """The snapshot, if it is whole, of a schema known here, the signer's, and not older than allowed at `at`.

    Raises SnapshotRefused.
    """
    document = _parsed(body)
    try:
        vector = verify_prices(
            document.get("all"), signer=signer, chain_id=chain_id, at=at, age_s_max=age_s_max
        )
        signatures = document.get("signatures")
        if not isinstance(signatures, list) or len(signatures) != len(vector.prices):
            raise SnapshotRefused("the snapshot has not one signature a price")
        for signature in signatures:
            signature_bytes(signature)
    except Unverified as error:
        raise SnapshotRefused(f"the snapshot cannot be relied on: {error}") from None
    pairs = zip(vector.prices, signatures, strict=True)
    prices = {_name(price): (price, signature) for price, signature in pairs}
    return Snapshot(chain_id, signer.lower(), vector, str(document["all"]["signature"]), prices)


def _parsed(body: bytes) -> dict[str, Any]:
    if len(body) > BYTES_MAX:
        raise SnapshotRefused(f"{len(body)} bytes are no snapshot: at most {BYTES_MAX}")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise SnapshotRefused(f"the snapshot's {len(body)} bytes are no whole JSON document") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema != SCHEMA:
        raise SnapshotRefused(f"schema {schema!r} is not known here, only {SCHEMA}")
    return dict(document)


def _name(price: Price) -> str:
    try:
        return FeedId(price.feed_id).name
    except UnicodeDecodeError:
        raise SnapshotRefused("the snapshot holds a feed whose name is not ASCII") from None
