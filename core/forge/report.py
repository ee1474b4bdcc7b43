"""What was learned, in words and units that a reader can judge: from the memory's arrays to values.

Pure. Knows what each array means; does not know who reads. Basis points are of the price.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.calibration import COVERAGE, factor
from core.aggregation.estimates import Floats
from core.aggregation.follow import BOTH, CHOICES, LATENESS, NONE, WEIGHTS, chosen
from core.aggregation.learned import Memory
from core.aggregation.legs import cells_of, corrections
from core.aggregation.markets import Markets
from core.aggregation.rules import Rules
from core.aggregation.signals import unit_of

_BPS: Final = 1e4
_PPM: Final = 1e6


@dataclass(frozen=True, slots=True)
class LegReport:
    """What one leg has shown itself to be. lag_share is how much of the latest move it has not made yet;
    hidden_quote is the currency that its venue's dollars are, None for dollars; taught_s how long it was
    seen, up to the memory's half-life."""

    feed: str
    leg: str
    venue: str
    reliability: float
    trust: float
    bias_bps: float
    venue_offset_bps: float
    noise_bps: float
    lag_share: float
    hidden_quote: str | None
    taught_s: float


@dataclass(frozen=True, slots=True)
class FeedSkill:
    """How well a feed's medians are foretold. rounds learned from; prediction: which choice speaks now;
    error_ppm by choice, of the latest rounds (None before the first); band_stretch: the factor on the band.
    """

    feed: str
    rounds: int
    prediction: str
    error_ppm: dict[str, float] | None
    band_stretch: float


TARGET_COVERAGE: Final = COVERAGE


def leg_reports(markets: Markets, memory: Memory, rules: Rules) -> Sequence[LegReport]:
    """Every leg, in the order of the feed table."""
    with np.errstate(divide="ignore", invalid="ignore"):
        known = corrections(markets, memory.legs, rules)
    offset = memory.legs.offset.take(cells_of(markets))
    noise = np.sqrt(memory.legs.variance)
    hidden = {
        venue: markets.currencies[quote]
        for venue, quote in zip(markets.venues, memory.legs.hidden.tolist(), strict=False)
        if quote
    }
    return [
        LegReport(
            feed=feed.name,
            leg=str(leg),
            venue=leg.venue,
            reliability=float(memory.legs.reliable[row, column]),
            trust=float(known.trust[row, column]),
            bias_bps=float(memory.legs.bias[row, column] * _BPS),
            venue_offset_bps=float(offset[row, column] * _BPS),
            noise_bps=float(noise[row, column] * _BPS),
            lag_share=float(abs(known.lag[row, column])),
            hidden_quote=hidden.get(leg.venue) if leg.quote == "USD" else None,
            taught_s=float(memory.legs.taught_s[row, column]),
        )
        for row, feed in enumerate(markets.feeds)
        for column, leg in enumerate(feed.legs)
    ]


def feed_skills(markets: Markets, memory: Memory, rules: Rules, at: float) -> Sequence[FeedSkill]:
    """Every feed, in the order of the table."""
    speaks = chosen(memory.follow, at, rules).tolist()
    stretch: Floats = factor(memory.band, rules)
    loss = memory.follow.loss * unit_of(markets, rules) * _PPM
    reports = []
    for row, feed in enumerate(markets.feeds):
        rounds = int(memory.follow.rounds[row])
        each = {CHOICES[choice]: float(loss[choice, row]) for choice in (NONE, WEIGHTS, LATENESS, BOTH)}
        reports.append(
            FeedSkill(feed.name, rounds, CHOICES[speaks[row]], each if rounds else None, float(stretch[row]))
        )
    return reports
