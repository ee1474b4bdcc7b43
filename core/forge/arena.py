"""The arena: a plan of segments, and one segment played to a result that can be kept.

Knows how a run is cut into pieces that do not depend on each other, so that several processes can play them
and a run that was killed goes on where it was. What is then said of the results stands in `rows`.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.errors import ChronoError
from chrono.feeds import FEED_BY_NAME, Feed
from core.aggregation.estimates import Floats
from core.forge.entrants import ENTRANTS, UnknownEntrant
from core.forge.match import Crowd, Played, entrants_schedule, play, play_crowd, regimes_of
from core.forge.population import PROVIDERS, draw_population
from core.forge.sampling import committed
from core.forge.synthetic import REGIMES, simulate
from core.forge.tape import Tape

SIMULATED: Final = "simulated"
QUICK_FEEDS: Final = ("BTC", "ETH", "XRP", "SOL", "DOGE", "FLR", "SHIB", "HNT", "USDT", "USDC")
QUICK_ROUNDS: Final = 400
ROUNDS: Final = 2_880
SEGMENT_ROUNDS: Final = 240
QUICK_SEGMENT_ROUNDS: Final = 100
WARM_UP: Final = 20
_CONTEXT: Final = ("USDT/USD", "USDC/USD", "USDS/USD")
_CYCLE: Final = ("calm", "crash", "calm", "depeg")


class BadPlan(ChronoError):
    """A run was asked for that cannot be played."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive rounds that are played together. Of recorded data the regime is told by the data itself."""

    index: int
    regime: str
    rounds: int


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

    @property
    def table(self) -> tuple[Feed, ...]:
        """The feeds that are scored, then the stablecoins' that conversion needs."""
        names = dict.fromkeys([*self.feeds, *_CONTEXT])
        return tuple(FEED_BY_NAME[name] for name in names)


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """A played segment: E entrants and P providers over R counted rounds and the F scored feeds.

    Entrants' arrays are [E, R, F] (crowd_reward [E, G, F, P]), the crowd's own [R, F, P].
    """

    regime: tuple[str, ...]
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

    def to_bytes(self) -> bytes:
        """The arrays, compressed."""
        kept = io.BytesIO()
        np.savez_compressed(kept, **{**_arrays(self), "regime": np.array(self.regime)})
        return kept.getvalue()

    @classmethod
    def from_bytes(cls, raw: bytes) -> Result:
        """What `to_bytes` wrote."""
        with np.load(io.BytesIO(raw), allow_pickle=False) as kept:
            arrays = {name: kept[name] for name in kept.files}
        regime = tuple(map(str, arrays.pop("regime")))
        return cls(regime=regime, **arrays)


def _arrays(result: Result) -> dict[str, NDArray[np.generic]]:
    return {name: getattr(result, name) for name in result.__slots__ if name != "regime"}


def make_plan(
    *,
    market: str,
    seed: int,
    feeds: Sequence[str] = (),
    rounds: int | None = None,
    quick: bool = False,
    entrants: Sequence[str] = (),
) -> Plan:
    """The plan of a simulated run; raises BadPlan or UnknownEntrant.

    Feeds are names such as BTC/USD or BTC. Segments take turns: calm, crash, calm, depeg.
    """
    default = QUICK_FEEDS if quick else tuple(FEED_BY_NAME)
    names = tuple(name if "/" in name else f"{name}/USD" for name in feeds or default)
    strangers = [name for name in names if name not in FEED_BY_NAME]
    if strangers:
        raise BadPlan(f"no feed is called {', '.join(strangers)}")
    wanted = tuple(entrants or ENTRANTS)
    for name in wanted:
        if name not in ENTRANTS:
            raise UnknownEntrant(name)
    total = rounds or (QUICK_ROUNDS if quick else ROUNDS)
    if total < 1:
        raise BadPlan("at least one round is needed")
    length = min(QUICK_SEGMENT_ROUNDS if quick else SEGMENT_ROUNDS, total)
    count = -(-total // length)
    segments = tuple(Segment(index, _CYCLE[index % len(_CYCLE)], length) for index in range(count))
    return Plan(market, seed, names, segments, wanted)


def play_segment(plan: Plan, segment: Segment, tape: Tape | None = None) -> Result:
    """Play one segment of a plan; the tape is made here where the market is simulated."""
    if tape is None:
        rounds = segment.rounds + plan.warm_up
        regime = REGIMES[segment.regime]
        tape = simulate(plan.table, regime, seed=plan.seed, segment=segment.index, rounds=rounds)
    providers = draw_population(plan.seed, plan.providers)
    with np.errstate(invalid="ignore", divide="ignore"):
        values = committed(tape, providers, plan.seed)
    makers = [ENTRANTS[name] for name in plan.entrants]
    schedule = entrants_schedule(tape, plan.seed)
    played = play(tape, providers, values, makers, schedule, plan.warm_up)
    crowd = play_crowd(tape, providers, values, plan.warm_up)
    return _result(tape, played, crowd, plan.warm_up, len(plan.feeds))


def _result(tape: Tape, played: Sequence[Played], crowd: Crowd, warm_up: int, feeds: int) -> Result:
    def stacked(name: str) -> NDArray[np.generic]:
        return np.stack([getattr(each, name)[..., :feeds] for each in played])

    scores = crowd.scores
    alone = {name: getattr(scores, name)[:, :feeds] for name in ("primary", "secondary", "half_percent")}
    median = crowd.decided.median[:, :feeds].astype(np.float64)
    moved = np.abs(np.diff(median, axis=0, prepend=median[:1])) / median * 1e6
    return Result(
        regime=tape.regime[warm_up:],
        volatility_ppm=moved,
        **{name: stacked(name) for name in Played.__slots__ if name != "crowd_reward"},  # type: ignore[arg-type]
        crowd_reward=np.stack([each.crowd_reward[:, :feeds] for each in played]),
        alone_primary=alone["primary"],
        alone_secondary=alone["secondary"],
        alone_half_percent=alone["half_percent"],
        alone_reward=scores.reward[:, :feeds].astype(np.float32),
        alone_distance_ppm=scores.distance_ppm[:, :feeds].astype(np.float32),
    )


__all__ = ["SIMULATED", "BadPlan", "Plan", "Result", "Segment", "make_plan", "play_segment", "regimes_of"]
