"""A made market of many venues, from a seed: the tape that a segment of rounds is played on.

Knows assets, venues and regimes. The same seed, segment and feeds give the same bytes. The features, each
named where it is made:

- one efficient price an asset, with a market factor, volatility that clusters, and jumps (`_efficient`);
- stablecoins that drift, and on a depeg segment break (`_pegs`), when venues disagree more (`_apart`);
- per venue: a lag towards the efficient price, a bias, noise that fades, a spread, a tick size, quiet legs
  that stand for seconds, and trades at the book's sides (`_play`);
- pairs that are called USD and move like USDT pairs (`_Legs.hidden`);
- outages: a venue that does not answer, or answers the same again and again (`_outages`);
- venues that opponents read and Chrono does not (`_FOREIGN`).

Time is fine before each commit, where the others sample, and coarse elsewhere.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from chrono.feeds import DEX_VENUES, Feed, Leg
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints
from core.forge.tape import COMMIT_S, EPOCH_S, FIRST_ROUND_AT, Tape
from core.simulator.assets import ASSETS, PRICE_DECIMALS_MAX, QUOTE_SHARE, VENUE_SHARE

_DAY_S: Final = 86_400.0
_FIRST_ROUND: Final = 1_300_000
_SEGMENT_ROUNDS: Final = 10_000
_FINE_FROM_S: Final = 57.0
_FINE_S: Final = 0.25
_COARSE_S: Final = 3.0
_PEG_STEADY: Final = 1e-3
_APART: Final = 250.0
_APART_MAX: Final = 12.0
_RENAMED: Final = {"GRAM": "TON"}
_COINS: Final = ("USDT", "USDC", "USDS")

_FOREIGN: Final = {"bitget": 0.12, "gate": 0.1, "mexc": 0.1, "kucoin": 0.08, "htx": 0.06}
"""Venues that only opponents read, quoted in USDT, with their share of trade."""
_FOREIGN_USD: Final = {"bitstamp": 0.02, "cryptocom": 0.06}
_LAG_S: Final = {
    "binance": 0.15, "bybit": 0.3, "okx": 0.3, "coinbase": 0.35, "kraken": 0.6, "bitget": 0.4, "gate": 0.6,
    "mexc": 0.6, "kucoin": 0.5, "htx": 0.7, "bitstamp": 1.0, "cryptocom": 0.8, "bitfinex": 1.0, "gecko": 15.0,
    "dexscreener": 10.0,
}  # fmt: skip
_CLOCKLESS: Final = {"kraken", *DEX_VENUES}
_TRADE_CLOCK: Final = {"coinbase"}  # tells the time of the newest trade, not of the book


@dataclass(frozen=True, slots=True)
class Regime:
    """How rough a segment is: factors on volatility, spreads and outages, and what becomes of the pegs."""

    name: str
    volatility: float = 1.0
    drift_day: float = 0.0  # of the market factor's deviation, a day
    jumps_hour: float = 0.2
    spread: float = 1.0
    outages_hour: float = 0.15  # a venue
    usdc: float = 1.0  # where USDC is drawn to
    usdt: float = 1.0


REGIMES: Final = {
    regime.name: regime
    for regime in (
        Regime("calm"),
        Regime("crash", 6.0, -40.0, jumps_hour=6.0, spread=4.0, outages_hour=1.0, usdt=1.001),
        Regime("depeg", 2.5, -6.0, jumps_hour=2.0, spread=2.5, outages_hour=0.5, usdc=0.9, usdt=1.008),
    )
}


@dataclass(frozen=True, slots=True)
class _Legs:
    """What does not change about a segment's legs, [L]. base and quote index the assets; quote -1: USD."""

    base: Ints
    quote: Ints
    venue: Ints
    lag_s: Floats
    period_s: Floats
    trade_s: Floats
    half_spread: Floats
    noise: Floats
    bias: Floats
    decimals: Ints
    volume: Floats
    stable: Bools
    clockless: Bools
    trade_clock: Bools


@dataclass(frozen=True, slots=True)
class _Shown:
    """What the legs show, [T, L]."""

    mid: Floats
    told_at: Floats
    last: Floats
    last_at: Floats
    traded: Floats


