"""The feed table as arrays: which leg stands where, at which venue, in which currency.

Knows the shape of the problem, which never changes while a process runs. Does not know a single price.

F feeds by K legs, K being the most legs of a feed; the rows of shorter feeds are padded. A leg's `slot` is
its place in the flat [F * K] view, so that a column of the window is stored padded and used without a
gather.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.feeds import DEX_VENUES, Feed
from core.aggregation.estimates import Floats

Ints = NDArray[np.intp]
Bools = NDArray[np.bool_]

USD: Final = "USD"
DOLLAR_WEIGHTS: Final = {"coinbase": 3.0}
"""By how much a venue's dollars count where they are not worth the same; 1 for the others. Coinbase trades
more in dollars than the other exchanges of the table together, so its dollar is what others quote."""
STABLECOINS: Final = ("USDT", "USDC", "USDS")
"""Currencies beside those that some leg is quoted in: their own legs tie the others to the dollar."""


@dataclass(frozen=True, slots=True)
class Markets:
    """The static arrays. `currencies[0]` is USD.

    slot [L]: place of each leg; venue, quote, cell [F, K]: index of venue and of quote currency, and
    `feed * cells + venue`; a padded place has venue 0 and quote 0. cells: the venues, at least 3, so that the
    three largest of a feed can always be asked for. converted [F, K]: where the quote is not USD. dex [F, K]:
    where the venue is an aggregator of decentralized exchanges; dex_rows: the feeds that have such a leg,
    mixed_rows: those with legs of both kinds.
    band [F]: the secondary band as a ratio. dollar_weight [V]. edge_slot, edge_base,
    edge_quote [E]: the legs between two currencies.
    """

    feeds: tuple[Feed, ...]
    venues: tuple[str, ...]
    currencies: tuple[str, ...]
    slot: Ints
    venue: Ints
    quote: Ints
    cell: Ints
    cells: int
    converted: Bools
    dex: Bools
    dex_rows: Ints
    mixed_rows: Ints
    band: Floats
    dollar_weight: Floats
    edge_slot: Ints
    edge_base: Ints
    edge_quote: Ints

    @property
    def shape(self) -> tuple[int, int]:
        return self.venue.shape[0], self.venue.shape[1]

    @classmethod
    def of(cls, feeds: Sequence[Feed]) -> Markets:
        """The arrays of a feed table; legs are numbered in feed order, as in `chrono.feeds.LEGS`.

        Raises ValueError on a table without feeds; a feed may be without legs.
        """
        if not feeds:
            raise ValueError("the table has no feed")
        legs = [leg for feed in feeds for leg in feed.legs]
        venues = tuple(dict.fromkeys(leg.venue for leg in legs))
        quoted = [leg.quote for leg in legs]
        stable = [leg.base for leg in legs if leg.base in STABLECOINS]
        currencies = tuple(dict.fromkeys([USD, *quoted, *stable]))
        width = max(len(feed.legs) for feed in feeds) or 1
        slots = [row * width + column for row, feed in enumerate(feeds) for column in range(len(feed.legs))]
        slot = np.array(slots, np.intp)
        venue, quote = np.zeros((2, len(feeds) * width), np.intp)
        venue[slot] = [venues.index(leg.venue) for leg in legs]
        quote[slot] = [currencies.index(leg.quote) for leg in legs]
        shape = (len(feeds), width)
        dex = np.zeros(len(feeds) * width, np.bool_)
        dex[slot] = [leg.venue in DEX_VENUES for leg in legs]
        edges = [index for index, leg in enumerate(legs) if leg.base in currencies]
        rows = np.arange(len(feeds))[:, None]
        cells = max(len(venues), 3)
        return cls(
            feeds=tuple(feeds),
            venues=venues,
            currencies=currencies,
            slot=slot,
            venue=venue.reshape(shape),
            quote=quote.reshape(shape),
            cell=rows * cells + venue.reshape(shape),
            cells=cells,
            converted=quote.reshape(shape) != 0,
            dex=dex.reshape(shape),
            dex_rows=_feeds_with(feeds, {True}),
            mixed_rows=_feeds_with(feeds, {True, False}),
            band=np.array([feed.secondary_band_ppm / 1e6 for feed in feeds]),
            dollar_weight=np.array([DOLLAR_WEIGHTS.get(venue, 1.0) for venue in venues] or [1.0]),
            edge_slot=slot[edges],
            edge_base=np.array([currencies.index(legs[edge].base) for edge in edges], np.intp),
            edge_quote=np.array([currencies.index(legs[edge].quote) for edge in edges], np.intp),
        )


def _feeds_with(feeds: Sequence[Feed], kinds: set[bool]) -> Ints:
    """The rows of the feeds that have legs of all these kinds: at an aggregator (True), at an exchange."""
    rows = [row for row, feed in enumerate(feeds) if kinds <= {leg.venue in DEX_VENUES for leg in feed.legs}]
    return np.array(rows, np.intp)


@dataclass(frozen=True, slots=True)
class Observations:
    """What is known at one instant: the input of `core.aggregation.estimate.estimate_all`.

    [F, K], padded: price (in the quote currency, NaN for none), half_spread (a ratio of the price, 0 where
    there is no book), volume_24h (base units, NaN for unknown), received_at and told_at (-inf for never;
    told_at is the venue's own time, or the receipt where it tells none), held_since (since when the price
    stands, for TWAP), last (the newest trade's price, NaN for none) and last_since (since when that stands).
    [V]: heard_at (-inf for never) and lag_s (by how much the newest time on a venue's rows was behind our
    receipt; NaN for a venue without a clock). sums [4, F, K], over the window that begins at `since`: traded
    volume (base), notional (quote currency), integral of the price (price x seconds) and the seconds under
    it, in the order VOLUME, NOTIONAL, INTEGRAL, SECONDS.
    """

    price: Floats
    half_spread: Floats
    volume_24h: Floats
    received_at: Floats
    told_at: Floats
    held_since: Floats
    last: Floats
    last_since: Floats
    heard_at: Floats
    lag_s: Floats
    sums: Floats
    since: float


VOLUME: Final = 0
NOTIONAL: Final = 1
INTEGRAL: Final = 2
SECONDS: Final = 3
