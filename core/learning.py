"""The estimator of a running core: its passes and their watch, its lessons, and its memory across restarts.

Knows when something is to be learned, saved or restored; how, is told by `core.aggregation`, `core.forge`.
Finished rounds come from the book of rounds, where a provider is configured; without one only the legs teach.
The memory is one file, saved every SAVE_EVERY_S and at a shutdown, so a crash forgets minutes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge

from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Estimates, Floats
from core.aggregation.window import Window
from core.forge.anomaly.detectors import StateSpace
from core.forge.anomaly.watch import Anomaly, Watch
from core.forge.memory import MemoryRefused, decode_memory, encode_memory, fingerprint
from core.forge.report import FeedSkill, LegReport, feed_skills, leg_reports
from core.ftso.identities import VotingRoundId
from core.memory_file import write_whole
from core.ports import StoreUnavailable
from core.provider.score import RoundScore
from core.watched import WatchedAggregates, WatchMetrics

SAVE_EVERY_S: Final = 300.0
LESSONS_EVERY_S: Final = 10.0
ROUNDS_MAX: Final = 20
"""Rounds read at once; of older ones nothing is left to learn."""
BANDS_KEPT: Final = 300
BAND_EVERY_S: Final = 1.0
APART_S: Final = 10.0
COVERED_MAX: Final = 1_000
"""Rounds that the share of covered medians is of."""

log = structlog.get_logger()


class FinishedRounds(Protocol):
    """Where finished rounds are read."""

    async def since(self, voting_round: VotingRoundId, limit: int) -> Sequence[RoundScore]:
        """Finished rounds from `voting_round` on, newest first. Raises StoreUnavailable."""
        ...


class LearningMetrics:
    """What was learned from, and what became of the memory's file."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rounds = Counter("chrono_rounds_learned", "Finished rounds learned from", registry=registry)
        self.saved = Counter("chrono_memory_saved", "Times the memory was saved", registry=registry)
        self.failures = Counter("chrono_memory_failures", "Memory not saved", registry=registry)
        self.refused = Counter(
            "chrono_memory_refused", "Saved memories that were not restored", ["reason"], registry=registry
        )
        self.bytes = Gauge("chrono_memory_bytes", "Size of the saved memory", registry=registry)


