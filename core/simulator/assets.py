"""What the simulated assets are like: plausible figures of early 2026, in a table. Knows no time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Asset:
    """`price` in US dollars is the middle of the walk, `volatility` its deviation over a day.

    `market` is the share of that deviation that all of crypto has in common (1 all, 0 none); `notional`
    is what all venues together trade in a day, in US dollars. A pegged asset reverts to its price.
    """

    price: float
    volatility: float
    market: float
    notional: float
    pegged: bool = False


def _stable(notional: float) -> Asset:
    return Asset(1.0, 0.0003, 0.0, notional, pegged=True)


# fmt: off
ASSETS: Final[dict[str, Asset]] = {
    "FLR": Asset(0.0113, 0.045, 0.7, 8e6),
    "SGB": Asset(0.00142, 0.06, 0.4, 1.2e5),
    "BTC": Asset(68_900.0, 0.025, 0.9, 2.4e10),
    "XRP": Asset(1.334, 0.04, 0.85, 3e9),
    "LTC": Asset(54.2, 0.038, 0.85, 3.5e8),
    "XLM": Asset(0.1571, 0.042, 0.8, 1.5e8),
    "DOGE": Asset(0.0917, 0.045, 0.85, 1.4e9),
    "ADA": Asset(0.2462, 0.043, 0.85, 6e8),
    "ALGO": Asset(0.0881, 0.045, 0.8, 6e7),
    "ETH": Asset(2_108.0, 0.035, 0.9, 1.3e10),
    "FIL": Asset(0.873, 0.048, 0.8, 1.3e8),
    "ARB": Asset(0.0974, 0.05, 0.8, 1.2e8),
    "AVAX": Asset(8.94, 0.045, 0.85, 4e8),
    "BNB": Asset(603.0, 0.027, 0.8, 1.6e9),
    "POL": Asset(0.0931, 0.045, 0.8, 9e7),
    "SOL": Asset(81.4, 0.04, 0.9, 4e9),
    "USDC": _stable(6e9),
    "USDT": _stable(3e9),
    "XDC": Asset(0.0304, 0.035, 0.5, 1.5e7),
    "TRX": Asset(0.3163, 0.018, 0.5, 5e8),
    "LINK": Asset(8.74, 0.043, 0.85, 4.5e8),
    "ATOM": Asset(1.72, 0.043, 0.8, 7e7),
    "DOT": Asset(1.25, 0.045, 0.85, 1.5e8),
    "TON": Asset(1.221, 0.04, 0.7, 1e8),
    "ICP": Asset(2.32, 0.046, 0.75, 5e7),
    "SHIB": Asset(0.00000587, 0.042, 0.8, 1.3e8),
    "USDS": _stable(1.2e7),
    "BCH": Asset(441.0, 0.036, 0.75, 2.5e8),
    "NEAR": Asset(1.274, 0.048, 0.8, 1.6e8),
    "LEO": Asset(9.83, 0.015, 0.2, 1e6),
    "UNI": Asset(3.12, 0.047, 0.8, 1.5e8),
    "ETC": Asset(8.17, 0.04, 0.8, 8e7),
    "WIF": Asset(0.1712, 0.065, 0.75, 8e7),
    "BONK": Asset(0.00000561, 0.06, 0.75, 9e7),
    "JUP": Asset(0.1624, 0.055, 0.7, 3e7),
    "ETHFI": Asset(0.467, 0.06, 0.75, 4e7),
    "ENA": Asset(0.0821, 0.062, 0.8, 1.5e8),
    "PYTH": Asset(0.0412, 0.055, 0.7, 2.5e7),
    "HNT": Asset(1.083, 0.055, 0.5, 3e6),
    "SUI": Asset(0.8741, 0.05, 0.85, 5e8),
    "PEPE": Asset(0.00000342, 0.055, 0.85, 3e8),
    "QNT": Asset(68.3, 0.038, 0.6, 1.5e7),
    "AAVE": Asset(95.6, 0.048, 0.8, 2.5e8),
    "S": Asset(0.0413, 0.055, 0.7, 2.5e7),
    "ONDO": Asset(0.2583, 0.05, 0.8, 8e7),
    "TAO": Asset(312.0, 0.055, 0.6, 2e8),
    "FET": Asset(0.2314, 0.058, 0.7, 1e8),
    "RENDER": Asset(1.72, 0.055, 0.75, 5e7),
    "NOT": Asset(0.000372, 0.055, 0.7, 1e7),
    "RUNE": Asset(0.4021, 0.05, 0.7, 2e7),
    "TRUMP": Asset(2.87, 0.05, 0.6, 8e7),
    "USDX": _stable(1e5),
    "HBAR": Asset(0.0873, 0.045, 0.8, 1.2e8),
    "PENGU": Asset(0.00653, 0.06, 0.8, 1e8),
    "HYPE": Asset(36.1, 0.05, 0.7, 2e8),
    "APT": Asset(0.852, 0.05, 0.8, 6e7),
    "PAXG": Asset(4_690.0, 0.012, 0.0, 2e8),
    "BERA": Asset(0.4117, 0.06, 0.6, 1.5e7),
    "OP": Asset(0.1123, 0.052, 0.8, 7e7),
    "PUMP": Asset(0.001741, 0.065, 0.7, 1e8),
    "XPL": Asset(0.0962, 0.065, 0.7, 6e7),
    "MON": Asset(0.03213, 0.065, 0.6, 1.5e7),
    "NIGHT": Asset(0.0389, 0.06, 0.5, 2.5e7),
}
# fmt: on

VENUE_SHARE: Final = {
    "binance": 0.45,
    "coinbase": 0.2,
    "okx": 0.15,
    "bybit": 0.15,
    "kraken": 0.05,
    "gecko": 0.05,
    "dexscreener": 0.05,
}
"""What share of an asset's trade a venue has."""

VENUE_LAG_S: Final = {
    "binance": 0.0,
    "coinbase": 0.25,
    "okx": 0.25,
    "bybit": 0.25,
    "kraken": 0.5,
    "gecko": 3.0,
    "dexscreener": 2.0,
}
"""How long after the truth a venue's price moves."""

QUOTE_SHARE: Final = {
    ("binance", "USD"): 0.01,
    ("binance", "USDC"): 0.15,
    ("bybit", "USDC"): 0.05,
    ("okx", "USD"): 0.05,
    ("okx", "USDC"): 0.05,
    ("coinbase", "USDT"): 0.04,
    ("kraken", "USDT"): 0.15,
    ("kraken", "USDC"): 0.08,
}
"""What share of a venue's trade a lesser quote has; 1 for a venue's main one."""

PRICE_DECIMALS_MAX: Final = {
    "binance": 8,
    "coinbase": 10,
    "okx": 12,
    "bybit": 10,
    "kraken": 10,
    "gecko": 12,
    "dexscreener": 12,
}
"""The finest price that a venue writes: on Binance the cheapest assets move in coarse steps."""
