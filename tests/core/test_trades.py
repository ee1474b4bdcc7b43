"""A trade that two collectors told, or one that was started again, counts once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import LEGS, Leg
from core.columns import TICK_DTYPE, TickColumns
from core.trades import NewTrades
from core.volumes import VolumeBook

AT_MS = 1_800_000_000_000
BTC = LEGS.index(Leg("coinbase", "BTC", "USD"))


def told(*times_ms: int, leg: int = BTC, kind: int = 2) -> TickColumns:
    """Trades of one unit at a price of 1, by their times after AT_MS; quotes with `kind` 1."""
    rows = np.zeros(len(times_ms), TICK_DTYPE)
    rows["kind"], rows["last"], rows["volume"] = kind, 1, 1
    rows["event_ms"] = rows["received_ms"] = [AT_MS + time_ms for time_ms in times_ms]
    return TickColumns(np.full(len(times_ms), leg, np.int32), rows)


def times(ticks: TickColumns) -> list[int]:
    return [int(event_ms) - AT_MS for event_ms in ticks.rows["event_ms"]]


def test_a_trade_that_another_collector_told_is_held_back() -> None:
    new = NewTrades()
    assert times(new.of(told(1, 2, 3))) == [1, 2, 3]
    assert times(new.of(told(2, 3, 4))) == [4]


def test_several_trades_of_one_instant_in_one_batch_all_count() -> None:
    assert times(NewTrades().of(told(5, 5, 5))) == [5, 5, 5]


def test_each_leg_has_a_memory_of_its_own() -> None:
    new = NewTrades()
    new.of(told(9))
    assert times(new.of(told(3, leg=BTC + 1))) == [3]


def test_quotes_pass_however_old() -> None:
    new = NewTrades()
    new.of(told(9))
    assert times(new.of(told(3, 4, kind=1))) == [3, 4]


def test_the_volume_of_two_collectors_is_that_of_one() -> None:
    new, book = NewTrades(), VolumeBook()
    for batch in (told(1, 2), told(1, 2, 3), told(3, 4), told(4)):
        book.apply(new.of(batch), AT_MS / 1000 + 1)
    assert sum(book.traded("BTC/USD", 60, AT_MS / 1000 + 1, {"USD": 1.0}).values()) == 4.0


@given(st.lists(st.integers(1, 8), min_size=1, max_size=30), st.booleans())
def test_two_collectors_with_any_turns_count_every_trade_exactly_once(
    turns: Sequence[int], first_is_a: bool
) -> None:
    """They take turns; each tells all trades since its own last turn, and there is one a millisecond."""
    new, counted, now = NewTrades(), [], 0
    since = {True: 0, False: 0}
    who = first_is_a
    for step in turns:
        now += step
        counted += times(new.of(told(*range(since[who] + 1, now + 1))))
        since[who], who = now, not who
    assert counted == list(range(1, now + 1))