def simulate(feeds: Sequence[Feed], regime: Regime, *, seed: int, segment: int, rounds: int) -> Tape:
    """The tape of one segment. Raises KeyError for a feed whose asset is not in the simulator's table."""
    rng = np.random.default_rng([seed, segment, zlib.crc32(regime.name.encode())])
    first = _FIRST_ROUND + segment * _SEGMENT_ROUNDS
    times = _times(first, rounds)
    assets = tuple(dict.fromkeys([*(_asset(feed.base) for feed in feeds), *_COINS]))
    world, feed_of = _world(feeds, np.random.default_rng(seed))
    own = sum(len(feed.legs) for feed in feeds)
    legs = _legs(world, assets, regime, np.random.default_rng([seed, 1]), rng)
    venues = tuple(dict.fromkeys(leg.venue for leg in world))
    price = np.log(_efficient(assets, times, regime, rng))
    coin = [assets.index(name) for name in _COINS]
    price[:, coin] = _pegs(times, regime, rng)
    silent, stuck = _outages(times, len(venues), regime, rng)
    shown = _play(times, price, legs, stuck=stuck, regime=regime, rng=rng)
    scale = 10.0**legs.decimals
    half = legs.half_spread * regime.spread
    bid = np.maximum(np.floor(shown.mid * (1 - half) * scale), 1) / scale
    ask = np.maximum(np.ceil(shown.mid * (1 + half) * scale) / scale, bid + 1 / scale)
    commits = (np.arange(first, first + rounds) * EPOCH_S + FIRST_ROUND_AT + COMMIT_S).astype(np.float64)
    return Tape(
        feeds=tuple(feeds),
        legs=world,
        own=own,
        feed=feed_of,
        times=times,
        bid=bid,
        ask=ask,
        last=np.maximum(np.round(shown.last * scale), 1) / scale,
        told_at=shown.told_at,
        last_at=shown.last_at,
        traded=shown.traded,
        volume_24h=np.broadcast_to(legs.volume, shown.mid.shape),
        answers=~silent[:, legs.venue],
        truth=np.exp(price[:, [assets.index(_asset(feed.base)) for feed in feeds]]),
        commit_at=commits,
        voting_round=np.arange(first, first + rounds, dtype=np.int64),
        regime=(regime.name,) * rounds,
    )


def _asset(name: str) -> str:
    return _RENAMED.get(name, name)


def _times(first: int, rounds: int) -> Floats:
    coarse = np.arange(0.0, _FINE_FROM_S, _COARSE_S)
    fine = np.arange(_FINE_FROM_S, COMMIT_S + 1e-9, _FINE_S)
    after = np.arange(COMMIT_S + _COARSE_S, EPOCH_S, _COARSE_S)
    offsets = np.concatenate((coarse, fine, after))
    starts = (np.arange(rounds) + first) * EPOCH_S + FIRST_ROUND_AT
    return np.asarray((starts[:, None] + offsets).ravel(), np.float64)


def _world(feeds: Sequence[Feed], rng: np.random.Generator) -> tuple[tuple[Leg, ...], Ints]:
    """All legs, and the feed of each: the table's own, then those that only opponents read."""
    legs = [leg for feed in feeds for leg in feed.legs]
    of = [row for row, feed in enumerate(feeds) for _ in feed.legs]
    for row, feed in enumerate(feeds):
        if feed.base == "USDT":
            more = [Leg(venue, "USDT", "USD") for venue in ("bitstamp", "bitfinex", "cryptocom")]
        elif feed.base == "USDC":
            more = [
                Leg("bitstamp", "USDC", "USD"),
                Leg("gate", "USDC", "USDT"),
                Leg("kucoin", "USDC", "USDT"),
            ]
        else:
            likely = min(0.95, 0.5 + 0.15 * np.log10(ASSETS[_asset(feed.base)].notional / 1e6))
            drawn = rng.random(len(_FOREIGN) + len(_FOREIGN_USD))
            named = [*((venue, "USDT") for venue in _FOREIGN), *((venue, "USD") for venue in _FOREIGN_USD)]
            chances = [likely] * len(_FOREIGN) + [likely - 0.45] * len(_FOREIGN_USD)
            more = [
                Leg(venue, feed.base, quote)
                for (venue, quote), chance, luck in zip(named, chances, drawn, strict=True)
                if luck < chance
            ]
        legs += more
        of += [row] * len(more)
    return tuple(legs), np.array(of, np.intp)


