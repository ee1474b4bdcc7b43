"""The opponents: about a hundred providers, each with a method, venues, a pace, flaws and a weight.

Knows how providers differ; what they then see on a tape is `sampling`, how it becomes a price `methods`. The
same seed gives the same providers, whatever market they are sent to.

What is drawn follows what public configurations show: nearly half run Flare's example provider, mostly with
its own list of half a dozen venues, last trades, and USDT converted at a median of USDT/USD markets. Weights
are heavy-tailed and capped at 2.5 % of the whole, as delegation weight is on Flare. A few providers are slow,
a few miss rounds, and a few take a stablecoin for a dollar.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.ftso.hashing import keccak
from core.ftso.identities import Address

PROVIDERS: Final = 100
WEIGHT_CAP: Final = 0.025
WEIGHT_UNITS: Final = 10**9

_METHOD_SHARES: Final = {
    "flare-example": 0.44,
    "timrowley": 0.12,
    "niftyleague": 0.06,
    "jefriz29": 0.05,
    "connect": 0.07,
    "median": 0.08,
    "pyth": 0.03,
    "brti": 0.02,
    "brr": 0.01,
    "coinmetrics": 0.03,
    "chainlink": 0.02,
    "dia": 0.02,
    "mean": 0.03,
    "trend": 0.02,
}
_POPULAR: Final = {
    "binance": 0.95, "coinbase": 0.9, "okx": 0.85, "bybit": 0.75, "bitget": 0.6, "gate": 0.6, "mexc": 0.5,
    "kucoin": 0.5, "kraken": 0.5, "htx": 0.25, "cryptocom": 0.2, "bitstamp": 0.15, "bitfinex": 0.2,
}  # fmt: skip
_DOLLAR_VENUES: Final = frozenset({"coinbase", "kraken", "bitstamp", "cryptocom", "bitfinex"})


@dataclass(frozen=True, slots=True)
class Provider:
    """One opponent. `lag_s` before the commit it decides; it looks every `poll_s` (0: it streams).

    With `default_quotes` a venue is read in dollars where it has them and in USDT elsewhere, one leg a venue;
    without, all its legs. `at_par` takes stablecoins for dollars. `misses` is the share of rounds without a
    value.
    """

    name: str
    address: Address
    weight: int
    method: str
    venues: frozenset[str]
    default_quotes: bool
    at_par: bool
    poll_s: float
    latency_s: float
    lag_s: float
    misses: float

    def reads(self, venue: str, quote: str) -> bool:
        """Whether it would read such a leg."""
        if venue not in self.venues:
            return False
        return not self.default_quotes or quote == ("USD" if venue in _DOLLAR_VENUES else "USDT")


def draw_population(seed: int, count: int = PROVIDERS) -> tuple[Provider, ...]:
    """Providers by seed, the heaviest not first in any sense."""
    rng = np.random.default_rng([seed, 7])
    weights = _weights(rng, count)
    names = list(_METHOD_SHARES)
    shares = np.array(list(_METHOD_SHARES.values()))
    methods = rng.choice(len(names), count, p=shares / shares.sum())
    return tuple(_provider(rng, index, names[methods[index]], weights[index]) for index in range(count))


def typical_weight(providers: tuple[Provider, ...]) -> int:
    """The median weight: what an entrant takes part with."""
    return sorted(provider.weight for provider in providers)[len(providers) // 2]


def address_of(name: str) -> Address:
    """A submit address that follows from a name."""
    return Address(keccak(name.encode())[-20:])


def _provider(rng: np.random.Generator, index: int, method: str, weight: int) -> Provider:
    name = f"{method}#{index:02d}"
    slow = rng.random() < 0.15
    streams = rng.random() < (0.3 if method == "timrowley" else 0.75)
    return Provider(
        name=name,
        address=address_of(name),
        weight=weight,
        method=method,
        venues=_venues(rng),
        default_quotes=bool(rng.random() < 0.75),
        at_par=bool(rng.random() < 0.04),
        poll_s=0.0 if streams else float(rng.choice([1.0, 2.0, 5.0, 10.0])),
        latency_s=float(rng.lognormal(np.log(0.25), 0.5)),
        lag_s=float(rng.lognormal(np.log(4.0 if slow else 0.8), 0.6)),
        misses=float(rng.choice([0.0, 0.002, 0.02, 0.2], p=[0.5, 0.35, 0.12, 0.03])),
    )


def _venues(rng: np.random.Generator) -> frozenset[str]:
    """At least three, the popular ones more often."""
    names = list(_POPULAR)
    liked = rng.random(len(names)) / np.array(list(_POPULAR.values()))
    count = max(3, int(np.sum(liked < 1.0)))
    return frozenset(names[place] for place in np.argsort(liked)[:count])


def _weights(rng: np.random.Generator, count: int) -> list[int]:
    """Heavy-tailed shares, the largest cut to the cap and the rest raised to fill, in whole units."""
    share = rng.lognormal(0.0, 1.2, count)
    share /= share.sum()
    cap = max(WEIGHT_CAP, 1.5 / count)
    for _ in range(50):
        over = share > cap
        share = np.where(over, cap, share * (1 - cap * over.sum()) / share[~over].sum())
        if not (share > cap * (1 + 1e-9)).any():
            break
    return [int(units) for units in np.floor(share * WEIGHT_UNITS)]
