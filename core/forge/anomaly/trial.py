"""A trial of detectors: what a market shows, look by look, and how well the alarms told right from wrong.

Pure. `observe` plays a tape through the aggregation as it stands and keeps the features; `alarms` runs a
detector over them; `measure` compares the alarms with what is known to have been wrong. Alarms are counted
as episodes of a leg, not as looks:

- precision, from `right` and `false_rows`: the share of alarms that touch a wrong stretch of their leg, or
  the `GRACE_S` after it. Alarms about a leg that stood still by an outage of the market's own do not count.
- recall and delay, from `delays`: the share of events of which at least one leg was caught, from when it was
  wrong, and the seconds from then to the first alarm.
- cost: by how much the estimate's distance from the truth grows, in basis points of all looks, if the legs in
  an alarm have no weight, as long as another leg of the feed has one. Below 0 it gains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimate import Aggregator
from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Ints, Markets
from core.aggregation.median import sort_rows, weighted_quantiles
from core.aggregation.window import Window
from core.forge.anomaly.detectors import Detector
from core.forge.anomaly.features import Features, Glance, Habits
from core.forge.anomaly.injections import Injected, Injection, standing
from core.forge.anomaly.verdicts import Verdicts
from core.forge.tape import Schedule, Tape, polls

GRACE_S: Final = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """N looks: at [N], features [N, D, F, K]; log_price and weight [N, F, K]; price and truth [N, F];
    wrong and ignored [N, F, K]. `since` is the first look that counts."""

    markets: Markets
    at: Floats
    features: Floats
    log_price: Floats
    weight: Floats
    price: Floats
    truth: Floats
    wrong: Bools
    ignored: Bools
    events: tuple[Injection, ...]
    since: int


@dataclass(frozen=True, slots=True)
class Measured:
    """How a detector did.

    right: episodes that touch a wrong stretch; false_rows: the looks at which the others began. delays: by
    kind, an entry an event, in seconds, inf for one that was missed. fooled and real: of the events that are
    nobody's manipulation, how many had an alarm on their feed, and how many there were.
    """

    right: int
    false_rows: tuple[int, ...]
    delays: Mapping[str, tuple[float, ...]]
    fooled: int
    real: int
    hours: float
    cost_bps: float


def observe(
    injected: Injected, schedule: Schedule, *, warm_up_s: float, habits: Habits | None = None
) -> Observed:
    """Play a tape. What stood still by itself is known only where the tape knows the truth."""
    tape = injected.tape
    window = Window(tape.feeds)
    aggregator, markets = Aggregator(window), window.markets
    features, told, glances, prices, at = Features(markets, habits), [], [], [], []
    for poll in polls(tape, schedule):
        window.apply(poll.ticks, poll.at)
        estimates = aggregator.estimate(poll.at)
        glance = Glance.of(markets, estimates, window.observed(poll.at))
        told.append(features.look(glance, poll.at))
        glances.append((glance.log_price, glance.weight))
        prices.append(estimates.price)
        at.append(poll.at)
    times = np.array(at)
    rows = tape.row(times - schedule.latency_s)
    return Observed(
        markets=markets,
        at=times,
        features=np.stack(told),
        log_price=np.stack([price for price, _ in glances]),
        weight=np.stack([weight for _, weight in glances]),
        price=np.stack(prices),
        truth=tape.truth[rows],
        wrong=_padded(markets, injected.wrong[rows]),
        ignored=_padded(markets, standing(tape)[rows]),
        events=injected.events,
        since=int(np.searchsorted(times, times[0] + warm_up_s)),
    )


def _padded(markets: Markets, by_leg: Bools) -> Bools:
    out = np.zeros((len(by_leg), markets.shape[0] * markets.shape[1]), np.bool_)
    out[:, markets.slot] = by_leg
    return out.reshape(len(by_leg), *markets.shape)


def scores_of(detector: Detector, seen: Observed) -> Floats:
    """The scores [N, F, K], look by look."""
    return np.stack(
        [detector.score(row, at) for row, at in zip(seen.features, seen.at.tolist(), strict=True)]
    )


def alarms(scores: Floats, seen: Observed, threshold: float) -> Bools:
    """The legs in an alarm, [N, F, K]."""
    verdicts = Verdicts(seen.markets.shape, threshold)
    return np.stack([verdicts.judge(row, at) for row, at in zip(scores, seen.at.tolist(), strict=True)])


def measure(flagged: Bools, seen: Observed, *, costs: bool = True) -> Measured:
    """How the alarms compare with what is known; without `costs`, the slow part, these are 0."""
    near = touched(seen.wrong, seen.at)
    episodes = _episodes(flagged, near, touched(seen.ignored, seen.at), seen.since)
    delays: dict[str, tuple[float, ...]] = {}
    for event in seen.events:
        delay = _delay(event, flagged, seen) if event.guilty else None
        if delay is not None:  # else it did no harm, or nobody looked
            delays[event.kind] = (*delays.get(event.kind, ()), delay)
    real = [event for event in seen.events if not event.guilty and event.begin >= seen.at[seen.since]]
    return Measured(
        right=sum(right for _, right in episodes),
        false_rows=tuple(begin for begin, right in episodes if not right),
        delays=delays,
        fooled=sum(_is_alarmed(event, flagged & ~near, seen) for event in real),
        real=len(real),
        hours=float(seen.at[-1] - seen.at[seen.since]) / 3600,
        cost_bps=_mean(_cost(flagged, seen)) if costs else 0.0,
    )


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0


def _is_alarmed(event: Injection, false: Bools, seen: Observed) -> bool:
    """Whether a leg of the event's feed is in a false alarm while it lasts, or in the GRACE_S after it."""
    span = slice(*np.searchsorted(seen.at, (event.begin, event.end + GRACE_S)))
    return bool(false[span, event.feed].any())