def _legs(
    world: Sequence[Leg],
    assets: Sequence[str],
    regime: Regime,
    lasting: np.random.Generator,
    rng: np.random.Generator,
) -> _Legs:
    """Traits; `lasting` draws what all segments of a seed share: who is biased, and who is hidden."""
    count = len(world)
    base = np.array([assets.index(_asset(leg.base)) for leg in world], np.intp)
    quote = np.array([assets.index(leg.quote) if leg.quote != "USD" else -1 for leg in world], np.intp)
    okx_usd = np.array(
        [leg.venue == "okx" and leg.quote == "USD" and leg.base not in _COINS for leg in world]
    )
    hidden = okx_usd & (lasting.random(count) < 0.6)  # called USD, moves like USDT
    liquidity = np.array([_liquidity(leg) for leg in world])
    stable = np.array([ASSETS[_asset(leg.base)].pegged for leg in world])
    spread = np.clip((1e8 / liquidity) ** 0.4, 0.08, np.where(stable, 1.5, 30.0)) * 1e-4
    price = np.array([ASSETS[asset].price for asset in assets])[base]
    magnitude = np.floor(np.log10(price)).astype(np.int64)
    finest = np.array([PRICE_DECIMALS_MAX.get(leg.venue, 10) for leg in world])
    venues = tuple(dict.fromkeys(leg.venue for leg in world))
    period = np.clip(3e7 / liquidity, 0.2, 40.0)
    size = lasting.standard_normal(count)
    return _Legs(
        base=base,
        quote=np.where(hidden, assets.index("USDT"), quote).astype(np.intp),
        venue=np.array([venues.index(leg.venue) for leg in world], np.intp),
        lag_s=np.array([_LAG_S[leg.venue] for leg in world]) * (1 + period / 5) * regime.volatility**0.25,
        period_s=period,
        trade_s=2.5 * period,
        half_spread=spread / 2,
        noise=(0.2 * spread + 2e-5) * np.sqrt(regime.spread),
        bias=size * np.minimum(0.15 * spread + 1e-5, 4e-4) + rng.standard_normal(count) * 1e-5,
        decimals=np.clip(5 - magnitude, 0, finest).astype(np.intp),
        volume=liquidity / price,
        stable=stable,
        clockless=np.array([leg.venue in _CLOCKLESS for leg in world]),
        trade_clock=np.array([leg.venue in _TRADE_CLOCK for leg in world]),
    )


def _liquidity(leg: Leg) -> float:
    shares = {**VENUE_SHARE, **_FOREIGN, **_FOREIGN_USD, "bitfinex": 0.02}
    return (
        ASSETS[_asset(leg.base)].notional * shares[leg.venue] * QUOTE_SHARE.get((leg.venue, leg.quote), 1.0)
    )


