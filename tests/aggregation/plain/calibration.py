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
    rounds: list[int] = field(default_factory=list)
    at: float = -math.inf
    round_at: float = -math.inf

    def __post_init__(self) -> None:
        self.own, self.rounds = [0.0] * self.feeds, [0] * self.feeds

    def factor(self, feed: int) -> float:
        return math.exp(self._bounded(self.common + self.own[feed]))

    def learn_from_round(self, outside: list[bool | None], at: float) -> None:
        """Each known feed's part rises with a miss and falls with a hit, and the common one by the mean."""
        pace = [max(self.rules.stretch_step, 0.5 / math.sqrt(count + 1)) for count in self.rounds]
        self._step([None if o is None else float(o) for o in outside], pace)
        self.rounds = [n + (o is not None) for n, o in zip(self.rounds, outside, strict=True)]
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
        self._step(outside, [self.rules.stretch_step * passed_s / self.rules.lesson_s_max] * self.feeds)
        self.at = at

    def _step(self, outside: list[float | None], pace: list[float]) -> None:
        known = [feed for feed in range(self.feeds) if outside[feed] is not None]
        steps = {feed: (outside[feed] - (1 - COVERAGE)) * pace[feed] for feed in known}
        if known:
            self.common = self._bounded(self.common + sum(steps.values()) / len(known))
        for feed, step in steps.items():
            self.own[feed] = self._bounded(self.own[feed] + step)

    def _bounded(self, value: float) -> float:
        bound = math.log(self.rules.stretch_max)
        return min(max(value, -bound), bound)
