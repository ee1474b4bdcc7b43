"""The arena: a plan of segments, and one segment played to a result that can be kept.

Knows how a run is cut into pieces that do not depend on each other, so that several processes can play them
and a run that was killed goes on where it was. What is then said of the results stands in `rows`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from chrono.errors import ChronoError
from chrono.feeds import FEED_BY_NAME, Feed
from core.aggregation.estimates import Floats
from core.forge.candle_tape import rounds_of, rounds_tape, spans
from core.forge.entrants import ENTRANTS, UnknownEntrant
from core.forge.match import Crowd, Played, entrants_schedule, play, play_crowd
from core.forge.population import PROVIDERS, draw_population
from core.forge.ports import EstimatorMaker
from core.forge.recordings import QuoteHistory, Recording
from core.forge.sampling import committed, venue_prices
from core.forge.synthetic import REGIMES, simulate
from core.forge.tape import Tape
from core.forge.tick_tape import history_tape, rounds_in

SIMULATED: Final = "simulated"
QUICK_FEEDS: Final = ("BTC", "ETH", "XRP", "SOL", "DOGE", "FLR", "SHIB", "HNT", "USDT", "USDC")
QUICK_ROUNDS: Final = 400
ROUNDS: Final = 2_880
QUICK_SEGMENT_ROUNDS: Final = 100
SEGMENT_ROUNDS: Final = 240
WARM_UP: Final = 20
_CONTEXT: Final = ("USDT/USD", "USDC/USD", "USDS/USD")
_CYCLE: Final = ("calm", "crash", "calm", "depeg")


class BadPlan(ChronoError):
    """A run was asked for that cannot be played."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rounds that are played together, the warm-up before them not counted.

    Of recorded data `first_round` says where it begins, and the regimes are told by the data itself.
    """

    index: int
    regime: str
    rounds: int
    first_round: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a run's result depends on: the same plan gives the same bytes."""

    market: str
    seed: int
    feeds: tuple[str, ...]
    segments: tuple[Segment, ...]
    entrants: tuple[str, ...]
    warm_up: int = WARM_UP
    providers: int = PROVIDERS

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(asdict(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A played segment: E entrants and P providers over R counted rounds and the F scored feeds.

    Entrants' arrays are [E, R, F] (crowd_reward [E, G, F, P]), the crowd's own [R, F, P];
    venue_distance_ppm [V, R, F] is how far each venue was from the crowd's median, signed.
    """

    regime: tuple[str, ...]
    venues: tuple[str, ...]
    volatility_ppm: Floats
    primary: NDArray[np.bool_]
    secondary: NDArray[np.bool_]
    half_percent: NDArray[np.bool_]
    reward: Floats
    distance_ppm: Floats
    inside: Floats
    width_ppm: Floats
    crowd_reward: Floats
    alone_primary: NDArray[np.bool_]
    alone_secondary: NDArray[np.bool_]
    alone_half_percent: NDArray[np.bool_]
    alone_reward: NDArray[np.float32]
    alone_distance_ppm: NDArray[np.float32]
    venue_distance_ppm: Floats

    def to_bytes(self) -> bytes:
        """The arrays, compressed."""
        kept = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        np.savez_compressed(kept, **arrays)
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Result:
        """What `to_bytes` wrote."""
        with np.load(io.BytesIO(raw), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        regime, venues = (tuple(map(str, arrays.pop(name))) for name in ("regime", "venues"))
        return cls(regime=regime, venues=venues, **arrays)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user asks for; what is left out is chosen by `quick` and by the market."""

    seed: int = 1
    feeds: tuple[str, ...] = ()
    rounds: int | None = None
    quick: bool = False
    entrants: tuple[str, ...] = ()


def plan_simulated(wishes: Wishes) -> Plan:
    """The plan of a simulated run; segments take turns: calm, crash, calm, depeg, however short they are.

    Raises BadPlan for a feed that nobody knows, and UnknownEntrant.
    """
    feeds = _feeds(wishes, QUICK_FEEDS if wishes.quick else tuple(FEED_BY_NAME), tuple(FEED_BY_NAME))
    length, count = _cut(wishes, parts=len(_CYCLE))
    segments = tuple(Segment(index, _CYCLE[index % len(_CYCLE)], length) for index in range(count))
    return Plan(SIMULATED, wishes.seed, feeds, segments, _entrants(wishes))


def plan_recorded(wishes: Wishes, market: str, recording: Recording) -> Plan:
    """The plan of a recorded run; segments lie evenly over the recording.

    Raises BadPlan also for a recording that is too short.
    """
    stretches = [rounds_of(recording, span) for span in spans(recording)]
    return _plan_stretches(wishes, market, recording.feeds, stretches)


def plan_backtest(wishes: Wishes, market: str, history: QuoteHistory) -> Plan:
    """The plan of a run on Chrono's own quotes; raises like `plan_recorded`."""
    return _plan_stretches(wishes, market, history.feeds, [rounds_in(history)])


def _plan_stretches(
    wishes: Wishes, market: str, table: Sequence[Feed], stretches: Sequence[tuple[int, int]]
) -> Plan:
    names = tuple(feed.name for feed in table)
    feeds = _feeds(wishes, names, names)
    length, count = _cut(wishes)
    starts = [
        first
        for begin, end in stretches
        for first in range(begin, end - length - WARM_UP + 1, length + WARM_UP)
    ]
    if not starts:
        raise BadPlan(f"the recording has no stretch of {length + WARM_UP} rounds; ask for fewer by --rounds")
    chosen = dict.fromkeys(round(at) for at in np.linspace(0, len(starts) - 1, min(count, len(starts))))
    segments = tuple(Segment(i, "recorded", length, starts[at]) for i, at in enumerate(chosen))
    return Plan(market, wishes.seed, feeds, segments, _entrants(wishes))


def _feeds(wishes: Wishes, default: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    wanted = [name if "/" in name else f"{name}/USD" for name in wishes.feeds or default]
    strangers = [name for name in wanted if name not in known]
    if strangers:
        raise BadPlan(f"this market has no feed called {', '.join(strangers)}")
    return tuple(dict.fromkeys(wanted))


def _entrants(wishes: Wishes) -> tuple[str, ...]:
    for name in wishes.entrants:
        if name not in ENTRANTS:
            raise UnknownEntrant(name)
    return wishes.entrants or tuple(ENTRANTS)


def _cut(wishes: Wishes, parts: int = 1) -> tuple[int, int]:
    """How long a segment is, and how many there are: at least `parts`, if there are rounds enough."""
    total = wishes.rounds or (QUICK_ROUNDS if wishes.quick else ROUNDS)
    length = min(QUICK_SEGMENT_ROUNDS if wishes.quick else SEGMENT_ROUNDS, -(-total // parts))
    return length, -(-total // length)


def play_segment(
    plan: Plan,
    segment: Segment,
    recording: Recording | QuoteHistory | None = None,
    makers: Mapping[str, EstimatorMaker] = ENTRANTS,
) -> Result:
    """Play one segment of a plan on a simulated market, or on the recording that the plan was made for.

    The plan's entrants are made by `makers`.
    """
    rounds = segment.rounds + plan.warm_up
    if recording is None:
        table = with_coins(plan.feeds)
        regime = REGIMES[segment.regime]
        tape = simulate(table, regime, seed=plan.seed, segment=segment.index, rounds=rounds)
    elif isinstance(recording, QuoteHistory):
        tape = history_tape(recording, segment.first_round, rounds)
    else:
        tape = rounds_tape(recording, segment.first_round, rounds)
    return play_tape(plan, tape, makers)


def with_coins(feeds: Sequence[str]) -> tuple[Feed, ...]:
    """The feeds of these names, and after them the stablecoins' that conversion needs."""
    return tuple(FEED_BY_NAME[name] for name in dict.fromkeys([*feeds, *_CONTEXT]))


def play_tape(plan: Plan, tape: Tape, makers: Mapping[str, EstimatorMaker] = ENTRANTS) -> Result:
    """Play a tape that has the plan's feeds."""
    providers = draw_population(plan.seed, plan.providers)
    entrants = [makers[name] for name in plan.entrants]
    schedule = entrants_schedule(tape, plan.seed)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = committed(tape, providers, plan.seed)
        played = play(tape, providers, values, entrants, schedule=schedule, warm_up=plan.warm_up)
        crowd = play_crowd(tape, providers, values, plan.warm_up)
    names = [feed.name for feed in tape.feeds]
    return _result(tape, played, crowd, plan.warm_up, [names.index(name) for name in plan.feeds])


def _result(tape: Tape, played: Sequence[Played], crowd: Crowd, warm_up: int, feeds: Sequence[int]) -> Result:
    def stacked(name: str) -> NDArray[Any]:
        return np.stack([getattr(each, name)[:, feeds] for each in played])

    alone = crowd.scores
    median = crowd.decided.median[:, feeds].astype(np.float64)
    venues, prices = venue_prices(tape)
    scale = 10.0 ** np.array([tape.feeds[feed].decimals for feed in feeds])
    moved = np.abs(np.diff(median, axis=0, prepend=median[:1])) / median * 1e6
    return Result(
        regime=tape.regime[warm_up:],
        venues=venues,
        volatility_ppm=moved,
        primary=stacked("primary"),
        secondary=stacked("secondary"),
        half_percent=stacked("half_percent"),
        reward=stacked("reward"),
        distance_ppm=stacked("distance_ppm"),
        inside=stacked("inside"),
        width_ppm=stacked("width_ppm"),
        crowd_reward=stacked("crowd_reward"),
        alone_primary=alone.primary[:, feeds],
        alone_secondary=alone.secondary[:, feeds],
        alone_half_percent=alone.half_percent[:, feeds],
        alone_reward=alone.reward[:, feeds].astype(np.float32),
        alone_distance_ppm=alone.distance_ppm[:, feeds].astype(np.float32),
        venue_distance_ppm=(prices[:, warm_up:, feeds] * scale / median - 1) * 1e6,
    )
