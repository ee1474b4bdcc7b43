"""Plain twin of what is learned of legs: one leg after the other, by the definition."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from chrono.feeds import Feed, Leg
from core.aggregation.markets import DOLLAR_WEIGHTS, STABLECOINS
from core.aggregation.rules import Rules

Place = tuple[int, int]
"""A feed and one of its legs."""


@dataclass
class PlainLegLesson:
    """By leg: residual (None without a fresh price), weight, used, and how long its price has stood. By feed:
    log_price. By currency: rate.
    """

    residual: dict[Place, float | None]
    weight: dict[Place, float]
    used: dict[Place, bool]
    log_price: list[float | None]
    log_rates: dict[str, float | None]
    stood_s: dict[Place, float]


@dataclass
class PlainLegs:
    """All that is remembered, by leg, by cell (venue, quote), by venue and currency, and by feed."""

    feeds: Sequence[Feed]
    rules: Rules
    at: float = -math.inf
    bias: dict[Place, float] = field(default_factory=dict)
    variance: dict[Place, float] = field(default_factory=dict)
    taught_s: dict[Place, float] = field(default_factory=dict)
    reliable: dict[Place, float] = field(default_factory=dict)
    lag_product: dict[Place, float] = field(default_factory=dict)
    offset: dict[tuple[str, str], float] = field(default_factory=dict)
    misfit: dict[tuple[str, str], float] = field(default_factory=dict)
    hidden: dict[str, str] = field(default_factory=dict)
    slow: list[float | None] = field(default_factory=list)
    move_square: list[float] = field(default_factory=list)
    slow_rate: dict[str, float | None] = field(default_factory=dict)
    rate_square: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for place, leg in self.legs():
            self.bias[place] = self.taught_s[place] = self.lag_product[place] = 0.0
            self.reliable[place] = 1.0
            self.variance[place] = (self.rules.noise_prior_bands * self.band(place)) ** 2
            self.offset[leg.venue, leg.quote] = 0.0
            self.hidden[leg.venue] = "USD"
        self.slow = [None for _ in self.feeds]
        self.move_square = [0.0 for _ in self.feeds]
        self.slow_rate = dict.fromkeys(self.currencies())
        self.rate_square = dict.fromkeys(self.currencies(), 0.0)

    def legs(self) -> list[tuple[Place, Leg]]:
        return [((f, k), leg) for f, feed in enumerate(self.feeds) for k, leg in enumerate(feed.legs)]

    def currencies(self) -> set[str]:
        """What is a leg's quote, and stablecoins; legs of them are edges between currencies."""
        legs = [leg for _, leg in self.legs()]
        return {"USD"} | {leg.quote for leg in legs} | {leg.base for leg in legs if leg.base in STABLECOINS}

    def band(self, place: Place) -> float:
        return self.feeds[place[0]].secondary_band_ppm / 1e6


def told(learned: float, doubt: float) -> float:
    return learned**3 / (learned**2 + doubt**2)


def share(passed_s: float, half_life_s: float) -> float:
    return 1 - 0.5 ** (passed_s / half_life_s)


def clip(value: float, least: float, most: float) -> float:
    return min(max(value, least), most)


def quote(memory: PlainLegs, leg: Leg) -> str:
    """The currency that the leg is taken to be quoted in."""
    return memory.hidden[leg.venue] if leg.quote == "USD" else leg.quote


def shift(memory: PlainLegs, place: Place, leg: Leg) -> float:
    rules = memory.rules
    offset = told(memory.offset[leg.venue, leg.quote], rules.offset_doubt)
    return offset + told(memory.bias[place], rules.bias_doubt)


def trust(memory: PlainLegs, place: Place) -> float:
    """The noise of the best known leg of the feed over the leg's own, times how reliable it is."""
    rules, feed = memory.rules, place[0]
    floor = (rules.noise_floor_bands * memory.band(place)) ** 2
    known = [memory.variance[p] + floor for p, _ in memory.legs() if p[0] == feed and memory.taught_s[p] > 0]
    precise = min(min(known) / (memory.variance[place] + floor), 1.0) if known else 1.0
    return max(precise * memory.reliable[place], rules.trust_min)


def lag(memory: PlainLegs, place: Place) -> float:
    square = memory.move_square[place[0]]
    if square <= memory.rules.move_min**2:
        return 0.0
    return clip(memory.lag_product[place] / square, -1.0, 0.0)


