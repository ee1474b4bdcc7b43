"""Plain twin of the band's factor: one feed after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from core.aggregation.calibration import COVERAGE
from core.aggregation.rules import Rules


@dataclass
class PlainBands:
    """The log factor: one part for all, one of each feed."""

    feeds: int
    rules: Rules
    common: float = 0.0
    own: list[float] = field(default_factory=list)
    at: float = -math.inf
    round_at: float = -math.inf

    def __post_init__(self) -> None:
        self.own = [0.0] * self.feeds

    def factor(self, feed: int) -> float:
        return math.exp(self._bounded(self.common + self.own[feed]))

    def width(self, feed: int, half_width: float, error: float, rounds: int) -> float:
        """The factor times what the legs show, or more and more what errors have been."""
        prior = self.rules.stretch_prior_rounds
        return self.factor(feed) * (prior * half_width + rounds * 2.06 * error) / (prior + rounds)

    def learn_from_round(self, outside: list[bool | None], at: float) -> None:
        """Each known feed's part rises with a miss and falls with a hit, and the common one by the mean."""
        rules = self.rules
        missed = [None if o is None else float(o) for o in outside]
        self._step(missed, rules.stretch_step, rules.stretch_common_step)
        self.round_at = max(self.round_at, at)

    def learn_from_legs(
        self, legs: list[list[tuple[float, float]]], half_width: list[float], at: float
    ) -> None:
        """`legs` of each feed: (distance, weight). Each leg is held against the band of the others."""
        passed_s = min(at - self.at, self.rules.lesson_s_max)
        if passed_s <= 0 or at - self.round_at <= self.rules.stretch_round_s:
            return
        outside: list[float | None] = []
        for mine, width in zip(legs, half_width, strict=True):
            counted = [(apart, weight) for apart, weight in mine if 0 < weight < 1]
            missed = [abs(apart) / (1 - min(weight, 0.75)) > width for apart, weight in counted]
            outside.append(sum(missed) / len(missed) if len(missed) > 1 else None)
        pace = self.rules.stretch_step * passed_s / self.rules.lesson_s_max
        self._step(outside, pace, pace)
        self.at = at

    def _step(self, outside: list[float | None], own: float, common: float) -> None:
        missed = {feed: o - (1 - COVERAGE) for feed, o in enumerate(outside) if o is not None}
        if missed:
            self.common = self._bounded(self.common + common * sum(missed.values()) / len(missed))
        for feed, each in missed.items():
            self.own[feed] = self._bounded(self.own[feed] + own * each)

    def _bounded(self, value: float) -> float:
        bound = math.log(self.rules.stretch_max)
        return min(max(value, -bound), bound)
