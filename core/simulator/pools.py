"""What the two aggregators of decentralized exchanges show alike: pools of one token against a wrapped coin.

A simulated token has one deep pool, made long ago, and a young one with a wild price that nobody may believe.
Knows no format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from core.simulator.answers import Page, Row

WRAPPED: Final = "0x1d80c49bbbcd1c0911346656b529df9e5c2f783d"
WRAPPED_USD: Final = 0.0113
DEPTH_USD: Final = 250_000.0
MADE_S_AGO: Final = 400 * 86_400.0


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool whose base is the wrapped coin and whose quote is the token, as most on Flare are."""

    address: str
    token: str
    name: str
    price_usd: float
    liquidity_usd: float
    volume_24h_usd: float
    made_at: float


def pools_of(row: Row, token: str, at: float) -> tuple[Pool, ...]:
    """The pools of a token, the deep one first."""
    name = f"WFLR / {row.leg.base}"
    volume = max(row.notional_24h, 1_000.0)
    return (
        Pool("0x" + "a" * 40, token, name, row.last, DEPTH_USD, volume, at - MADE_S_AGO),
        Pool("0x" + "b" * 40, token, name, row.last * 1.5, 9e5, volume, at - 86_400.0),
    )


def rows_named(page: Page, names: list[str]) -> list[Row]:
    """The rows of the names that the aggregator knows, in their order."""
    return [row for name in names if (row := page.rows.get(name.lower())) is not None]