def dollar_level(offsets: list[float], weights: list[float]) -> float:
    """The mean of two; of more, the first at which half of the weight is reached."""
    if len(offsets) < 3:
        return sum(o * w for o, w in zip(offsets, weights, strict=True)) / sum(weights)
    reached = 0.0
    for offset, weight in sorted(zip(offsets, weights, strict=True)):
        reached += weight
        if reached >= sum(weights) / 2:
            return offset
    raise AssertionError


def learn(memory: PlainLegs, lesson: PlainLegLesson, at: float) -> PlainLegs:
    """What is remembered after a pass."""
    rules = memory.rules
    passed_s = min(at - memory.at, rules.lesson_s_max)
    if passed_s <= 0:
        return memory
    new = copy.deepcopy(memory)
    new.at = at
    apart = _apart(memory, lesson)
    common = _learn_offsets(memory, new, lesson, apart, passed_s)
    slowly = share(passed_s, rules.noise_half_life_s)
    for place, leg in memory.legs():
        if lesson.residual[place] is not None:
            new.reliable[place] += slowly * (lesson.used[place] - memory.reliable[place])
        if place not in apart:
            continue
        own = apart[place] - common[leg.venue, leg.quote]
        missing = clip(own * _move(memory, lesson, place[0]), -(rules.teach_reach**2), rules.teach_reach**2)
        new.bias[place] -= share(passed_s, rules.bias_half_life_s) * own
        new.variance[place] += slowly * (own**2 - memory.variance[place])
        new.lag_product[place] += slowly * (missing - memory.lag_product[place])
        new.taught_s[place] = min(memory.taught_s[place] + passed_s, rules.noise_half_life_s)
    _centre_biases(new, lesson, apart)
    for feed in range(len(memory.feeds)):
        _learn_moves(memory, new, lesson, feed, passed_s)
    _learn_walks(memory, new, lesson, passed_s)
    _learn_hidden(memory, new, lesson, passed_s)
    return new


def _apart(memory: PlainLegs, lesson: PlainLegLesson) -> dict[Place, float]:
    """How far each leg that teaches is from the others, without what is corrected of it."""
    rules, found = memory.rules, {}
    for place, leg in memory.legs():
        residual = lesson.residual[place]
        if residual is None:
            continue
        untold = memory.offset[leg.venue, leg.quote] + memory.bias[place] - shift(memory, place, leg)
        apart = (residual + untold) / (1 - min(lesson.weight[place], 0.75))
        near = rules.offset_max if memory.taught_s[place] < rules.teach_first_s else rules.teach_reach
        reach = max(near, rules.teach_deviations * math.sqrt(memory.variance[place]))
        if abs(apart) <= reach and lesson.weight[place] <= 0.75:
            found[place] = apart
    return found


def _learn_offsets(
    memory: PlainLegs,
    new: PlainLegs,
    lesson: PlainLegLesson,
    apart: dict[Place, float],
    passed_s: float,
) -> dict[tuple[str, str], float]:
    """Sets the offsets, and returns by how much each cell was off in this pass, as far as it is taken."""
    rules, common = memory.rules, {}
    teaching = {p: leg for p, leg in memory.legs() if p in apart}
    for cell in memory.offset:
        mine = [p for p, leg in teaching.items() if (leg.venue, leg.quote) == cell]
        precision = [1 / (memory.variance[p] + _edge_variance(memory, lesson, p)) for p in mine]
        off = noise = 0.0
        if mine:
            off = sum(w * apart[p] for w, p in zip(precision, mine, strict=True)) / sum(precision)
            noise = len(mine) / sum(precision)
        slowly = rules.offset_half_life_s * (1 + noise / rules.offset_noise**2)
        common[cell] = off * share(passed_s, slowly)
        faded = memory.offset[cell] * (1 - share(passed_s, rules.offset_memory_s))
        new.offset[cell] = clip(faded - common[cell], -rules.offset_max, rules.offset_max)
    dollars = {leg.venue for leg in teaching.values() if leg.quote == "USD"}
    if dollars:
        offsets = [new.offset[venue, "USD"] for venue in dollars]
        level = dollar_level(offsets, [DOLLAR_WEIGHTS.get(venue, 1.0) for venue in dollars])
        for cell in new.offset:
            new.offset[cell] -= level
    return common


