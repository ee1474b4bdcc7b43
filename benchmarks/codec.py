"""A batch of 1,000 ticks on its way in: signature, header and columns, beside the plain decoder.

The batch has what a collector sends in a busy second: quotes of all legs with bid, ask, last and volume, and
trades between them. The plain decoder, `chrono.batch.decode`, makes a tick of every row and checks no
signature; the core needs columns and does.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from decimal import Decimal
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benchmarks.timing import times_of
from chrono.batch import Batch, decode, encode
from chrono.feeds import LEGS
from chrono.signing import KeyRing, PublicKey, open_sealed, seal
from chrono.ticks import Quote, Tick, Trade
from core.columns import decode_columns
from core.keys import LocalSigner, verify

TICKS = 1_000
AT = 1_800_000_000.0
TARGET = "< 3 ms"


def run(quick: bool = False) -> list[dict[str, object]]:
    """Rows of the table: verifying and decoding, and beside it encoding and signing."""
    signer = LocalSigner.of(Ed25519PrivateKey.generate())
    ring = KeyRing([PublicKey(signer.public_key)])
    batch = Batch(signer.key_id, 1, AT, _ticks())
    sealed = asyncio.run(seal(batch, signer))

    def opened() -> int:
        header = open_sealed(sealed, ring, verify, at=AT)
        return len(decode_columns(sealed, header)[0])

    assert opened() == TICKS
    assert decode(sealed).ticks == batch.ticks
    ours, plain, making = [], [], []
    # In turns, so that what else the machine does falls on all of them alike.
    for _ in range(3 if quick else 20):
        ours += times_of(opened, 10 if quick else 50)
        plain += times_of(lambda: decode(sealed), 2 if quick else 5)
        making += times_of(lambda: signer.private_key.sign(encode(batch)), 2 if quick else 5)
    return [
        _row(f"verify and decode {TICKS:,} ticks, {len(sealed):,} bytes", ours, plain, TARGET),
        _row(f"encode and sign {TICKS:,} ticks", making, None, None),
    ]


def _ticks() -> tuple[Tick, ...]:
    ticks: list[Tick] = []
    for index in range(TICKS):
        leg, cents = LEGS[index % len(LEGS)], Decimal(index).scaleb(-2)
        if index % 4 == 3:
            ticks.append(Trade(leg, 64_000 + cents, Decimal("0.01250") + cents, AT - 0.3, AT - 0.1))
        else:
            bid = 64_000 + cents
            ticks.append(Quote(leg, bid, bid + 1, bid, Decimal("1234.56789"), AT - 0.2, AT - 0.1))
    return tuple(ticks)


def _row(
    name: str, figures: list[float], baseline: list[float] | None, target: str | None
) -> dict[str, object]:
    figure = median(figures)
    return {
        "name": f"{name} (best {min(figures):.2f} ms)",
        "figure": figure,
        "unit": "ms",
        "baseline": median(baseline) if baseline else None,
        "baseline_name": "plain decoder, no signature" if baseline else None,
        "ratio": median(baseline) / figure if baseline else None,
        "target": target,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    for row in run(parser.parse_args().quick):
        print(json.dumps(row))
