"""One pass over all feeds as a message: the price objects that every client gets, encoded once.

Knows the wire form of a price. Does not know who carries the message (`core.bus`) nor who reads it
(`core.api`). A message is lines of JSON, one a feed after the header:

    {"version":1,"sequence":7,"at":1790000000.25,"feeds":["FLR/USD","SGB/USD"]}
    {"feed":"FLR/USD","price":"0.02150300",...}
    {"feed":"SGB/USD","price":null,...}

so that a reader takes the objects apart without parsing them. Prices are text with the feed's decimals and
two more, or null: never NaN. Times are Unix seconds, ages seconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Final

import orjson

from chrono.errors import ChronoError
from chrono.feeds import DEX_VENUES, FEEDS, Feed
from core.aggregation.estimates import Estimates, FeedState, LegReason

VERSION: Final = 1
EXTRA_DIGITS: Final = 2
LATE_S: Final = 10.0
"""A pass older than this is told as stale: the core has stopped estimating."""

Reference = Mapping[str, tuple[float, float]]
"""By feed, the (time, price) that a change is counted from."""

_BORDERS: Final = (0, *accumulate(len(feed.legs) for feed in FEEDS))
LEGS_OF_FEED: Final = tuple(slice(start, end) for start, end in pairwise(_BORDERS))
"""Where each feed's legs stand in `chrono.feeds.LEGS`, in the order of FEEDS."""

_AT_POOLS: Final = tuple(tuple(leg.venue in DEX_VENUES for leg in feed.legs) for feed in FEEDS)
POOLS_ALONE: Final = "rests on pools of decentralized exchanges alone: it moves by at most 1 % a minute"
ONE_VENUE: Final = "rests on one venue, which no other confirms now"
TWO_APART: Final = "rests on two venues more than 1 % apart: one is wrong, and the band spans both"
_APART: Final = 0.01
_VENUES_LISTED: Final = tuple(len({leg.venue for leg in feed.legs}) for feed in FEEDS)
_WORDS: Final = {
    LegReason.NO_DATA: "never heard",
    LegReason.STALE: "stale",
    LegReason.DEAD_VENUE: "on a silent venue",
    LegReason.NO_PRICE: "without a price",
    LegReason.NO_CONVERSION: "without a rate to USD",
    LegReason.OUTLIER: "outlying",
    LegReason.UNCONFIRMED: "unconfirmed",
}
_STATES: Final = {state.value: state.name.lower() for state in FeedState}


class MalformedMessage(ChronoError):
    """The bytes are no message of a pass in a version that is known here."""


@dataclass(frozen=True, slots=True)
class PassMessage:
    """One pass: each feed's JSON object as bytes, not parsed. `at` is in whole milliseconds."""

    sequence: int
    at: float
    fragments: Mapping[str, bytes]


def message_of(estimates: Estimates, reference: Reference) -> PassMessage:
    """What is told of one pass, as seen at its own time."""
    objects = map(orjson.dumps, price_objects(estimates, reference))
    names = (feed.name for feed in FEEDS)
    return PassMessage(estimates.sequence, round(estimates.at, 3), dict(zip(names, objects, strict=True)))


def is_late(message: PassMessage, at: float) -> bool:
    """Whether the pass is too old to be told as it is. One from the future is too: a clock is wrong."""
    return abs(at - message.at) > LATE_S


def as_seen(message: PassMessage, at: float) -> PassMessage:
    """The message as it is told at `at`: of a late pass the ages have grown, and nothing is live."""
    if not is_late(message, at):
        return message
    late_s = max(0.0, at - message.at)
    told = {feed: _late(fragment, late_s) for feed, fragment in message.fragments.items()}
    return PassMessage(message.sequence, message.at, told)


def _late(fragment: bytes, late_s: float) -> bytes:
    price = orjson.loads(fragment)
    price["why"] = f"no estimate came for {late_s:.0f} s"
    if price["state"] == _STATES[FeedState.LIVE]:
        price["state"] = _STATES[FeedState.STALE]
    if price["age_s"] is not None:
        price["age_s"] = round(price["age_s"] + late_s, 3)
    return orjson.dumps(price)


def encode_pass(message: PassMessage) -> bytes:
    """The bytes that the bus carries."""
    header = {
        "version": VERSION,
        "sequence": message.sequence,
        "at": message.at,
        "feeds": list(message.fragments),
    }
    return b"\n".join([orjson.dumps(header), *message.fragments.values()])


