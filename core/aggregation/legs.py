"""What each leg has shown itself to be: how far off, noisy, late and reliable, and in which currency.

Learned from one pass to the next, from nothing but how legs stand to each other. Knows residuals. Does not
know the truth: what all legs share is never seen here (`follow` learns that from finalized medians).

A leg's reading is `log(price) + log(rate of its quote) + offset + bias`, and its residual `e` is how far that
is from the estimate, divided by one less the leg's own weight, so that a loud leg is not praised for agreeing
with itself. All memories forget by half-lives in `rules`; a residual beyond `teach_reach` teaches nothing, so
a venue that is pumped, stuck or in another unit changes no memory. Of a leg that has taught for less than
`teach_first_s` up to `offset_max` is believed: two dollars that already stand 27 bps apart at the start would
never be found out.

- **offset**, of a venue's quote currency: the dollars of two venues are not the same where money moves
  slowly, and a venue's USDT may stand apart from the rest. The weighted mean of the residuals of all legs
  of the cell (venue, quote), over all feeds, learned the more slowly the noisier they are. Only differences
  can be seen, so the dollar's level is set: the offsets of the dollar cells have their centre at 0, by
  `dollar_level`, and all others are moved with them. (Moved alone, the others drifted together, away from
  a lone venue's dollar.) Legs between currencies teach the less the more those move: where two of them
  disagree, as in a break of a stablecoin, they say little of what a venue's dollar is worth.
- **walk**: how far each currency moves, as a variance for each second; with how long a leg's price has stood
  (`since`) it tells how well an edge is known (`conversion`).
- **bias**, of the leg alone: what is left, slower, and within `bias_bands` secondary bands.
- **variance**: of what is left then. The weight of a leg falls with it (`trust`).
- **lag**: how much of the latest move the leg has not made yet, the slope of `e` on the move, within [-1, 0].
  It is told and corrects nothing: what lateness does to the others' median is learned in `follow`.
- **reliable**: the share of time in which the leg was used when it had a fresh price.
- **hidden**: a dollar cell whose residuals follow the rate of another currency is quoted in that one: the
  squares of `e` and of `e + log(rate)` are compared, see `_hidden`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.aggregation.conversion import edge_variances
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints, Markets
from core.aggregation.rules import Rules

_TINY: Final = 1e-300
_OWN_SHARE_MAX: Final = 0.75
"""Beyond this share a leg's distance from itself says nothing of it."""


@dataclass(frozen=True, slots=True)
class LegMemory:
    """[F, K]: bias, variance, lag_product, reliable, taught_s. [C] of cells (venue x quote): offset.
    [V, N] of venues and currencies: misfit. [V]: hidden, the currency that a venue's dollars are. [F]: slow
    (a slow log price, NaN before the first), move_square. [F, K]: price (the last one, in its quote currency,
    NaN before the first) and since when it stands. [N]: slow_rate (a slow log rate, NaN before the first) and
    rate_square, of the distance from it. `at` is the last lesson's time.
    """

    at: float
    bias: Floats
    variance: Floats
    taught_s: Floats
    reliable: Floats
    lag_product: Floats
    slow: Floats
    move_square: Floats
    offset: Floats
    misfit: Floats
    hidden: Ints
    price: Floats
    since: Floats
    slow_rate: Floats
    rate_square: Floats

    @classmethod
    def blank(cls, markets: Markets, rules: Rules) -> LegMemory:
        """What is believed of unseen legs: no bias, the noise of a fifth of a secondary band."""
        feeds, legs = markets.shape
        venues, currencies = len(markets.venues) or 1, len(markets.currencies)
        zeros = np.zeros((feeds, legs))
        return cls(
            at=-np.inf,
            bias=zeros,
            variance=zeros + _prior_variance(markets, rules)[:, None],
            taught_s=zeros,
            reliable=zeros + 1.0,
            lag_product=zeros,
            slow=np.full(feeds, np.nan),
            move_square=np.zeros(feeds),
            offset=np.zeros(venues * currencies),
            misfit=np.zeros((venues, currencies)),
            hidden=np.zeros(venues, np.intp),
            price=np.full((feeds, legs), np.nan),
            since=np.full((feeds, legs), -np.inf),
            slow_rate=np.full(currencies, np.nan),
            rate_square=np.zeros(currencies),
        )


@dataclass(frozen=True, slots=True)
class Corrections:
    """What is done to the legs, [F, K]: quote (the currency), shift (added to the log price), trust (a factor
    of the weight, within [trust_min, 1]), lag (the part of the latest move that is missing, within [-1, 0]),
    price and since (the last price, and since when it stands). [N]: walk, of currencies, a variance a second.
    """

    quote: Ints
    shift: Floats
    trust: Floats
    lag: Floats
    price: Floats
    since: Floats
    walk: Floats

    @classmethod
    def none(cls, markets: Markets) -> Corrections:
        zeros = np.zeros(markets.shape)
        unknown = np.full(markets.shape, np.nan)
        still = np.zeros(len(markets.currencies))
        return cls(markets.quote, zeros, zeros + 1.0, zeros, unknown, unknown, still)


