"""The slow, obvious twin of the aggregation: lists, floats and loops, no numpy. It specifies the kernel.

Where the kernel keeps sums in buckets, the twin keeps every trade and every price and adds them up when
asked. Where the kernel sorts a matrix, the twin sorts a list. None stands for what is not known.
Only the numbers in `Rules`, the feed table and the names of reasons are shared with the kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from statistics import median

from chrono.feeds import DEX_VENUES, Feed
from core.aggregation.estimates import FeedState, LegReason
from core.aggregation.markets import STABLECOINS
from core.aggregation.rules import RULES, Rules


@dataclass
class PlainTick:
    """A quote, or a trade (`last` is its price and `volume` its size). `leg` counts the legs of the feeds."""

    leg: int
    is_trade: bool
    received_at: float
    event_at: float | None = None
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    volume: float | None = None


@dataclass
class PlainLeg:
    """All that is remembered of a leg."""

    venue: str
    base: str
    quote: str
    bid: float | None = None
    ask: float | None = None
    last: float | None = None
    last_at: float = -math.inf
    volume_24h: float | None = None
    quote_told: float | None = None
    quote_received: float | None = None
    trade_told: float | None = None
    trade_received: float | None = None
    half_spread: float = 0.0
    prices: list[tuple[float, float | None]] = field(default_factory=list)  # since when, price
    trades: list[tuple[float, float, float]] = field(default_factory=list)  # told, price, size

    @property
    def price(self) -> float | None:
        return self.prices[-1][1] if self.prices else None

    @property
    def received_at(self) -> float | None:
        return max((t for t in (self.quote_received, self.trade_received) if t is not None), default=None)

    @property
    def told_at(self) -> float | None:
        """The venue's own time, or the receipt if its newest quote tells none."""
        if self.quote_received is not None and self.quote_told is None:
            return self.received_at
        return max((t for t in (self.quote_told, self.trade_told) if t is not None), default=None)

    def age_s(self, at: float) -> float:
        return max(at - self.told_at, 0.0)


@dataclass
class PlainVenue:
    heard_at: float | None = None
    received_at: float | None = None
    told_at: float | None = None


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


