"""What an opponent sees of a tape when it decides, and the values that it commits.

Knows delays: a provider that decides `lag_s` before the commit knows each venue's row of `latency_s` and up
to one poll earlier, or the last one that the venue answered. Never a later one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Ints
from core.forge.methods import METHODS, NEEDS_PAST, PAST, PAST_STEP_S, Sample, middle
from core.forge.population import Provider
from core.forge.tape import Tape

TIER_ONE: Final = frozenset({"binance", "coinbase", "kraken", "okx", "cryptocom"})
COINS: Final = ("USDT", "USDC", "USDS")


def committed(tape: Tape, providers: Sequence[Provider], seed: int) -> Floats:
    """What the providers commit, [R, F, P] dollars; NaN for no value."""
    seen = _Seen(tape)
    values = np.full((len(tape.commit_at), len(tape.feeds), len(providers)), np.nan)
    for place, provider in enumerate(providers):
        rng = np.random.default_rng([seed, 11, place, int(tape.voting_round[0])])
        values[:, :, place] = _of_provider(seen, provider, rng)
    return values


def venue_prices(tape: Tape) -> tuple[tuple[str, ...], Floats]:
    """The venues, and what each showed of every feed at the commits, [V, R, F] dollars; NaN for nothing.

    Converted by the medians of all stablecoin markets; of several legs of a venue the middle counts.
    """
    seen = _Seen(tape)
    venues = tuple(dict.fromkeys(leg.venue for leg in tape.legs))
    rows = seen.heard[tape.row(tape.commit_at)]
    rates = _rates(seen, frozenset(venues), rows)
    usd = np.stack([rates.get(leg.quote, rates["USD"]) for leg in tape.legs], axis=1)
    usd *= seen.mid[rows, np.arange(len(tape.legs))]
    out = np.full((len(venues), len(rows), len(tape.feeds)), np.nan)
    for place, venue in enumerate(venues):
        for feed, legs in enumerate(seen.legs):
            mine = [at for at in legs if tape.legs[at].venue == venue]
            if mine:
                out[place, :, feed] = middle(usd[:, mine])
    return venues, out


class _Seen:
    """A tape with what all providers need of it: mids, and the newest row that each leg's venue answered."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.mid = tape.mids()
        rows = np.arange(len(tape.times))[:, None]
        self.heard = np.maximum.accumulate(np.where(tape.answers, rows, 0), axis=0).astype(np.intp)
        self.legs = [np.flatnonzero(tape.feed == feed) for feed in range(len(tape.feeds))]
        pairs = [(leg.base, leg.quote) for leg in tape.legs]
        self.coins = {
            (coin, quote): [at for at, pair in enumerate(pairs) if pair == (coin, quote)]
            for coin in COINS
            for quote in ("USD", "USDT")
        }

    def read_by(self, provider: Provider, feed: int) -> Ints:
        """The legs of a feed that a provider reads; where its list has none, all that there are."""
        legs = self.tape.legs
        read = [at for at in self.legs[feed] if provider.reads(legs[at].venue, legs[at].quote)]
        return np.array(read, np.intp) if read else self.legs[feed]


def _of_provider(seen: _Seen, provider: Provider, rng: np.random.Generator) -> Floats:
    tape, rounds = seen.tape, len(seen.tape.commit_at)
    decide = tape.commit_at - provider.lag_s * rng.lognormal(0.0, 0.3, rounds)
    venues = dict.fromkeys(leg.venue for leg in tape.legs)
    phase = rng.random((rounds, len(venues))) * provider.poll_s
    of_leg = np.array([list(venues).index(leg.venue) for leg in tape.legs])
    asked = tape.row(decide[:, None] - provider.latency_s - phase)[:, of_leg]
    rows = seen.heard[asked, np.arange(len(tape.legs))]
    rates = _rates(seen, provider.venues, rows, at_par=provider.at_par)
    out = np.full((rounds, len(tape.feeds)), np.nan)
    for feed in range(len(tape.feeds)):
        legs = seen.read_by(provider, feed)
        if len(legs):
            rate = np.stack([rates.get(tape.legs[leg].quote, rates["USD"]) for leg in legs], axis=1)
            out[:, feed] = METHODS[provider.method](
                _sample(seen, provider, decide, rows=rows[:, legs], legs=legs, rate=rate)
            )
    out[rng.random(rounds) < provider.misses] = np.nan
    return out


def _rates(seen: _Seen, venues: frozenset[str], rows: Ints, *, at_par: bool = False) -> dict[str, Floats]:
    """Dollars per currency [R], as a reader of these venues converts: at par, or by medians of markets."""
    one = np.ones(len(rows))
    rates = {"USD": one}
    for coin in COINS:
        prices = []
        for quote, rate in (("USD", one), ("USDT", rates.get("USDT", one))):
            every = seen.coins[coin, quote]
            own = [at for at in every if seen.tape.legs[at].venue in venues] or every
            prices.append(seen.mid[rows[:, own], own] * rate[:, None])
        price = middle(np.concatenate(prices, axis=1)) if seen.coins[coin, "USD"] else one
        rates[coin] = one if at_par else np.where(np.isnan(price), 1.0, price)
    return rates


def _sample(
    seen: _Seen, provider: Provider, decide: Floats, *, rows: Ints, legs: Ints, rate: Floats
) -> Sample:
    tape = seen.tape
    mid = seen.mid[rows, legs]
    shape = (len(decide), PAST if provider.method in NEEDS_PAST else 0, len(legs))
    past, traded = np.full(shape, np.nan), np.zeros(shape)
    for back in range(shape[1]):
        row = tape.row(decide - provider.latency_s - back * PAST_STEP_S)
        then = seen.heard[row[:, None], legs]
        past[:, back] = seen.mid[then, legs] * rate
        traded[:, back] = tape.traded[then, legs] * past[:, back]
    return Sample(
        mid=mid * rate,
        last=tape.last[rows, legs] * rate,
        half_spread=np.nan_to_num((tape.ask[rows, legs] - tape.bid[rows, legs]) / 2 / mid),
        age_s=np.maximum(decide[:, None] - tape.last_at[rows, legs], 0.0),
        volume=tape.volume_24h[rows, legs] * mid * rate,
        tier_one=np.broadcast_to([tape.legs[leg].venue in TIER_ONE for leg in legs], mid.shape),
        past=past,
        traded=traded,
    )
