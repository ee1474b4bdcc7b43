"""The live watch over the legs: from passes to anomalies with reasons. It observes; nothing acts on it.

Knows passes and time. Does not know who reads the anomalies, nor has it a say in any estimate: the
aggregation throws outliers out by itself, and the watch adds which leg, since when, and in which way.

An anomaly is an episode of one leg (`verdicts`). Its reasons, by what was seen at its worst look:

    unit         as far off as another unit would be
    stuck        the same price for STUCK_S while its feed went on
    together     other venues are off on the same side of the same feed
    whole venue  the venue is off in VENUE_FEEDS feeds or more
    wide book    the spread is a multiple of the usual
    volume       the trade is a multiple of the usual
    jump, drift  whether it went off at once or crept, where neither a unit nor standing still explains it
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from core.aggregation.estimates import Estimates, Floats
from core.aggregation.markets import Bools, Markets, Observations
from core.forge.anomaly.detectors import Detector
from core.forge.anomaly.features import Feature, Features, Glance
from core.forge.anomaly.verdicts import Verdicts

THRESHOLD: Final = 6.05
"""The score from which a leg is strange, in deviations: what the rule of `benchmarks/anomaly.py` chose."""
LOOK_EVERY_S: Final = 1.0
WARM_UP_S: Final = 120.0
"""So long nothing is told after the first look: what is usual is not known yet."""
RECENT_MAX: Final = 500
"""Ended anomalies that are kept; of more the oldest are forgotten."""

STUCK_S: Final = 20.0
VENUE_FEEDS: Final = 3
_UNIT_LOG: Final = math.log(1.5)
_MULTIPLE_LOG: Final = math.log(5.0)
_JUMP: Final = 4.0


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An episode of one leg. `ended_at` is None while it lasts; score and off_bps (signed, from the feed's
    other legs) are those of its worst look, and so are the reasons."""

    feed: str
    leg: str
    venue: str
    began_at: float
    ended_at: float | None
    score: float
    off_bps: float
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Changes:
    """What a look changed."""

    begun: tuple[Anomaly, ...] = ()
    ended: tuple[Anomaly, ...] = ()


class Watch:
    """Online, with bounded memory: arrays of the table's size, an anomaly a leg, and RECENT_MAX past ones."""

    def __init__(self, markets: Markets, detector: Detector, *, threshold: float = THRESHOLD) -> None:
        self._markets, self._detector = markets, detector
        self._features = Features(markets)
        self._verdicts = Verdicts(markets.shape, threshold)
        self._looked_at = self._tell_from = -np.inf
        self._price = np.full(markets.shape, np.nan)
        self._stands_since = np.full(markets.shape, -np.inf)
        self._jumped = np.zeros(markets.shape)
        self._open: dict[tuple[int, int], Anomaly] = {}
        self._past: deque[Anomaly] = deque(maxlen=RECENT_MAX)

    def recent(self) -> Sequence[Anomaly]:
        """Anomalies that last, then those that are over, newest first."""
        lasting = sorted(self._open.values(), key=lambda each: -each.began_at)
        return (*lasting, *reversed(self._past))

    def look(self, estimates: Estimates, seen: Observations, at: float) -> Changes:
        """Take a pass and the observations it was made from; at most one look in LOOK_EVERY_S."""
        if at - self._looked_at < LOOK_EVERY_S:
            return Changes()
        if self._looked_at == -np.inf:
            self._tell_from = at + WARM_UP_S
        self._looked_at = at
        features = self._features.look(Glance.of(self._markets, estimates, seen), at)
        scores = self._detector.score(features, at)
        self._note(seen.price, features, at)
        strange = self._verdicts.judge(scores, at)
        if not self._open and not strange.any():
            return Changes()
        return self._changes(strange, features, scores, at)

    def _note(self, price: Floats, features: Floats, at: float) -> None:
        """Since when each leg's own price stands, and its latest jump (in deviations, fading by look)."""
        self._stands_since[price != self._price] = at
        self._price = price.copy()
        change = np.nan_to_num(features[Feature.CHANGE])
        self._jumped = np.maximum(self._jumped * 0.97, np.abs(change))

    def _changes(self, strange: Bools, features: Floats, scores: Floats, at: float) -> Changes:
        begun, ended = [], []
        for place in [place for place in self._open if not strange[place]]:
            over = replace(self._open.pop(place), ended_at=at)
            self._past.append(over)
            ended.append(over)
        if at >= self._tell_from and strange.any():
            off = np.where(strange, features[Feature.OFF], np.nan)
            for feed, leg in np.argwhere(strange).tolist():
                place = (feed, leg)
                known, score = self._open.get(place), float(np.nan_to_num(scores[place]))
                if known is None:
                    self._open[place] = self._anomaly(place, off, features, score, at)
                    begun.append(self._open[place])
                elif score > known.score:
                    worse = self._anomaly(place, off, features, score, at)
                    self._open[place] = replace(worse, began_at=known.began_at)
        return Changes(tuple(begun), tuple(ended))

    def _anomaly(
        self, place: tuple[int, int], off: Floats, features: Floats, score: float, at: float
    ) -> Anomaly:
        feed = self._markets.feeds[place[0]]
        leg = feed.legs[place[1]]
        away = float(np.nan_to_num(features[(Feature.OFF, *place)] * self._markets.band[place[0]]))
        return Anomaly(
            feed=feed.name,
            leg=str(leg),
            venue=leg.venue,
            began_at=at,
            ended_at=None,
            score=score,
            off_bps=math.expm1(away) * 1e4,
            reasons=self._reasons(place, off, features, at),
        )

    def _reasons(self, place: tuple[int, int], off: Floats, features: Floats, at: float) -> tuple[str, ...]:
        feed, column = place
        mine = float(np.nan_to_num(off[place]))
        venue = self._markets.venue[place]
        companions = np.sign(np.nan_to_num(off[feed])) == np.sign(mine)
        others = companions & (self._markets.venue[feed] != venue) & ~np.isnan(off[feed])
        of_venue = (~np.isnan(off) & (self._markets.venue == venue)).any(axis=1).sum()
        told = {
            "unit": abs(mine) * self._markets.band[feed] >= _UNIT_LOG,
            "stuck": at - self._stands_since[place] >= STUCK_S,
            "together": bool(others.any()) and mine != 0.0,
            "whole venue": of_venue >= VENUE_FEEDS,
            "wide book": features[Feature.SPREAD, feed, column] >= _MULTIPLE_LOG,
            "volume": features[Feature.VOLUME, feed, column] >= _MULTIPLE_LOG,
        }
        reasons = tuple(word for word, holds in told.items() if holds)
        if told["unit"] or told["stuck"]:
            return reasons
        return ("jump" if self._jumped[place] >= _JUMP else "drift", *reasons)

    def lasting_by_venue(self) -> Counter[str]:
        """How many anomalies of each venue last now."""
        return Counter(each.venue for each in self._open.values())
