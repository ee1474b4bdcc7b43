"""The made market: a random walk over every leg of the feed table, seeded, asked about any instant.

Knows assets, venues' lags, spreads and how often a leg is traded. Does not know a clock, a format or a
fault. A price is the true price of the base over that of the quote, some time ago, off by the venue's own
noise; a thin leg is quiet for up to a minute or so, and keeps its price and time until it moves.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.feeds import FEEDS, LEGS, Leg
from core.simulator.assets import ASSETS, PRICE_DECIMALS_MAX, QUOTE_SHARE, VENUE_LAG_S, VENUE_SHARE
from core.simulator.noise import Floats, Ints, uniform, walk
from core.simulator.source import Print, Snapshot, Truth

STEP_S: Final = 0.25
DAY_S: Final = 86_400.0
_OCTAVES: Final = 20  # three days: the walk is free below that, bounded above
_VOLUME_OCTAVES: Final = 16
_NOISE_OCTAVES: Final = 8
_RANGE_STEPS: Final = 43_200  # three hours: how often the day's range and opening price are looked at anew
_UPDATE_MAX_S: Final = 40.0
_BLOCKS_BACK: Final = 8
_PRINTS_MAX: Final = 1000
_PRINTS_MEAN: Final = 1.5
_IDS_A_BLOCK: Final = 8
_POISSON: Final = np.cumsum([math.exp(-1.5) * 1.5**k / math.factorial(k) for k in range(7)])

# Streams of randomness: one number each, far apart, so that no two series share a hash.
_COMMON: Final = 1
_BASES: Final = 1_000
_LEG_NOISE: Final = 10_000
_UPDATES: Final = 20_000
_COUNTS: Final = 30_000
_SIDES: Final = 40_000
_SIZES: Final = 50_000
_VOLUMES: Final = 60_000

_ASSET_INDEX: Final = {base: index for index, base in enumerate(ASSETS)}
_RENAMED: Final = {"GRAM": "TON"}
_USD: Final = -1


@dataclass(frozen=True, slots=True)
class _LegTraits:
    """What does not change about the legs, as columns."""

    base: Ints
    quote: Ints  # _USD for US dollars
    lag: Ints  # steps
    period: Ints  # mean steps between two updates
    decimals: Ints
    size_decimals: Ints
    half_spread: Floats  # relative
    noise: Floats  # relative, over one step
    volume: Floats  # base units a day


class RandomMarket:
    """A market made from a seed. `pegs` moves stablecoins off one dollar: {"USDC": 0.88}.

    Raises ValueError for a peg of an asset that is not a stablecoin, or that is not positive.
    """

    def __init__(self, seed: int, pegs: Mapping[str, float] | None = None) -> None:
        self._seed = seed
        self._centre = np.array([asset.price for asset in ASSETS.values()])
        for name, peg in (pegs or {}).items():
            if name not in ASSETS or not ASSETS[name].pegged or not 0 < peg < 100:
                raise ValueError(f"not a peg: {name}={peg}")
            self._centre[_ASSET_INDEX[name]] = peg
        deviation = np.array([asset.volatility for asset in ASSETS.values()])
        pegged = np.array([asset.pegged for asset in ASSETS.values()])
        self._volatility = deviation * np.where(pegged, 2.0 ** (-_OCTAVES / 2), np.sqrt(STEP_S / DAY_S))
        self._shared = np.array([asset.market for asset in ASSETS.values()])
        self._traits = _traits(self._centre)
        self._everything = np.arange(len(LEGS), dtype=np.int64)
        self._past: tuple[int, Floats] | None = None  # the last answer of _past_day, which costs ten steps

    @property
    def step_s(self) -> float:
        return STEP_S

    def at(self, at: float) -> Snapshot:
        """All legs at an instant; about a millisecond of work."""
        traits, legs = self._traits, self._everything
        step = np.full(len(LEGS), int(at // STEP_S), np.int64)
        block = self._last_block(legs, step)
        moment = self._moment(legs, block)
        mid = self._mid(legs, moment)
        scale = 10.0**traits.decimals
        bid = np.floor(mid * (1 - traits.half_spread) * scale)
        ask = np.maximum(np.ceil(mid * (1 + traits.half_spread) * scale), bid + 1)
        traded = self._last_traded_block(legs, block)
        last = self._trade_price(legs, traded)
        depth = traits.volume / 2_000
        past = self._past_day(int(step[0]) // _RANGE_STEPS)
        return Snapshot(
            at=float(step[0]) * STEP_S,
            listed=np.ones(len(LEGS), np.bool_),
            decimals=traits.decimals,
            size_decimals=traits.size_decimals,
            bid=np.maximum(bid, 1) / scale,
            ask=np.maximum(ask, 2) / scale,
            bid_size=_sized(depth * (0.2 + uniform(self._seed, _SIZES + legs, 2 * moment)), traits),
            ask_size=_sized(depth * (0.2 + uniform(self._seed, _SIZES + legs, 2 * moment + 1)), traits),
            last=last,
            last_size=self._trade_size(legs, traded, self._count(legs, traded) - 1),
            open_24h=past[0],
            high_24h=np.maximum(past.max(axis=0), last),
            low_24h=np.minimum(past.min(axis=0), last),
            volume_24h=_sized(self._volume(legs, step), traits),
            event_at=np.asarray(moment * STEP_S, np.float64),
            trade_id=traded * _IDS_A_BLOCK + self._count(legs, traded) - 1,
            trades_24h=(DAY_S / STEP_S / traits.period * _PRINTS_MEAN).astype(np.int64),
        )

    def prints(self, leg: int, at: float, limit: int) -> Sequence[Print]:
        """The last trades of a leg; all of a block print at its moment, within 0.2 s before it."""
        wanted = min(max(limit, 1), _PRINTS_MAX)
        one = np.array([leg], np.int64)
        newest = int(self._last_block(one, np.array([int(at // STEP_S)], np.int64))[0])
        block = np.arange(newest - wanted - _BLOCKS_BACK, newest + 1, dtype=np.int64)
        legs = np.full(len(block), leg, np.int64)
        count = self._count(legs, block)
        block, legs = np.repeat(block, count)[-wanted:], np.repeat(legs, count)[-wanted:]
        rank = np.concatenate([np.arange(n) for n in count])[-wanted:].astype(np.int64)
        before = 0.2 * (1 - (rank + uniform(self._seed, _SIDES + legs, block)) / _IDS_A_BLOCK)
        times = np.round(self._moment(legs, block) * STEP_S - before, 6)
        prices, sizes = self._trade_price(legs, block), self._trade_size(legs, block, rank)
        sells = self._sells(legs, block)
        ids = block * _IDS_A_BLOCK + rank
        columns = (ids.tolist(), times.tolist(), prices.tolist(), sizes.tolist(), sells.tolist())
        return [Print(*fields) for fields in zip(*columns, strict=True)]

    def truth(self, at: float) -> Truth:
        """The true price of each feed, which no venue shows exactly, and the last price of each leg."""
        step = int(at // STEP_S)
        bases = np.array([_ASSET_INDEX[feed.base] for feed in FEEDS], np.int64)
        prices = self._usd(bases, np.full(len(bases), step, np.int64))
        last = self.at(at).last
        return Truth(
            at=step * STEP_S,
            minute=None,
            feeds={feed.name: float(price) for feed, price in zip(FEEDS, prices, strict=True)},
            legs={str(leg): float(price) for leg, price in zip(LEGS, last, strict=True)},
        )

    def _usd(self, asset: Ints, step: Ints) -> Floats:
        """True US dollars of assets at steps."""
        own = walk(self._seed, _BASES + asset, step, _OCTAVES)
        common = walk(self._seed, np.full_like(step, _COMMON), step, _OCTAVES)
        shared = self._shared[asset]
        moved = self._volatility[asset] * (shared * common + np.sqrt(1 - shared**2) * own)
        return np.asarray(self._centre[asset] * np.exp(moved))

    def _peg_usd(self, asset: Ints, step: Ints) -> Floats:
        """True US dollars of stablecoins: `_usd` without the part they have not in common."""
        own = walk(self._seed, _BASES + asset, step, _OCTAVES)
        return np.asarray(self._centre[asset] * np.exp(self._volatility[asset] * own))

    def _mid(self, legs: Ints, step: Ints) -> Floats:
        """What the venues think at steps, before spread and rounding."""
        traits = self._traits
        told = step - traits.lag[legs]
        mid = self._usd(traits.base[legs], told)
        quote = traits.quote[legs]
        converted = quote != _USD
        mid[converted] /= self._peg_usd(quote[converted], told[converted])
        noise = traits.noise[legs] * walk(self._seed, _LEG_NOISE + legs, step, _NOISE_OCTAVES)
        return np.asarray(mid * np.exp(noise))

    def _moment(self, legs: Ints, block: Ints) -> Ints:
        """The step within each block of steps at which the leg moves."""
        period = self._traits.period[legs]
        return block * period + (uniform(self._seed, _UPDATES + legs, block) * period).astype(np.int64)

    def _last_block(self, legs: Ints, step: Ints) -> Ints:
        block = step // self._traits.period[legs]
        return np.where(self._moment(legs, block) <= step, block, block - 1)

    def _count(self, legs: Ints, block: Ints) -> Ints:
        """How many trades print in each block: Poisson, at most 7, at least one in every eighth block."""
        drawn = np.searchsorted(_POISSON, uniform(self._seed, _COUNTS + legs, block), side="right")
        return np.asarray(np.where(block % _BLOCKS_BACK == 0, np.maximum(drawn, 1), drawn), np.int64)

    def _last_traded_block(self, legs: Ints, block: Ints) -> Ints:
        back = block[:, None] - np.arange(_BLOCKS_BACK, dtype=np.int64)
        traded = self._count(np.broadcast_to(legs[:, None], back.shape), back) > 0
        return np.asarray(back[np.arange(len(legs)), np.argmax(traded, axis=1)])

    def _sells(self, legs: Ints, block: Ints) -> NDArray[np.bool_]:
        return uniform(self._seed, _SIDES + legs, block) < 0.5

    def _trade_price(self, legs: Ints, block: Ints) -> Floats:
        mid = self._mid(legs, self._moment(legs, block))
        side = np.where(self._sells(legs, block), -1.0, 1.0)
        return _rounded(mid * (1 + side * self._traits.half_spread[legs]), self._traits.decimals[legs])

    def _trade_size(self, legs: Ints, block: Ints, rank: Ints) -> Floats:
        """Sizes whose sum over a day is about the day's volume."""
        traits = self._traits
        mean = traits.volume[legs] * traits.period[legs] * STEP_S / DAY_S / _PRINTS_MEAN
        drawn = uniform(self._seed, _SIZES + legs, (block << 4) + rank + (1 << 60))
        smallest = 10.0 ** -traits.size_decimals[legs].astype(np.float64)
        return np.maximum(_rounded(mean * 3 * drawn**2, traits.size_decimals[legs]), smallest)

    def _volume(self, legs: Ints, step: Ints) -> Floats:
        slow = walk(self._seed, _VOLUMES + legs, step, _VOLUME_OCTAVES) * 2.0 ** (-_VOLUME_OCTAVES / 2)
        return np.asarray(self._traits.volume * np.exp(0.2 * slow))

    def _past_day(self, bucket: int) -> Floats:
        """Prices of all legs at nine instants of the past day, the oldest first; the same for three hours."""
        if self._past is None or self._past[0] != bucket:
            steps = np.arange(bucket - 8, bucket + 1, dtype=np.int64) * _RANGE_STEPS
            prices = [self._mid(self._everything, np.full(len(LEGS), step)) for step in steps]
            self._past = (bucket, _rounded(np.stack(prices), self._traits.decimals))
        return self._past[1]