@dataclass(frozen=True, slots=True)
class Lesson:
    """What a pass showed, [F, K]: residual (of the corrected log price to the estimate; NaN without a fresh
    price), weight, used, price (in its quote currency) and since when it stands. [F]: log_price of the
    estimate, NaN for none. [N]: log_rates, NaN for none.
    """

    residual: Floats
    weight: Floats
    used: Bools
    log_price: Floats
    log_rates: Floats
    price: Floats
    since: Floats


def cells_of(markets: Markets) -> Ints:
    """The cell [F, K] of each leg: its venue and quote currency."""
    return np.asarray(markets.venue * len(markets.currencies) + markets.quote)


def corrections(markets: Markets, memory: LegMemory, rules: Rules) -> Corrections:
    """What the memory does to the next pass."""
    quote = np.where(markets.quote == 0, memory.hidden.take(markets.venue), markets.quote)
    noise = memory.variance + (rules.noise_floor_bands * markets.band[:, None]) ** 2
    best = noise.min(axis=1, keepdims=True, where=memory.taught_s > 0, initial=np.inf)
    precise = np.minimum(np.where(np.isfinite(best), best, noise) / noise, 1.0)
    square = memory.move_square[:, None]
    lag = np.divide(memory.lag_product, square, out=np.zeros(markets.shape), where=square > rules.move_min**2)
    return Corrections(
        quote=quote,
        shift=_told(memory.offset, rules.offset_doubt).take(cells_of(markets))
        + _told(memory.bias, rules.bias_doubt),
        trust=np.maximum(precise * memory.reliable, rules.trust_min),
        lag=np.minimum(np.maximum(lag, -1.0), 0.0),
        price=memory.price,
        since=memory.since,
        walk=_walk(memory, rules),
    )


def _told(learned: Floats, doubt: float) -> Floats:
    """What is applied of what was learned: half of it at `doubt`, next to nothing below, next to all above.

    Below a basis point or two it is the grain of ticks and who traded last, and correcting by it adds noise.
    """
    square = learned**2
    return learned * square / (square + doubt**2)


def moves(memory: LegMemory, log_price: Floats) -> Floats:
    """How far each feed is from its slow price, [F]; 0 where there is none."""
    move = log_price - memory.slow
    return np.where(np.isnan(move), 0.0, move)


def learn_legs(markets: Markets, memory: LegMemory, lesson: Lesson, at: float, rules: Rules) -> LegMemory:
    """The memory after a pass. A step back of time teaches nothing; a long silence counts as a minute."""
    passed_s = min(at - memory.at, rules.lesson_s_max)
    if passed_s <= 0:
        return memory
    told = corrections(markets, memory, rules).shift
    untold = memory.offset.take(cells_of(markets)) + memory.bias - told
    apart = (lesson.residual + untold) / (1 - np.minimum(lesson.weight, _OWN_SHARE_MAX))
    first = memory.taught_s < rules.teach_first_s
    reach = np.where(first, rules.offset_max, rules.teach_reach)
    reach = np.maximum(reach, rules.teach_deviations * np.sqrt(memory.variance))
    teaches = (np.abs(apart) <= reach) & (lesson.weight <= _OWN_SHARE_MAX)  # not where it is NaN
    apart = np.where(teaches, apart, 0.0)
    noise = _noise(markets, memory, at - lesson.since, rules)
    offset, common = _offsets(markets, memory, apart, teaches, noise, passed_s=passed_s, rules=rules)
    own = np.where(teaches, apart - common.take(cells_of(markets)), 0.0)
    move = moves(memory, lesson.log_price)
    slow_share = _share(passed_s, rules.move_half_life_s)
    share = _share(passed_s, rules.noise_half_life_s)
    fresh = ~np.isnan(lesson.residual)
    missing = np.clip(own * move[:, None], -(rules.teach_reach**2), rules.teach_reach**2)
    bound = (rules.bias_bands * markets.band)[:, None]
    bias = memory.bias - _share(passed_s, rules.bias_half_life_s) * own
    bias -= np.einsum("fk,fk->f", bias, lesson.weight)[:, None] * teaches
    drift = lesson.log_rates - memory.slow_rate
    drift = np.where(np.isnan(drift), 0.0, drift)
    misfit, hidden = _hidden(markets, memory, lesson, passed_s, rules)
    return replace(
        memory,
        at=at,
        bias=np.minimum(np.maximum(bias, -bound), bound),
        variance=memory.variance + share * teaches * (own**2 - memory.variance),
        taught_s=np.minimum(memory.taught_s + passed_s * teaches, rules.noise_half_life_s),
        reliable=memory.reliable + share * fresh * (lesson.used - memory.reliable),
        lag_product=memory.lag_product + share * teaches * (missing - memory.lag_product),
        move_square=memory.move_square + share * (move**2 - memory.move_square),
        slow=np.where(
            np.isnan(memory.slow) | (np.abs(move) > rules.move_max),
            lesson.log_price,
            memory.slow + slow_share * move,
        ),
        offset=offset,
        misfit=misfit,
        hidden=hidden,
        price=lesson.price,
        since=lesson.since,
        slow_rate=np.where(
            np.isnan(memory.slow_rate),
            lesson.log_rates,
            memory.slow_rate + _share(passed_s, rules.walk_slow_s) * drift,
        ),
        rate_square=memory.rate_square
        + _share(passed_s, rules.walk_half_life_s)
        * (np.minimum(drift**2, rules.move_max**2) - memory.rate_square),
    )