class PlainWindow:
    """Remembers everything, forgets nothing."""

    def __init__(self, feeds: Sequence[Feed], rules: Rules = RULES) -> None:
        self.feeds, self.rules, self.at = feeds, rules, -math.inf
        self.legs = [PlainLeg(leg.venue, leg.base, leg.quote) for feed in feeds for leg in feed.legs]
        self.venues = {leg.venue: PlainVenue() for leg in self.legs}

    def since(self) -> float:
        """VWAP and TWAP reach back to the beginning of the oldest of the buckets."""
        return (int(self.at // self.rules.bucket_s) - self.rules.buckets + 1) * self.rules.bucket_s

    def hear(self, venue: str, at: float) -> None:
        if venue in self.venues:
            known = self.venues[venue]
            known.heard_at = _later(known.heard_at, at)

    def apply(self, ticks: Iterable[PlainTick], at: float) -> None:
        self.at = max(self.at, at)
        ticks = [self._with_sane_times(tick) for tick in ticks]
        for tick in ticks:
            venue = self.venues[self.legs[tick.leg].venue]
            venue.heard_at = _later(venue.heard_at, tick.received_at)
            venue.received_at = _later(venue.received_at, tick.received_at)
            venue.told_at = _later(venue.told_at, tick.event_at)
        for index, leg in enumerate(self.legs):
            mine = [tick for tick in ticks if tick.leg == index]
            self._take_quotes(leg, [tick for tick in mine if not tick.is_trade])
            self._take_trades(leg, [tick for tick in mine if tick.is_trade and tick.event_at is not None])

    def _with_sane_times(self, tick: PlainTick) -> PlainTick:
        told = tick.event_at
        if told is not None and told > self.at + self.rules.future_s:
            told = None
        received = min(tick.received_at, self.at)
        return PlainTick(tick.leg, tick.is_trade, received, told, tick.bid, tick.ask, tick.last, tick.volume)

    def _take_quotes(self, leg: PlainLeg, quotes: list[PlainTick]) -> None:
        newer = [quote for quote in quotes if _is_newer(quote, leg)]
        newer.sort(key=lambda quote: (_told_or_received(quote), quote.received_at))
        for quote in newer:
            if quote.last is not None:
                leg.last, leg.last_at = quote.last, quote.received_at
            if quote.volume is not None:
                leg.volume_24h = quote.volume
            price, leg.half_spread = leg_price(quote.bid, quote.ask, quote.last, self.rules)
            self._stand(leg, price, quote.received_at)
            leg.bid, leg.ask = quote.bid, quote.ask
            leg.quote_told, leg.quote_received = quote.event_at, quote.received_at

    def _take_trades(self, leg: PlainLeg, trades: list[PlainTick]) -> None:
        newest_before = -math.inf if leg.trade_told is None else leg.trade_told
        counted = [trade for trade in trades if trade.event_at > newest_before]
        counted = [trade for trade in counted if trade.event_at >= self.since()]
        counted.sort(key=lambda trade: (trade.event_at, trade.received_at))
        for trade in counted:
            leg.trades.append((min(trade.event_at, self.at), trade.last, trade.volume))
        if not counted:
            return
        newest = counted[-1]
        leg.trade_told = newest.event_at
        leg.trade_received = _later(leg.trade_received, newest.received_at)
        if newest.event_at > leg.last_at:
            leg.last, leg.last_at = newest.last, newest.event_at
        book_stands = leg.bid is not None
        outside = book_stands and not leg.bid <= newest.last <= leg.ask
        if outside and newest.event_at > leg.quote_received:
            leg.bid = leg.ask = None
        price, leg.half_spread = leg_price(leg.bid, leg.ask, leg.last, self.rules)
        self._stand(leg, price, newest.received_at)

    def _stand(self, leg: PlainLeg, price: float | None, received: float) -> None:
        """The price stands from its receipt on, or from when the one before it did if that was later."""
        stood_since = leg.prices[-1][0] if leg.prices else -math.inf
        leg.prices.append((max(received, stood_since, self.since()), price))


def leg_price(
    bid: float | None, ask: float | None, last: float | None, rules: Rules
) -> tuple[float | None, float]:
    """The mid of a book that is not too wide; else `last`, moved into the book."""
    if bid is not None and ask is not None:
        mid = (bid + ask) / 2
        width = (ask - bid) / mid
        if width <= rules.book_width_max:
            return mid, width / 2
        return (None if last is None else min(max(last, bid), ask)), 0.0
    return last, 0.0


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


def solve_rates(legs: list[PlainLeg], judged: list[LegReason]) -> dict[str, float]:
    """Dollars per unit of every currency with a path, by reweighted least squares on the logs."""
    currencies = {"USD"} | {leg.quote for leg in legs} | {leg.base for leg in legs if leg.base in STABLECOINS}
    edges = []
    for leg, reason in zip(legs, judged, strict=True):
        if leg.base in currencies and reason == LegReason.USED:
            edges.append((leg.base, leg.quote, math.log(leg.price)))
    reached = {"USD"}
    for _ in currencies:
        for base, quote, _ in edges:
            if base in reached or quote in reached:
                reached |= {base, quote}
    unknown = sorted(reached - {"USD"})
    edges = [edge for edge in edges if edge[0] in reached]
    logs = dict.fromkeys(reached, 0.0)
    weights = [1.0 for _ in edges]
    for _ in range(6):
        logs = {"USD": 0.0, **_least_squares(unknown, edges, weights)}
        residuals = [abs(log - logs[base] + logs[quote]) for base, quote, log in edges]
        weights = [max(residual, 1e-4) ** -1.5 for residual in residuals]
    return {currency: math.exp(log) for currency, log in logs.items()}


def weighted_quantile(values: list[float], weights: list[float], q: float) -> float:
    """The mean of the first value at which the weight reaches q, and of the first at which it exceeds q."""
    pairs = sorted(zip(values, weights, strict=True))
    whole = sum(weights)

    def first(is_there: Callable[[float], bool]) -> float:
        reached = 0.0
        for value, weight in pairs:
            reached += weight
            if weight > 0 and is_there(reached / whole):
                return value
        return max(value for value, weight in pairs if weight > 0)

    return (first(lambda share: share >= q - 1e-9) + first(lambda share: share >= q + 1e-9)) / 2


def cap_venues(venues: list[str], weights: list[float], share: float) -> list[float]:
    """Cut what is over its share and look again: cutting one may put the next one over."""
    totals: dict[str, float] = {}
    for venue, weight in zip(venues, weights, strict=True):
        totals[venue] = totals.get(venue, 0.0) + weight
    alive = [venue for venue, total in totals.items() if total > 0]
    if not alive:
        return [0.0] * len(weights)
    share = max(share, 1 / len(alive))
    over: list[str] = []
    final = dict(totals)
    while True:
        rest = sum(totals[venue] for venue in alive if venue not in over)
        if len(over) == len(alive) or math.isclose(share * len(over), 1):
            break
        whole = rest / (1 - share * len(over))
        final.update(dict.fromkeys(over, share * whole))
        next_over = [v for v in alive if v not in over and totals[v] > share * whole * (1 + 1e-12)]
        if not next_over:
            break
        over.append(max(next_over, key=lambda venue: totals[venue]))
    whole = sum(final[venue] for venue in alive)
    return [
        weight * final[venue] / totals[venue] / whole if weight else 0.0
        for venue, weight in zip(venues, weights, strict=True)
    ]


def cap_dex(rules: Rules, venues: list[str], weights: list[float]) -> list[float]:
    """Cut the aggregators' weights to their share, and give what they lose to the exchanges."""
    dex = sum(weight for venue, weight in zip(venues, weights, strict=True) if venue in DEX_VENUES)
    rest = sum(weight for venue, weight in zip(venues, weights, strict=True) if venue not in DEX_VENUES)
    if dex <= rules.dex_share_max or not rest:
        return weights
    share = rules.dex_share_max
    return [
        weight * (share / dex if venue in DEX_VENUES else (1 - share) / rest)
        for venue, weight in zip(venues, weights, strict=True)
    ]


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


def _is_newer(quote: PlainTick, leg: PlainLeg) -> bool:
    if leg.quote_received is None:
        return True
    by_receipt = quote.received_at >= leg.quote_received
    if quote.event_at is None or leg.quote_told is None or quote.event_at == leg.quote_told:
        return by_receipt
    return quote.event_at > leg.quote_told


def _told_or_received(quote: PlainTick) -> float:
    return quote.received_at if quote.event_at is None else quote.event_at


def _later(known: float | None, new: float | None) -> float | None:
    return max((t for t in (known, new) if t is not None), default=None)


def _least_squares(
    unknown: list[str], edges: list[tuple[str, str, float]], weights: list[float]
) -> dict[str, float]:
    """Normal equations, solved by Gaussian elimination."""
    n = len(unknown)
    rows = [[0.0] * (n + 1) for _ in range(n)]
    for i in range(n):
        rows[i][i] = 1e-9
    for (base, quote, log), weight in zip(edges, weights, strict=True):
        signs = [(c == base) - (c == quote) for c in unknown]
        for i in range(n):
            for j in range(n):
                rows[i][j] += weight * signs[i] * signs[j]
            rows[i][n] += weight * signs[i] * log
    for i in range(n):
        pivot = max(range(i, n), key=lambda row: abs(rows[row][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(n):
            if k != i:
                factor = rows[k][i] / rows[i][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    return {currency: rows[i][n] / rows[i][i] for i, currency in enumerate(unknown)}
