"""Batches for tests: a collector's key and a few ticks, sealed."""

from __future__ import annotations

from decimal import Decimal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from chrono.batch import Batch
from chrono.feeds import Leg
from chrono.signing import seal
from chrono.ticks import Quote, Tick, Trade
from chrono.venue_state import VenueReport
from core.keys import LocalSigner

AT = 1_800_000_000.0
KRAKEN_BTC = Leg("kraken", "BTC", "USD")


def new_signer() -> LocalSigner:
    return LocalSigner.of(Ed25519PrivateKey.generate())


def quote(leg: Leg = KRAKEN_BTC, *, bid: str = "64000.1", ask: str = "64000.3", at: float = AT) -> Quote:
    return Quote(leg, Decimal(bid), Decimal(ask), Decimal(bid), Decimal("1200.5"), None, at)


def trade(leg: Leg = KRAKEN_BTC, *, price: str = "64000.2", size: str = "0.5", at: float = AT) -> Trade:
    return Trade(leg, Decimal(price), Decimal(size), at, at)


async def sealed_batch(
    signer: LocalSigner,
    *ticks: Tick,
    sequence: int = 1,
    sent_at: float = AT,
    reports: tuple[VenueReport, ...] = (),
) -> bytes:
    return await seal(Batch(signer.key_id, sequence, sent_at, ticks, reports), signer)