def decode_pass(message: bytes) -> PassMessage:
    """The message's fragments by feed; raises MalformedMessage."""
    head, *fragments = message.split(b"\n")
    try:
        header = orjson.loads(head)
        if header["version"] != VERSION:
            raise MalformedMessage(f"message version {header['version']} is not known here")
        named = dict(zip(header["feeds"], fragments, strict=True))
        return PassMessage(int(header["sequence"]), float(header["at"]), named)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise MalformedMessage(f"not a message of a pass: {error}") from None


def price_objects(estimates: Estimates, reference: Reference) -> list[dict[str, object]]:
    """One JSON object a feed, in the order of FEEDS."""
    columns = zip(
        FEEDS,
        estimates.price.tolist(),
        estimates.band_low.tolist(),
        estimates.band_high.tolist(),
        estimates.median.tolist(),
        estimates.vwap.tolist(),
        estimates.twap.tolist(),
        estimates.age_s.tolist(),
        estimates.venues_used.tolist(),
        estimates.state.tolist(),
        _VENUES_LISTED,
        LEGS_OF_FEED,
        _AT_POOLS,
        strict=True,
    )
    reasons: list[int] = estimates.legs.reason.tolist()
    shown: list[float] = estimates.legs.price.tolist()
    seen_at = round(estimates.at, 3)
    objects: list[dict[str, object]] = []
    for feed, price, low, high, median, vwap, twap, age_s, used, state_now, listed, legs, at_pools in columns:
        state = state_now if math.isfinite(price) else FeedState.NONE
        change, since = _change(price, reference.get(feed.name))
        objects.append(
            {
                "feed": feed.name,
                "price": None if state == FeedState.NONE else price_text(price, feed),
                "band_low": price_text(low, feed),
                "band_high": price_text(high, feed),
                "median": price_text(median, feed),
                "vwap": price_text(vwap, feed),
                "twap": price_text(twap, feed),
                "change_24h_percent": change,
                "change_since": since,
                "venues_used": used,
                "venues_listed": listed,
                "age_s": round(age_s, 3) if math.isfinite(age_s) else None,
                "state": _STATES[state],
                "why": _why(state, reasons[legs], at_pools, used)
                or (TWO_APART if used == 2 and _is_apart(reasons[legs], shown[legs]) else None),
                "at": seen_at,
                "sequence": estimates.sequence,
            }
        )
    return objects


def price_text(price: float | None, feed: Feed) -> str | None:
    """A price as it stands on the wire; None for no finite price."""
    if price is None or not math.isfinite(price):
        return None
    return f"{price:.{feed.decimals + EXTRA_DIGITS}f}"


def _change(price: float, reference: tuple[float, float] | None) -> tuple[float | None, float | None]:
    """The change in percent since the reference, and the reference's time."""
    if reference is None or not math.isfinite(price) or not reference[1] > 0:
        return None, None
    return round((price / reference[1] - 1) * 100, 3), round(reference[0], 3)


def _why(state: int, reasons: Sequence[int], at_pools: Sequence[bool], venues_used: int) -> str | None:
    """In a few words why a feed is not live, or what is to be known of a live one; None for nothing."""
    if state == FeedState.LIVE:
        if any(at_pools) and _rests_on(reasons, at_pools):
            return POOLS_ALONE
        return ONE_VENUE if venues_used == 1 else None
    counts = Counter(reason for reason in reasons if reason != LegReason.USED)
    if not counts:
        return "no estimate yet"
    parts = ", ".join(f"{count} {_WORDS[LegReason(reason)]}" for reason, count in counts.most_common())
    return f"of {len(reasons)} markets: {parts}"


def _is_apart(reasons: Sequence[int], shown: Sequence[float]) -> bool:
    """Whether the used legs of a feed show prices that differ by more than _APART."""
    used = [price for reason, price in zip(reasons, shown, strict=True) if reason == LegReason.USED]
    return bool(used) and max(used) > min(used) * (1 + _APART)


def _rests_on(reasons: Sequence[int], chosen: Sequence[bool]) -> bool:
    """Whether every used leg is a chosen one."""
    return all(is_one for reason, is_one in zip(reasons, chosen, strict=True) if reason == LegReason.USED)