def _traits(centre: Floats) -> _LegTraits:
    liquidity = np.array([_liquidity(leg) for leg in LEGS])
    base = np.array([_ASSET_INDEX[_RENAMED.get(leg.base, leg.base)] for leg in LEGS], np.int64)
    quote = np.array([_ASSET_INDEX.get(leg.quote, _USD) for leg in LEGS], np.int64)
    price = centre[base]
    magnitude = np.floor(np.log10(price)).astype(np.int64)
    finest = np.array([PRICE_DECIMALS_MAX[leg.venue] for leg in LEGS], np.int64)
    pegged = np.array([asset.pegged for asset in ASSETS.values()])[base]
    spread = np.clip((1e8 / liquidity) ** 0.4, 0.05, np.where(pegged, 1.0, 25.0)) * 1e-4
    lag = np.array([VENUE_LAG_S[leg.venue] for leg in LEGS])
    return _LegTraits(
        base=base,
        quote=quote,
        lag=np.round(lag / STEP_S).astype(np.int64),
        period=np.ceil(np.clip(4e7 / liquidity, STEP_S, _UPDATE_MAX_S) / STEP_S).astype(np.int64),
        decimals=np.clip(5 - magnitude, 0, finest),
        size_decimals=np.clip(magnitude + 4, 0, 8),
        half_spread=spread / 2,
        noise=np.minimum(0.3 * spread + 1e-5, 6e-4) * 2.0 ** (-_NOISE_OCTAVES / 2),
        volume=liquidity / price,
    )


def _liquidity(leg: Leg) -> float:
    """What a leg trades in a day, in US dollars."""
    asset = ASSETS[_RENAMED.get(leg.base, leg.base)]
    return asset.notional * VENUE_SHARE[leg.venue] * QUOTE_SHARE.get((leg.venue, leg.quote), 1.0)


def _rounded(value: Floats, decimals: Ints) -> Floats:
    scale = 10.0**decimals
    return np.asarray(np.maximum(np.round(value * scale), 1) / scale)


def _sized(value: Floats, traits: _LegTraits) -> Floats:
    return _rounded(value, traits.size_decimals)