class Learning:
    """The aggregator with all that it learns; `estimate` makes the passes."""

    def __init__(
        self,
        window: Window,
        *,
        file: Path,
        rounds: FinishedRounds | None,
        commit_at: Callable[[VotingRoundId], float],
        clock: Callable[[], float],
        registry: CollectorRegistry,
        after: int = 0,
    ) -> None:
        """Sequences begin after `after`."""
        self._markets, self._rules = window.markets, window.rules
        self._aggregator = Aggregator(window, after)
        self._watch = Watch(window.markets, StateSpace(window.markets))
        self._watched = WatchedAggregates(
            self._aggregator, self._watch, window.observed, WatchMetrics(registry)
        )
        self._file, self._rounds, self._commit_at, self._clock = file, rounds, commit_at, clock
        self._metrics = LearningMetrics(registry)
        self._bands: deque[tuple[float, Floats, Floats]] = deque(maxlen=BANDS_KEPT)
        self._covered: deque[Floats] = deque(maxlen=COVERED_MAX)
        self._newest: VotingRoundId | None = None
        self._began_at = clock()
        self._restored_at: float | None = None
        self._saved_at: float | None = None

    def estimate(self, at: float) -> Estimates:
        """One pass over all feeds, shown to the watch."""
        estimates = self._watched.estimate(at)
        if not self._bands or at - self._bands[-1][0] >= BAND_EVERY_S:
            self._bands.append((at, estimates.band_low, estimates.band_high))
        return estimates

    def restore(self) -> None:
        """Go on from the saved memory if there is one that fits; else from nothing, and say why."""
        try:
            saved = decode_memory(self._file.read_bytes(), self._markets, self._rules, self._clock())
        except FileNotFoundError:
            log.info("memory_absent", file=str(self._file))
        except (MemoryRefused, OSError) as error:
            reason = error.reason if isinstance(error, MemoryRefused) else "unreadable"
            self._metrics.refused.labels(reason).inc()
            log.warning("memory_refused", file=str(self._file), reason=reason, detail=str(error))
        else:
            self._aggregator.remember(saved.memory)
            self._restored_at = saved.at
            log.info("memory_restored", saved_s_ago=round(self._clock() - saved.at, 1))

    def save(self) -> None:
        """Write the memory; a failure is logged and counted, and the file stays what it was."""
        at = self._clock()
        encoded = encode_memory(self._aggregator.memory, self._markets, self._rules, at)
        self._write(encoded, at)

    async def run_saving(self) -> None:
        """Save every SAVE_EVERY_S until cancelled. Packing and writing are done beside the loop."""
        while True:
            await asyncio.sleep(SAVE_EVERY_S)
            await asyncio.to_thread(self.save)  # the memory is a value: passes replace it, none changes it

    async def run_lessons(self) -> None:
        """Learn from finished rounds until cancelled; while the store is away there are none."""
        while True:
            await asyncio.sleep(LESSONS_EVERY_S)
            with suppress(StoreUnavailable):
                await self.take_lessons()

    async def take_lessons(self) -> int:
        """Learn from the rounds that finished since the last call, in their order; how many there were."""
        if self._rounds is None:
            return 0
        first = VotingRoundId(0) if self._newest is None else VotingRoundId(self._newest + 1)
        finished = await self._rounds.since(first, ROUNDS_MAX)
        for each in sorted(finished, key=lambda score: score.voting_round):
            self._learn(each)
        return len(finished)

    def _learn(self, finished: RoundScore) -> None:
        row = {feed.name: row for row, feed in enumerate(self._markets.feeds)}
        medians = np.full(len(row), np.nan)
        for feed in finished.feeds:
            if feed.feed in row and feed.providers:
                medians[row[feed.feed]] = feed.value / 10**feed.decimals
        at = self._commit_at(finished.voting_round)
        self._aggregator.learn(medians, at)
        self._newest = finished.voting_round
        stood = [(low, high) for told, low, high in self._bands if 0 <= at - told <= APART_S]
        if stood:
            low, high = stood[-1]
            inside = np.where((low <= medians) & (medians <= high), 1.0, 0.0)
            self._covered.append(np.where(np.isnan(medians + low), np.nan, inside))
            self._metrics.rounds.inc()

    def _write(self, encoded: bytes, at: float) -> None:
        try:
            write_whole(self._file, encoded)
        except OSError as error:
            self._metrics.failures.inc()
            log.warning("memory_not_saved", file=str(self._file), detail=str(error))
            return
        self._saved_at = at
        self._metrics.saved.inc()
        self._metrics.bytes.set(len(encoded))

    def state(self) -> Mapping[str, object]:
        """What the model is and how it came to be; times are Unix seconds, None for never."""
        memory = self._aggregator.memory
        hidden = zip(self._markets.venues, memory.legs.hidden.tolist(), strict=False)
        learned_at = memory.follow.learned_at
        return {
            "version": fingerprint(self._markets, self._rules),
            "began_at": self._began_at,
            "restored_from": self._restored_at,
            "saved_at": self._saved_at,
            "rounds_learned": int(memory.follow.rounds.max(initial=0)),
            "newest_round_at": learned_at if np.isfinite(learned_at) else None,
            "feeds": self._markets.shape[0],
            "legs": len(self._markets.slot),
            "legs_taught": int((memory.legs.taught_s > 0).sum()),
            "hidden_quotes": {venue: self._markets.currencies[quote] for venue, quote in hidden if quote},
            "anomalies_lasting": sum(each.ended_at is None for each in self.anomalies()),
        }

    def legs(self) -> Sequence[LegReport]:
        """What each leg has shown itself to be."""
        return leg_reports(self._markets, self._aggregator.memory, self._rules)

    def anomalies(self) -> Sequence[Anomaly]:
        """Anomalies that last, then those that are over, newest first."""
        return self._watch.recent()

    def skills(self) -> Sequence[FeedSkill]:
        """How well each feed's medians are foretold now."""
        return feed_skills(self._markets, self._aggregator.memory, self._rules, self._clock())

    def coverage(self) -> Mapping[str, tuple[int, float]]:
        """By feed, rounds since the start that had a band and a median, and the share inside; at most
        COVERED_MAX."""
        if not self._covered:
            return {}
        inside = np.stack(self._covered)
        known = ~np.isnan(inside)
        shares = np.nansum(inside, axis=0) / np.maximum(known.sum(axis=0), 1)
        names = (feed.name for feed in self._markets.feeds)
        told = zip(names, known.sum(axis=0).tolist(), shares.tolist(), strict=True)
        return {name: (count, share) for name, count, share in told if count}
