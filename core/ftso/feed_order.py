"""The canonical order of a reward epoch's feeds: which feed stands where in a vector of values.

flare-specs FSP/Rewarding (reward sources), and the reference data provider's order: feeds offered by
inflation first, by id; then feeds that only the community offered, by the amount offered for them from large
to small, by id among equals. Only offers made before the reward epoch began count: the caller passes exactly
those. A wrong list shifts every value, so two offers that disagree on a feed's decimals are refused, not
settled.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from chrono.feeds import FeedId
from core.ftso.errors import ConflictingOffers
from core.ftso.wire import checked


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed as the chain offers it: its id and the decimals of its values in this reward epoch (int8)."""

    id: FeedId
    decimals: int

    def __post_init__(self) -> None:
        checked("decimals", self.decimals, -128, 127)


@dataclass(frozen=True, slots=True)
class CommunityOffer:
    """One community reward offer for a feed, `amount` in wei."""

    feed: Feed
    amount: int


def canonical_feed_order(inflation: Iterable[Feed], community: Iterable[CommunityOffer]) -> tuple[Feed, ...]:
    """The reward epoch's feeds in their order; raise ConflictingOffers where decimals disagree.

    `inflation` holds every feed of every inflation offer, `community` every community offer; repetitions are
    merged, amounts added up.
    """
    inflation_feeds: dict[FeedId, Feed] = {}
    for feed in inflation:
        _merge(inflation_feeds, feed)
    community_feeds: dict[FeedId, Feed] = {}
    amounts: dict[FeedId, int] = {}
    for offer in community:
        known = inflation_feeds if offer.feed.id in inflation_feeds else community_feeds
        _merge(known, offer.feed)
        amounts[offer.feed.id] = amounts.get(offer.feed.id, 0) + offer.amount
    first = sorted(inflation_feeds.values(), key=lambda feed: feed.id)
    then = sorted(community_feeds.values(), key=lambda feed: (-amounts[feed.id], feed.id))
    return (*first, *then)


def _merge(known: dict[FeedId, Feed], feed: Feed) -> None:
    before = known.setdefault(feed.id, feed)
    if before.decimals != feed.decimals:
        raise ConflictingOffers(feed.id.hex(), before.decimals, feed.decimals)