def _centre_biases(new: PlainLegs, lesson: PlainLegLesson, apart: dict[Place, float]) -> None:
    """The weighted mean of a feed's biases is taken off those that were taught; then the bounds."""
    for feed in range(len(new.feeds)):
        mine = [place for place, _ in new.legs() if place[0] == feed]
        mean = sum(new.bias[place] * lesson.weight[place] for place in mine)
        for place in mine:
            bound = new.rules.bias_bands * new.band(place)
            new.bias[place] = clip(new.bias[place] - mean * (place in apart), -bound, bound)


def _move(memory: PlainLegs, lesson: PlainLegLesson, feed: int) -> float:
    price, slow = lesson.log_price[feed], memory.slow[feed]
    return 0.0 if price is None or slow is None else price - slow


def _learn_moves(
    memory: PlainLegs, new: PlainLegs, lesson: PlainLegLesson, feed: int, passed_s: float
) -> None:
    rules, move = memory.rules, _move(memory, lesson, feed)
    slowly = share(passed_s, rules.noise_half_life_s)
    new.move_square[feed] += slowly * (move**2 - memory.move_square[feed])
    slow = memory.slow[feed]
    if slow is None or abs(move) > rules.move_max:
        new.slow[feed] = lesson.log_price[feed]
    else:
        new.slow[feed] = slow + share(passed_s, rules.move_half_life_s) * move


def walk(memory: PlainLegs, currency: str) -> float:
    """How far a currency moves, as a variance a second."""
    return memory.rate_square[currency] * 2 * math.log(2) / memory.rules.walk_slow_s


def _edge_variance(memory: PlainLegs, lesson: PlainLegLesson, place: Place) -> float:
    """How far the two currencies of an edge may have moved since its price is what it is; 0 of other legs."""
    leg = dict(memory.legs())[place]
    if leg.base not in memory.currencies():
        return 0.0
    late_s = min(lesson.stood_s[place], memory.rules.told_s) + memory.rules.settle_s
    return (walk(memory, leg.base) + walk(memory, leg.quote)) * late_s


def _learn_walks(memory: PlainLegs, new: PlainLegs, lesson: PlainLegLesson, passed_s: float) -> None:
    rules = memory.rules
    for currency, rate in lesson.log_rates.items():
        slow = memory.slow_rate[currency]
        drift = 0.0 if rate is None or slow is None else rate - slow
        new.slow_rate[currency] = rate if slow is None else slow + share(passed_s, rules.walk_slow_s) * drift
        square = min(drift**2, rules.move_max**2)
        new.rate_square[currency] += share(passed_s, rules.walk_half_life_s) * (
            square - memory.rate_square[currency]
        )


def _learn_hidden(memory: PlainLegs, new: PlainLegs, lesson: PlainLegLesson, passed_s: float) -> None:
    """Which currency a venue's dollars are: the one whose rate leaves the smallest squares."""
    rules = memory.rules
    rates = {currency: rate or 0.0 for currency, rate in lesson.log_rates.items()}
    for venue, taken in memory.hidden.items():
        seen = [
            lesson.residual[place] - rates[taken]
            for place, leg in memory.legs()
            if (leg.venue, leg.quote) == (venue, "USD") and lesson.residual[place] is not None
        ]
        misfit = {currency: memory.misfit.get((venue, currency), 0.0) for currency in rates}
        for currency, rate in rates.items():
            if seen:
                squares = [min((raw + rate) ** 2, rules.hidden_square_max) for raw in seen]
                mean = sum(squares) / len(squares)
                misfit[currency] += share(passed_s, rules.hidden_half_life_s) * (mean - misfit[currency])
        telling = {c for c, rate in rates.items() if c == "USD" or abs(rate) > rules.hidden_apart}
        for currency in rates:  # what is worth a dollar explains as much as the dollar
            new.misfit[venue, currency] = misfit[currency if currency in telling else "USD"]
        now = new.misfit[venue, taken]
        best = min((c for c in rates if c in telling), key=lambda c: new.misfit[venue, c])
        if new.misfit[venue, best] < rules.hidden_ratio * now and now > rules.hidden_apart**2:
            new.hidden[venue] = best
