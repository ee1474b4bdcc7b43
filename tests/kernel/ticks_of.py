"""Strategies and examples of ticks and batches."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import strategies as st

from chrono.batch import Batch
from chrono.feeds import LEGS
from chrono.ticks import Quote, Reason, Tick, Trade
from chrono.venue_state import VenueReport, VenueState

KEY_ID = b"\x01\x02\x03\x04\x05\x06\x07\x08"
AT = 1_750_000_000.0

times = st.integers(1_600_000_000_000, 4_000_000_000_000).map(lambda ms: ms / 1000)
prices = st.decimals(Decimal("0.000000001"), Decimal(100_000_000), places=9).filter(bool)
volumes = st.decimals(0, Decimal(10_000_000_000), places=8)
legs = st.sampled_from(LEGS)


@st.composite
def quotes(draw: st.DrawFn) -> Quote:
    bid, ask = sorted((draw(prices), draw(prices)))
    has_book = draw(st.booleans())
    last = draw(st.none() | prices) if has_book else draw(prices)
    return Quote(
        draw(legs),
        bid if has_book else None,
        ask if has_book else None,
        last,
        draw(st.none() | volumes),
        draw(st.none() | times),
        draw(times),
    )


trades = st.builds(Trade, legs, prices, volumes.filter(bool), times, times)
ticks: st.SearchStrategy[Tick] = quotes() | trades

reports = st.builds(
    VenueReport,
    st.sampled_from(["coinbase", "binance", "kraken", "bybit", "okx", "twelve-chars"]),
    st.sampled_from(list(VenueState)),
    times,
    st.none() | times,
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
    st.dictionaries(st.sampled_from(list(Reason)), st.integers(1, 2**32 - 1)),
)

batches = st.builds(
    Batch,
    st.binary(min_size=8, max_size=8),
    st.integers(0, 2**63 - 1),
    times,
    st.lists(ticks, max_size=12).map(tuple),
    st.lists(reports, max_size=5).map(tuple),
    st.integers(0, 2**32 - 1),
)


def quote(index: int = 0, at: float = AT) -> Quote:
    leg = LEGS[index % len(LEGS)]
    return Quote(leg, Decimal("99.5"), Decimal("100.5"), Decimal("100.1"), Decimal("8913.3"), at - 0.5, at)


def batch_of(count: int, sequence: int = 1) -> Batch:
    return Batch(KEY_ID, sequence, AT, tuple(quote(index) for index in range(count)))
