"""`chrono provider shadow`: asks our core and another value provider for the same, again and again.

Each comparison is stored, counted, written to a file if one is named, and shown. A side that does not answer
within its bound is a comparison that failed; the next one is made at its time all the same. Sends nothing to
any chain.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TextIO, TypeVar
from urllib.parse import urlsplit

import httpx
import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

from chrono.errors import ChronoError
from core.ftso.epochs import Network
from core.ftso.identities import VotingRoundId
from core.networks import network_of
from core.ports import StoreUnavailable
from core.provider.shadow import Comparison, Pair, Tally, compare
from core.provider.values import HttpFeedValues, NoValues, bands
from core.settings import Settings
from core.storage.migrate import migrate
from core.storage.pool import connect_pool, unavailable_when_down
from core.storage.shadow import PostgresShadowStore

AFTER_COMMIT_S: Final = 0.1
"""Both sides are asked so long after the commit instant, when ours is frozen."""
COLUMNS: Final = ("at", "voting_round", "feed", "ours", "theirs", "ppm", "in_our_band", "in_secondary")

T = TypeVar("T")

log = structlog.get_logger()


class BadShadow(ChronoError):
    """What was asked for cannot be done; the text says why."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator asked for. `every_s` None compares rounds, a number present values that often."""

    endpoint: str
    every_s: float | None = None
    comparisons: int | None = None
    export: Path | None = None
    metrics_port: int = 0

    @property
    def name(self) -> str:
        """The endpoint as it is stored and shown: host and port alone, for the rest may be a secret."""
        return urlsplit(self.endpoint).netloc.rpartition("@")[2]