def touched(wrong: Bools, at: Floats) -> Bools:
    """`wrong`, and the GRACE_S after it."""
    last = np.full(wrong.shape[1:], -np.inf)
    out = np.empty_like(wrong)
    for row, now in enumerate(at.tolist()):
        last[wrong[row]] = now
        out[row] = now - last <= GRACE_S
    return out


def _episodes(flagged: Bools, near: Bools, ignored: Bools, since: int) -> list[tuple[int, bool]]:
    """The look at which each episode that counts begins, and whether it is right."""
    episodes = []
    for feed, leg in np.argwhere(flagged[since:].any(axis=0)).tolist():
        line = flagged[:, feed, leg].astype(np.int8)
        edges = np.diff(np.concatenate(([0], line, [0])))
        for begin, end in zip(
            np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True
        ):
            right = bool(near[begin:end, feed, leg].any())
            if begin >= since and (right or not ignored[begin:end, feed, leg].any()):
                episodes.append((begin, right))
    return episodes


def _delay(event: Injection, flagged: Bools, seen: Observed) -> float | None:
    """Seconds from the first harm to the first alarm on one of the event's legs; inf for none."""
    span = slice(*np.searchsorted(seen.at, (event.begin, event.end + 5.0)))
    legs = _places(seen.markets, event.legs)
    harmed = seen.wrong[span].reshape(-1, seen.wrong[0].size)[:, legs].any(axis=1)
    if not harmed.any() or span.start < seen.since:
        return None
    first = int(harmed.argmax())
    found = flagged[span].reshape(-1, flagged[0].size)[first:, legs].any(axis=1)
    times = seen.at[span][first:]
    return float(times[int(found.argmax())] - times[0]) if found.any() else np.inf


def _places(markets: Markets, legs: Sequence[int]) -> Ints:
    return markets.slot[list(legs)]


def _cost(flagged: Bools, seen: Observed) -> Floats:
    """By how much the distance from the truth grows without the legs in an alarm, bps [N since, F]."""
    out = np.zeros((len(seen.at) - seen.since, seen.markets.shape[0]))
    rows, feeds = np.nonzero(flagged[seen.since :].any(axis=2))
    if len(rows):
        looks = rows + seen.since
        log_price, weight = seen.log_price[looks, feeds], seen.weight[looks, feeds]
        left = weight * ~flagged[looks, feeds]
        left = np.where(left.sum(axis=1, keepdims=True) > 0, left, weight)
        truth = np.log(seen.truth[looks, feeds])
        with_all, without = (
            np.abs(_centre(log_price, each * ~np.isnan(log_price)) - truth) for each in (weight, left)
        )
        out[rows, feeds] = (without - with_all) * 1e4
    return out


def _centre(log_price: Floats, weight: Floats) -> Floats:
    price = sort_rows(np.where(weight > 0, log_price, np.inf))
    whole = np.maximum(weight.sum(axis=1, keepdims=True), 1e-300)
    return np.asarray(weighted_quantiles(price.values, price.of(weight / whole), (0.5,))[0])


def tape_of(tape: Tape) -> Injected:
    """A tape as it is, with nothing wrong on it."""
    return Injected(tape, (), np.zeros((len(tape.times), tape.own), np.bool_))
