"""Plain twin of what is learned of the others: every round is kept, and all are added up when asked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from chrono.feeds import Feed
from core.aggregation.rules import Rules
from tests.aggregation.plain.rates import eliminated

LOOKBACKS_S = (1.0, 3.0, 10.0, 30.0)
NOTHING, WEIGHTS, LATENESS, BOTH = range(4)


@dataclass
class PlainSignals:
    """By feed: the log price (None for none), by leg how far it and its last trade are apart, and how fresh
    that is, by lookback how far it moved."""

    log_price: list[float | None]
    apart: list[list[float]]
    traded: list[list[float]]
    fresh: list[list[float]]
    moved: list[list[float]]


@dataclass
class _Taught:
    """A sum of weighted rounds: what explained, and what was to be explained."""

    rows: list[tuple[float, list[float], float]] = field(default_factory=list)  # weight, signals, target

    def solved(self, size: int, ridge: list[float]) -> list[float]:
        """The coefficients with the least squares and the least of themselves."""
        left = [[ridge[i] * (i == j) for j in range(size)] for i in range(size)]
        right = [0.0] * size
        for weight, signals, target in self.rows:
            for i in range(size):
                right[i] += weight * signals[i] * target
                for j in range(size):
                    left[i][j] += weight * signals[i] * signals[j]
        return eliminated([[*row, value] for row, value in zip(left, right, strict=True)])

    def forget(self, keep: float) -> None:
        self.rows = [(weight * keep, signals, target) for weight, signals, target in self.rows]


class PlainFollow:
    """What was learned of the rounds so far."""

    def __init__(self, feeds: Sequence[Feed], rules: Rules) -> None:
        self.feeds, self.rules = feeds, rules
        self.cells = sorted({(leg.venue, leg.quote) for feed in feeds for leg in feed.legs})
        self._common, self._own = _Taught(), [_Taught() for _ in feeds]
        self.common = [0.0] * (2 * len(self.cells) + len(LOOKBACKS_S))
        self.own = [[0.0] * (2 * len(feed.legs) + len(LOOKBACKS_S) + 1) for feed in feeds]
        self.loss = [[0.0] * 4 for _ in feeds]
        self.usual = [[0.0, 0.0] for _ in feeds]  # of books, of trades
        self.standing = [[0.0] * (2 * len(feed.legs)) for feed in feeds]
        self.rounds, self.odd = [0] * len(feeds), [False] * len(feeds)
        self.learned_at = -math.inf

    def heard(self, signals: PlainSignals, feed: int) -> tuple[list[float], list[float]]:
        """What is made of a feed's books and trades: nothing of what is far beyond the usual."""
        books = [self._said(each, feed, 0) for each in signals.apart[feed]]
        trades = [self._said(each, feed, 1) for each in signals.traded[feed]]
        return books, [each * fresh for each, fresh in zip(trades, signals.fresh[feed], strict=True)]

    def _said(self, apart: float, feed: int, kind: int) -> float:
        if not self.rounds[feed]:
            return apart
        rules = self.rules
        reach = rules.follow_usual * max(self.usual[feed][kind], rules.follow_usual_min_units)
        return apart * min(max(2 - abs(apart) / reach, 0.0), 1.0)

    def choices(self, signals: PlainSignals, feed: int) -> list[float]:
        """What each choice would add, in units, within the bounds."""
        here, own, cells = self.feeds[feed], self.own[feed], len(self.cells)
        books, trades = self.heard(signals, feed)
        usually, news = own[-1], 0.0
        for k, (leg, said) in enumerate(zip([*here.legs] * 2, [*books, *trades], strict=True)):
            cell = self.cells.index((leg.venue, leg.quote)) + (cells if k >= len(here.legs) else 0)
            factor, standing = self.common[cell] + own[k], self.standing[feed][k]
            usually += factor * standing
            news += factor * (said - standing)
        unit = unit_of(here, self.rules)
        most = self.rules.follow_news_bands * max(_band(here) / unit, self.usual[feed][0])
        by_weights = usually + min(max(news, -most), most)
        by_move = zip(
            self.common[2 * cells :], own[2 * len(here.legs) : -1], signals.moved[feed], strict=True
        )
        late = sum((common + mine) * moved for common, mine, moved in by_move)
        bound = min(self.rules.follow_units, self.rules.follow_max / unit)
        return [min(max(each, -bound), bound) for each in (0.0, by_weights, late, by_weights + late)]

    def predicted(self, signals: PlainSignals, feed: int, at: float) -> tuple[float, float]:
        """What is added to the log price, and the mean error that this has left."""
        choice, unit = self._choice(feed, at), unit_of(self.feeds[feed], self.rules)
        error = max(self.loss[feed][choice], self.rules.follow_noise_floor_units)
        return self.choices(signals, feed)[choice] * unit, error * unit

    def _choice(self, feed: int, at: float) -> int:
        rules, loss = self.rules, self.loss[feed]
        if self.odd[feed] or self.rounds[feed] < rules.follow_rounds_min:
            return NOTHING
        if not 0 <= at - self.learned_at <= rules.follow_stale_s:
            return NOTHING
        margin = rules.follow_margin * loss[NOTHING]
        asked = [loss[NOTHING], *(each + margin for each in loss[1:])]
        return asked.index(min(asked))

    def learn(self, then: PlainSignals, medians: list[float | None], commit_at: float) -> None:
        """A finished round; one that is not newer than the last teaches nothing."""
        if commit_at <= self.learned_at:
            return
        targets = [self._target(then, medians[feed], feed) for feed in range(len(self.feeds))]
        for feed, target in enumerate(targets):
            if target is not None:
                self._score(then, feed, target)
        teach = self.rules.follow_teach_units
        bounded = [None if each is None else min(max(each, -teach), teach) for each in targets]
        self._learn_common(then, bounded)
        for feed, target in enumerate(bounded):
            if target is not None:
                self._learn_own(then, feed, target)
                self._get_used_to(then, feed)
            self.odd[feed] = target is None
            self.rounds[feed] += target is not None
        self.learned_at = commit_at

    def _get_used_to(self, then: PlainSignals, feed: int) -> None:
        """The middle of the distances that legs show, and what each says: a little more of the newest."""
        lately = max(1 / self.rules.follow_standing_rounds, 1 / (self.rounds[feed] + 1))
        said = [each for kind in self.heard(then, feed) for each in kind]
        for k, each in enumerate(said):
            self.standing[feed][k] += lately * (each - self.standing[feed][k])
        share = max(1 / self.rules.follow_score_rounds, 1 / (self.rounds[feed] + 1))
        for kind, legs in enumerate((then.apart[feed], then.traded[feed])):
            far = [abs(each) for each in legs if each]
            if far:
                self.usual[feed][kind] += share * (median(far) - self.usual[feed][kind])

    def _target(self, then: PlainSignals, median: float | None, feed: int) -> float | None:
        """How far the median was from our price, in units; None where that is odd."""
        price = then.log_price[feed]
        if median is None or price is None:
            return None
        target = (math.log(median) - price) / unit_of(self.feeds[feed], self.rules)
        return target if abs(target) <= self.rules.follow_odd_units else None

    def _score(self, then: PlainSignals, feed: int, target: float) -> None:
        share = max(1 / self.rules.follow_score_rounds, 1 / (self.rounds[feed] + 1))
        for choice, wanted in enumerate(self.choices(then, feed)):
            self.loss[feed][choice] += share * (abs(target - wanted) - self.loss[feed][choice])

    def _weight(self, feed: int) -> float:
        """A feed counts less, the further its medians have been from what was foretold."""
        noise = max(min(self.loss[feed]), self.rules.follow_noise_floor_units)
        return 1 / noise**self.rules.follow_noise_power

    def _row(self, then: PlainSignals, feed: int) -> list[float]:
        """What the common factors stand for: the feed's books and trades by cell, and its moves."""
        by_book, by_trade = self.heard(then, feed)
        books, trades = [0.0] * len(self.cells), [0.0] * len(self.cells)
        for k, leg in enumerate(self.feeds[feed].legs):
            cell = self.cells.index((leg.venue, leg.quote))
            books[cell] += by_book[k]
            trades[cell] += by_trade[k]
        return [*books, *trades, *then.moved[feed]]

    def _learn_common(self, then: PlainSignals, targets: list[float | None]) -> None:
        self._common.forget(1 - 1 / self.rules.follow_rounds)
        for feed, target in enumerate(targets):
            if target is not None:
                self._common.rows.append((self._weight(feed), self._row(then, feed), target))
        self.common = self._common.solved(len(self.common), [self.rules.follow_ridge] * len(self.common))

    def _learn_own(self, then: PlainSignals, feed: int, target: float) -> None:
        """From what the common factors leave."""
        explained = sum(c * s for c, s in zip(self.common, self._row(then, feed), strict=True))
        books, trades = self.heard(then, feed)
        taught = self._own[feed]
        taught.forget(1 - 1 / self.rules.follow_rounds)
        taught.rows.append(
            (self._weight(feed), [*books, *trades, *then.moved[feed], 1.0], target - explained)
        )
        size = len(self.own[feed])
        self.own[feed] = taught.solved(
            size, [self.rules.follow_own_ridge] * (size - 1) + [self.rules.follow_constant_ridge]
        )