class ShadowMetrics:
    """What a dashboard shows of the shadow. Labels are the feeds of the table, and five words."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.comparisons = Counter(
            "chrono_shadow_comparisons", "Comparisons by outcome", ["outcome"], registry=registry
        )
        self.pairs = Counter(
            "chrono_shadow_pairs", "Pairs of values by what was found", ["found"], registry=registry
        )
        self.ppm = Gauge(
            "chrono_shadow_difference_ppm", "Theirs less ours, of ours", ["feed"], registry=registry
        )

    def count(self, comparison: Comparison) -> None:
        """Count one comparison."""
        self.comparisons.labels("failed" if comparison.failure else "done").inc()
        for pair in comparison.pairs:
            found = {
                "compared": pair.ppm is not None,
                "in_our_band": pair.in_our_band,
                "in_secondary": pair.in_secondary,
                "missing_ours": pair.ours is None,
                "missing_theirs": pair.theirs is None,
            }
            for word, true in found.items():
                if true:
                    self.pairs.labels(word).inc()
            self.ppm.labels(pair.feed).set(float("nan") if pair.ppm is None else pair.ppm)


class Shadow:
    """Makes comparisons. The caller closes both clients."""

    def __init__(self, ours: httpx.AsyncClient, theirs: httpx.AsyncClient) -> None:
        self._core = ours
        self._ours, self._theirs = HttpFeedValues(ours), HttpFeedValues(theirs)

    async def once(self, voting_round: VotingRoundId | None, at: float) -> Comparison:
        """Ask both sides at the same time. A side without an answer is told as the failure."""
        ours, theirs, banded = await asyncio.gather(
            _asked("ours", _values(self._ours, voting_round, at)),
            _asked("theirs", _values(self._theirs, voting_round, at)),
            _asked("ours", bands(self._core)),
        )
        failures = [side for side in (ours, theirs) if isinstance(side, str)]
        if isinstance(ours, str) or isinstance(theirs, str):
            return Comparison(at, voting_round, failure="; ".join(failures))
        return compare(at, voting_round, ours, theirs, {} if isinstance(banded, str) else banded)


async def run_shadow(
    settings: Settings, wanted: Wanted, stop: asyncio.Event, show: Callable[[Tally], None]
) -> Tally:
    """Compare until `stop` is set or as often as asked for; `show` is called after each. The whole tally."""
    if urlsplit(wanted.endpoint).scheme not in ("http", "https") or not wanted.name:
        raise BadShadow("--endpoint is the base URL of a feed value provider, such as http://127.0.0.1:3101")
    registry, counted = CollectorRegistry(), Tally()
    metrics = ShadowMetrics(registry)
    if wanted.metrics_port:
        start_http_server(wanted.metrics_port, settings.host, registry)
    ours_url = settings.core_url or f"http://{settings.host}:{settings.port}"
    async with (
        httpx.AsyncClient(base_url=ours_url, trust_env=False) as ours,
        httpx.AsyncClient(base_url=wanted.endpoint, trust_env=False) as theirs,
        _store(settings) as store,
    ):
        shadow = Shadow(ours, theirs)
        with _export(wanted.export) as write:
            async for voting_round in _instants(settings, wanted, stop):
                comparison = await shadow.once(voting_round, time.time())
                counted = counted.plus(comparison)
                metrics.count(comparison)
                write(comparison)
                await _keep(store, wanted.name, comparison)
                show(counted)
    return counted


async def _values(
    values: HttpFeedValues, voting_round: VotingRoundId | None, at: float
) -> Mapping[str, float]:
    return await (values.current() if voting_round is None else values(voting_round, at))


async def _asked(side: str, answer: Awaitable[Mapping[str, T]]) -> Mapping[str, T] | str:
    """The answer, or why there is none."""
    try:
        return await answer
    except NoValues as error:
        return f"{side}: {error}"


async def _instants(
    settings: Settings, wanted: Wanted, stop: asyncio.Event
) -> AsyncIterator[VotingRoundId | None]:
    """What to ask for, each at its time, until there were enough or `stop` is set."""
    network, asked = network_of(settings), 0
    last: VotingRoundId | None = None
    while asked != wanted.comparisons:
        if wanted.every_s is None:
            last, wait_s = next_commit(network, settings.commit_offset_s, last, time.time())
        else:
            wait_s = wanted.every_s if asked else 0.0
        if await _stopped_within(wait_s, stop):
            return
        asked += 1
        yield last


def next_commit(
    network: Network, commit_offset_s: float, last: VotingRoundId | None, at: float
) -> tuple[VotingRoundId, float]:
    """The next round to compare, and how long to wait for it; each round comes once."""
    offset_s = commit_offset_s * network.voting_epoch_s / 90 + AFTER_COMMIT_S
    number = VotingRoundId(network.round_at(at))
    if last is not None:
        number = max(number, VotingRoundId(last + 1))
    if at > network.start_of(number) + offset_s:
        number = VotingRoundId(number + 1)
    return number, network.start_of(number) + offset_s - at


async def _stopped_within(seconds: float, stop: asyncio.Event) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, seconds)):
            await stop.wait()
    return stop.is_set()


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[PostgresShadowStore | None]:
    """Where comparisons are kept; None without a database, which is said once."""
    if settings.database_url is None:
        log.warning("shadow_not_stored", detail="DATABASE_URL is not set")
        yield None
        return
    pool = await connect_pool(settings.database_url.get_secret_value(), size=1)
    try:
        with unavailable_when_down():
            async with pool.acquire() as connection:
                await migrate(connection)
        yield PostgresShadowStore(pool)
    finally:
        pool.terminate()


async def _keep(store: PostgresShadowStore | None, endpoint: str, comparison: Comparison) -> None:
    """Store it if that is possible now; what is not stored is shown and exported all the same."""
    if store is None:
        return
    try:
        await store.append(endpoint, comparison)
    except StoreUnavailable as error:
        log.warning("comparison_not_stored", detail=error.detail)


@contextmanager
def _export(path: Path | None) -> Iterator[Callable[[Comparison], None]]:
    """Writes comparisons to a new file: rows of CSV, or with .jsonl one document a line."""
    if path is None:
        yield lambda _: None
        return
    if path.suffix not in (".csv", ".jsonl"):
        raise BadShadow("--export names a file that ends in .csv or .jsonl")
    try:
        file = path.open("x", encoding="utf-8", newline="")
    except OSError as error:
        raise BadShadow(f"{path} cannot be made: {error.strerror}") from None
    with file:
        write = _csv(file) if path.suffix == ".csv" else _lines(file)

        def written(comparison: Comparison) -> None:
            write(comparison)
            file.flush()

        yield written


def _csv(file: TextIO) -> Callable[[Comparison], None]:
    rows = csv.writer(file)
    rows.writerow(COLUMNS)

    def write(comparison: Comparison) -> None:
        rows.writerows(_row(comparison, pair).values() for pair in comparison.pairs)

    return write


def _lines(file: TextIO) -> Callable[[Comparison], None]:
    def write(comparison: Comparison) -> None:
        pairs = [_row(comparison, pair) for pair in comparison.pairs]
        told = {"at": comparison.at, "failure": comparison.failure, "feeds": pairs}
        file.write(orjson.dumps(told).decode() + "\n")

    return write


def _row(comparison: Comparison, pair: Pair) -> dict[str, object]:
    told = (pair.feed, pair.ours, pair.theirs, pair.ppm, pair.in_our_band, pair.in_secondary)
    return dict(zip(COLUMNS, (comparison.at, comparison.voting_round, *told), strict=True))