def _efficient(assets: Sequence[str], times: Floats, regime: Regime, rng: np.random.Generator) -> Floats:
    """Efficient prices [T, A]: a market factor and own moves under volatility that clusters, and jumps."""
    step = np.diff(times, prepend=times[0])
    count = len(assets)
    traits = [ASSETS[asset] for asset in assets]
    shared = np.array([trait.market for trait in traits])
    deviation = np.array([trait.volatility for trait in traits])
    minutes = np.arange(times[0], times[-1] + 60.0, 60.0)
    drawn = rng.standard_normal((len(minutes), count + 1)) * 0.08
    level = np.empty_like(drawn)
    level[0] = rng.standard_normal(count + 1) * 0.4
    for minute in range(1, len(minutes)):  # an hour's memory
        level[minute] = level[minute - 1] * (1 - 1 / 60) + drawn[minute]
    place = np.minimum(((times - times[0]) // 60).astype(np.intp), len(minutes) - 1)
    rough = regime.volatility * np.exp(level[place])
    move = rng.standard_normal((len(times), count + 1)) * rough * np.sqrt(step / _DAY_S)[:, None]
    move += _jumps(step, count + 1, regime, rng)
    move[:, -1] += regime.drift_day * step / _DAY_S
    moved = deviation * (shared * move[:, -1:] + np.sqrt(1 - shared**2) * move[:, :-1])
    free = np.array([not trait.pegged for trait in traits])
    centre = np.array([trait.price for trait in traits]) * np.exp(rng.standard_normal(count) * 0.05 * free)
    return np.asarray(centre * np.exp(np.cumsum(moved, axis=0)))


def _jumps(step: Floats, count: int, regime: Regime, rng: np.random.Generator) -> Floats:
    """Sudden moves of about a twentieth of a day's deviation, larger ones where it is rough."""
    happens = rng.random((len(step), count)) < (regime.jumps_hour * step / 3600.0)[:, None]
    size = rng.standard_normal((len(step), count)) * 0.05 * np.sqrt(regime.volatility)
    return np.where(happens, size, 0.0)


def _pegs(times: Floats, regime: Regime, rng: np.random.Generator) -> Floats:
    """Log prices [T, 3] of the stablecoins: each reverts to where its regime draws it, and wanders."""
    step = np.diff(times, prepend=times[0])
    total = times[-1] - times[0] + 1.0
    broken = np.log(np.array([regime.usdt, regime.usdc, 1.0]))
    at_break = rng.uniform(0.1, 0.25)
    rough = 1.0 + 400.0 * np.abs(broken)
    value = rng.standard_normal(3) * 2e-4
    out = np.empty((len(times), 3))
    drawn = rng.standard_normal((len(times), 3))
    for row, seconds in enumerate(step.tolist()):
        passed = (times[row] - times[0]) / total
        fallen = min(max((passed - at_break) / 0.25, 0.0), 1.0) * (1.0 - 0.5 * max(passed - 0.7, 0.0) / 0.3)
        pull = min(seconds / 1800.0, 1.0) if fallen == 0.0 else min(seconds / 300.0, 1.0)
        value = value + (broken * fallen - value) * pull
        value = value + drawn[row] * 6e-6 * np.where(fallen > 0.0, rough, 1.0) * np.sqrt(seconds)
        out[row] = value
    return out


def _outages(times: Floats, venues: int, regime: Regime, rng: np.random.Generator) -> tuple[Bools, Bools]:
    """[T, V] each: the venue does not answer; it answers what it answered before."""
    silent, stuck = np.zeros((2, len(times), venues), np.bool_)
    hours = (times[-1] - times[0]) / 3600.0
    for venue in range(venues):
        for _ in range(int(rng.poisson(regime.outages_hour * hours))):
            begin = times[0] + rng.random() * hours * 3600.0
            lasts = float(np.clip(np.exp(rng.normal(np.log(90.0), 0.8)), 5.0, 1800.0))
            rows = slice(*np.searchsorted(times, (begin, begin + lasts)))
            (silent if rng.random() < 0.6 else stuck)[rows, venue] = True
    return silent, stuck


def _apart(price: Floats, legs: _Legs) -> Floats:
    """[T, L]: how many times more venues disagree about a leg, the farther one of its stablecoins is off."""
    off = np.where(legs.quote >= 0, np.abs(price[:, legs.quote]), 0.0)
    off = np.maximum(off, np.where(legs.stable, np.abs(price[:, legs.base]), 0.0))
    return 1.0 + np.minimum(_APART * np.maximum(off - _PEG_STEADY, 0.0), _APART_MAX)


def _play(
    times: Floats, price: Floats, legs: _Legs, *, stuck: Bools, regime: Regime, rng: np.random.Generator
) -> _Shown:
    """Walk through the rows: what each venue thinks, and what of it it shows."""
    step = np.diff(times, prepend=times[0] - _COARSE_S)
    worth = price[:, legs.base] - np.where(legs.quote >= 0, price[:, legs.quote], 0.0)
    count, length = len(legs.base), len(times)
    out = _Shown(*(np.empty((length, count)) for _ in range(5)))
    thought, noise = worth[0].copy(), rng.standard_normal(count) * legs.noise
    shown = thought + noise + legs.bias
    told = np.full(count, times[0])
    last, last_at = shown.copy(), told.copy()
    near = 1.5 * legs.half_spread * regime.spread
    mean_size = legs.volume * legs.trade_s / _DAY_S
    apart = _apart(price, legs)
    for row, seconds in enumerate(step.tolist()):
        thought += (worth[row] - thought) * -np.expm1(-seconds / legs.lag_s)
        fade = np.exp(-seconds / 12.0)
        luck = rng.random((3, count))
        noise = noise * fade + rng.standard_normal(count) * legs.noise * np.sqrt(1 - fade**2)
        meant = thought + (noise + legs.bias) * apart[row]
        speaks = ~stuck[row, legs.venue]
        moves = speaks & ((luck[0] < -np.expm1(-seconds / legs.period_s)) | (np.abs(meant - shown) > near))
        shown, told = np.where(moves, meant, shown), np.where(moves, times[row], told)
        trades = speaks & (luck[1] < -np.expm1(-seconds * np.sqrt(regime.volatility) / legs.trade_s))
        side = np.where(luck[2] < 0.5, -1.0, 1.0) * legs.half_spread * regime.spread
        last, last_at = np.where(trades, shown + side, last), np.where(trades, times[row], last_at)
        out.mid[row], out.last[row] = shown, last
        out.last_at[row] = last_at
        out.told_at[row] = np.where(legs.trade_clock, last_at, told)
        out.traded[row] = np.where(trades, mean_size * -np.log1p(-luck[2] * 0.999), 0.0)
    out.told_at[:, legs.clockless] = np.nan
    return _Shown(np.exp(out.mid), out.told_at, np.exp(out.last), out.last_at, out.traded)