class PlainHistory:
    """The passes that were kept."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.kept: list[tuple[float, PlainSignals]] = []

    def signals(
        self,
        feeds: Sequence[Feed],
        log_price: list[float | None],
        apart: list[list[float | None]],
        traded: list[list[tuple[float | None, float]]],
        at: float,
    ) -> PlainSignals:
        """What a pass shows, remembered: one too soon after the one before takes its place the next time.

        `traded` are distances and ages of last trades.
        """
        rules, moved, trades, freshness = self.rules, [], [], []
        for feed, price in enumerate(log_price):
            before = [self._price(feed, at - back) for back in LOOKBACKS_S]
            moves = [None if b is None or price is None else b - price for b in before]
            moved.append(_cut(moves, unit_of(feeds[feed], rules), rules.follow_move_units))
            trades.append(
                _cut([a for a, _ in traded[feed]], unit_of(feeds[feed], rules), rules.follow_trade_units)
            )
            fresh = [
                0.0 if a is None else math.exp(-age_s / rules.follow_trade_s) + 1e-3
                for a, age_s in traded[feed]
            ]
            freshness.append([each / max(sum(fresh), 1e-3) for each in fresh])
        books = [
            _cut(legs, unit_of(feeds[feed], rules), rules.follow_apart_units)
            for feed, legs in enumerate(apart)
        ]
        told = PlainSignals(log_price, books, trades, freshness, moved)
        if len(self.kept) > 1 and self.kept[-1][0] - self.kept[-2][0] < self.rules.follow_spacing_s:
            self.kept.pop()
        self.kept = [*self.kept, (at, told)][-self.rules.follow_history :]
        return told

    def near(self, at: float) -> PlainSignals | None:
        before = [each for each in self.kept if each[0] <= at]
        if not before or at - before[-1][0] > self.rules.follow_near_s:
            return None
        return before[-1][1]

    def _price(self, feed: int, at: float) -> float | None:
        before = [told for time, told in self.kept if time <= at]
        return before[-1].log_price[feed] if before else None


def _cut(apart: Sequence[float | None], unit: float, bound: float) -> list[float]:
    """In units, within a bound; 0 for what is not known."""
    return [0.0 if a is None else min(max(a / unit, -bound), bound) for a in apart]


def unit_of(feed: Feed, rules: Rules) -> float:
    """In what a feed's signals and corrections are told."""
    return max(_band(feed), rules.follow_unit_min)


def _band(feed: Feed) -> float:
    return feed.secondary_band_ppm / 1e6