def dollar_level(offset: Floats, weight: Floats) -> float:
    """Where the dollar is, from the offsets of venues' dollars: their mean of two, their median of more."""
    order = np.argsort(offset)
    offset, weight = offset[order], weight[order]
    if len(offset) < 3:
        return float(weight @ offset / max(weight.sum(), _TINY))
    reached = np.cumsum(weight) / weight.sum()
    return float(offset[np.searchsorted(reached, 0.5)])


def _walk(memory: LegMemory, rules: Rules) -> Floats:
    return np.asarray(memory.rate_square * (2 * np.log(2) / rules.walk_slow_s))


def _noise(markets: Markets, memory: LegMemory, stood_s: Floats, rules: Rules) -> Floats:
    """How noisily each leg [F * K] tells its cell's offset: edges also by how their currencies move."""
    noise = memory.variance.ravel().copy()
    noise[markets.edge_slot] += edge_variances(markets, _walk(memory, rules), stood_s, rules)[1]
    return noise


def _offsets(
    markets: Markets,
    memory: LegMemory,
    apart: Floats,
    teaches: Bools,
    noise: Floats,
    *,
    passed_s: float,
    rules: Rules,
) -> tuple[Floats, Floats]:
    """The cells' offsets after this pass, and by how much each was off in it, [C]."""
    cells, currencies = len(memory.offset), len(markets.currencies)
    cell = cells_of(markets).ravel()
    teaching = teaches.ravel()
    precision = teaching / noise
    whole = np.bincount(cell, precision, cells)
    common = np.bincount(cell, precision * apart.ravel(), cells) / np.maximum(whole, _TINY)
    offset = memory.offset * (1 - _share(passed_s, rules.offset_memory_s))
    typical = np.bincount(cell, teaching, cells) / np.maximum(whole, _TINY)
    slowly = rules.offset_half_life_s * (1 + typical / rules.offset_noise**2)
    learned = (1 - 0.5 ** (passed_s / slowly)) * common
    offset = offset - learned
    offset = np.minimum(np.maximum(offset, -rules.offset_max), rules.offset_max)
    dollars = np.flatnonzero(whole[::currencies] > 0)
    if len(dollars):
        weight = markets.dollar_weight[dollars]
        offset -= dollar_level(offset[::currencies][dollars], weight)
    return offset, learned


def _hidden(
    markets: Markets, memory: LegMemory, lesson: Lesson, passed_s: float, rules: Rules
) -> tuple[Floats, Ints]:
    """How badly each currency explains a venue's "dollar" legs, [V, N], and the one that is taken, [V].

    A currency within `hidden_apart` of the dollar tells nothing. One is taken when it explains the residuals
    with `hidden_ratio` of the square of what is taken now, and more than `hidden_apart` is explained by it.
    """
    dollars = markets.quote == 0
    there = dollars & ~np.isnan(lesson.residual)
    venue = markets.venue[there]
    seen = np.bincount(venue, minlength=len(memory.hidden))
    rates = np.where(np.isnan(lesson.log_rates), 0.0, lesson.log_rates)
    raw = lesson.residual[there] - rates[memory.hidden[venue]]
    told = np.abs(rates) > rules.hidden_apart
    told[0] = True
    miss = np.minimum((raw[:, None] + rates) ** 2, rules.hidden_square_max)
    summed = np.stack([np.bincount(venue, column, len(seen)) for column in miss.T], axis=1)
    square = summed / np.maximum(seen, 1)[:, None]
    share = _share(passed_s, rules.hidden_half_life_s) * (seen > 0)[:, None]
    misfit = memory.misfit + share * (square - memory.misfit)
    misfit = np.where(told, misfit, misfit[:, :1])  # what is worth a dollar explains as much as the dollar
    rows = np.arange(len(seen))
    now = misfit[rows, memory.hidden]
    best = np.where(told, misfit, np.inf).argmin(axis=1)
    better = (misfit[rows, best] < rules.hidden_ratio * now) & (now > rules.hidden_apart**2)
    return misfit, np.where(better, best, memory.hidden)


def _prior_variance(markets: Markets, rules: Rules) -> Floats:
    return np.asarray((rules.noise_prior_bands * markets.band) ** 2)


def _share(passed_s: float, half_life_s: float) -> float:
    """How much of what was known is replaced after so long."""
    return float(1 - 0.5 ** (passed_s / half_life_s))
