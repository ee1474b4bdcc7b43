"""Plain twin of a pass: one feed after the other, one leg after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from chrono.feeds import DEX_VENUES, Feed
from core.aggregation.estimates import FeedState, LegReason
from core.aggregation.rules import Rules
from tests.aggregation.plain.rates import solve_rates
from tests.aggregation.plain.weights import cap_dex, cap_venues, weighted_quantile
from tests.aggregation.plain.window import PlainLeg, PlainWindow


@dataclass
class LegResult:
    observed: PlainLeg
    rate: float | None
    price: float | None
    age_s: float | None
    reason: LegReason
    weight: float = 0.0

    @property
    def venue(self) -> str:
        return self.observed.venue


@dataclass
class FeedResult:
    legs: list[LegResult]
    price: float | None = None
    band_low: float | None = None
    band_high: float | None = None
    median: float | None = None
    vwap: float | None = None
    twap: float | None = None
    age_s: float | None = None
    venues_used: int = 0
    state: FeedState = FeedState.NONE


def estimate(window: PlainWindow, at: float) -> tuple[list[FeedResult], dict[str, float]]:
    """One result a feed, and the rates."""
    window.at = max(window.at, at)
    judged = [judge(window, leg, at) for leg in window.legs]
    rates = solve_rates(window.legs, judged)
    results, first = [], 0
    for feed in window.feeds:
        own = slice(first, first + len(feed.legs))
        legs = [
            _convert(leg, reason, rates, at)
            for leg, reason in zip(window.legs[own], judged[own], strict=True)
        ]
        results.append(_estimate_feed(window, feed, legs, at))
        first += len(feed.legs)
    return results, rates


def judge(window: PlainWindow, leg: PlainLeg, at: float) -> LegReason:
    """By times alone."""
    rules, venue = window.rules, window.venues[leg.venue]
    if leg.received_at is None:
        return LegReason.NO_DATA
    if at - venue.heard_at > rules.dead_s:
        return LegReason.DEAD_VENUE
    if venue.told_at is not None and venue.received_at - venue.told_at > rules.stuck_s:
        return LegReason.STALE
    if at - leg.received_at > rules.receipt_s or leg.age_s(at) > rules.told_s:
        return LegReason.STALE
    return LegReason.NO_PRICE if leg.price is None else LegReason.USED


def freshness(rules: Rules, leg: PlainLeg, at: float) -> float:
    receipt_age = max(at - leg.received_at, 0.0)
    by_receipt = 0.5 ** (receipt_age / rules.receipt_half_life_s)
    return max(by_receipt * 0.5 ** (leg.age_s(at) / rules.told_half_life_s), rules.freshness_min)


def _is_confirmed(rules: Rules, leg: LegResult, legs: list[LegResult]) -> bool:
    """An exchange's leg is by itself; an aggregator's needs another venue near it."""
    return leg.venue not in DEX_VENUES or any(
        other.venue != leg.venue
        and abs(other.price - leg.price) <= rules.dex_agreement * max(other.price, leg.price)
        for other in legs
    )


def _convert(leg: PlainLeg, reason: LegReason, rates: dict[str, float], at: float) -> LegResult:
    rate = rates.get(leg.quote)
    price = None if leg.price is None or rate is None else leg.price * rate
    if reason == LegReason.USED and rate is None:
        reason = LegReason.NO_CONVERSION
    return LegResult(leg, rate, price, None if leg.received_at is None else leg.age_s(at), reason)


def _estimate_feed(window: PlainWindow, feed: Feed, legs: list[LegResult], at: float) -> FeedResult:
    rules, band = window.rules, feed.secondary_band_ppm / 1e6
    result = FeedResult(legs)
    chosen = [leg for leg in legs if leg.reason == LegReason.USED]
    if not chosen:
        return result
    for leg in [leg for leg in chosen if not _is_confirmed(rules, leg, chosen)]:
        leg.reason = LegReason.UNCONFIRMED
    chosen = [leg for leg in chosen if leg.reason == LegReason.USED]
    if not chosen:
        return result
    result.median = median(leg.price for leg in chosen)
    stated = _stated_weights(rules, chosen, at)
    venues = [leg.venue for leg in chosen]
    _filter(rules, band, chosen, cap_dex(rules, venues, cap_venues(venues, stated, rules.venue_share_max)))

    kept = [w if leg.reason == LegReason.USED else 0.0 for leg, w in zip(chosen, stated, strict=True)]
    capped = cap_dex(rules, venues, cap_venues(venues, kept, rules.venue_share_max))
    for leg, weight in zip(chosen, capped, strict=True):
        leg.weight = weight
    used = [leg for leg in chosen if leg.reason == LegReason.USED]
    prices, weights = [leg.price for leg in used], [leg.weight for leg in used]
    result.price = weighted_quantile(prices, weights, 0.5)
    result.price = pulled(rules, band, used, result.price)
    half_spread = sum(leg.weight * leg.observed.half_spread for leg in used)
    half_width = max(half_spread, rules.band_floor_bands * band)
    result.band_low = min(weighted_quantile(prices, weights, 0.25), result.price * (1 - half_width))
    result.band_high = max(weighted_quantile(prices, weights, 0.75), result.price * (1 + half_width))
    result.vwap = _vwap(window, used)
    means = [_twap(window, leg.observed, at) * leg.rate for leg in used]
    result.twap = weighted_quantile(means, weights, 0.5)
    result.age_s = min(leg.age_s for leg in used)
    result.venues_used = len({leg.venue for leg in used})
    result.state = FeedState.LIVE
    return result


def pulled(rules: Rules, band: float, used: list[LegResult], middle: float) -> float:
    """The median, moved to the mean of cut distances, but not past where the loudest venue could be."""
    prices, weights = [leg.price for leg in used], [leg.weight for leg in used]
    distances = [price / middle - 1 for price in prices]
    mad = weighted_quantile([abs(distance) for distance in distances], weights, 0.5)
    reach = max(rules.pull_bands * band, rules.pull_mads * mad)
    if any(leg.venue not in DEX_VENUES for leg in used):
        distances = [0.0 if leg.venue in DEX_VENUES else d for leg, d in zip(used, distances, strict=True)]
    cut = [min(max(distance, -reach), reach) for distance in distances]
    wanted = middle * (1 + sum(w * d for w, d in zip(weights, cut, strict=True)))
    shares: dict[str, float] = {}
    for leg in used:
        shares[leg.venue] = shares.get(leg.venue, 0.0) + leg.weight
    beyond = min(max(shares.values()) + 1e-6, 1.0)
    ends = [
        weighted_quantile(prices, weights, beyond),
        weighted_quantile(prices, weights, 1 - beyond),
        middle,
    ]
    return min(max(wanted, min(ends)), max(ends))


def _filter(rules: Rules, band: float, legs: list[LegResult], weights: list[float]) -> None:
    """Set the reason of the legs that are too far from the others."""
    prices = [leg.price for leg in legs]
    centre = weighted_quantile(prices, weights, 0.5)
    distances = [abs(price - centre) for price in prices]
    mad = weighted_quantile(distances, weights, 0.5)
    floor = max(rules.floor_bands * band, rules.floor_min) * centre
    near = [max(floor, leg.observed.half_spread * leg.price) for leg in legs]
    fair = [d <= max(n, rules.mad_factor * mad) * (1 + 1e-9) for d, n in zip(distances, near, strict=True)]
    in_doubt = [leg.age_s > rules.doubt_s for leg in legs]
    vouched = any(f and not doubt for f, doubt in zip(fair, in_doubt, strict=True))
    for k, leg in enumerate(legs):
        if vouched and in_doubt[k] and distances[k] > near[k] * (1 + 1e-9):
            leg.reason = LegReason.STALE
        elif not fair[k]:
            leg.reason = LegReason.OUTLIER


def _stated_weights(rules: Rules, legs: list[LegResult], at: float) -> list[float]:
    volumes = [(leg.observed.volume_24h or 0.0) * leg.price for leg in legs]
    weights = []
    for leg, volume in zip(legs, volumes, strict=True):
        liquidity = max(math.sqrt(volume / max(volumes)) if volume else 0.0, rules.liquidity_min)
        converted = 1.0 if leg.observed.quote == "USD" else rules.converted_factor
        weights.append(freshness(rules, leg.observed, at) * liquidity * converted)
    return weights


def _vwap(window: PlainWindow, legs: list[LegResult]) -> float | None:
    counted = [
        (price * leg.rate, size)
        for leg in legs
        for told, price, size in leg.observed.trades
        if told >= window.since()
    ]
    volume = sum(size for _, size in counted)
    return sum(price * size for price, size in counted) / volume if volume else None


def _twap(window: PlainWindow, leg: PlainLeg, at: float) -> float:
    """The mean of the prices by how long each stood; the price itself if none stood for any time yet."""
    ends = [since for since, _ in leg.prices[1:]] + [at]
    whole = integral = 0.0
    for (since, price), end in zip(leg.prices, ends, strict=True):
        seconds = max(end - max(since, window.since()), 0.0)
        if price is not None:
            whole += seconds
            integral += seconds * price
    return integral / whole if whole else leg.price
