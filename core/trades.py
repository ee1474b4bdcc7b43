"""Each trade once, whoever tells it: what two collectors of one venue both saw counts for one of them.

Pure. Knows the time of the newest trade that was counted of each leg, and nothing more: memory is fixed by
the feed table. Does not know collectors: the rule is the same for a second one and for one that was started
again and tells its last minutes anew.

The rule: a trade counts if its venue dates it after every trade that an earlier batch told of its leg. A
venue tells a leg's trades in the order of their times, so whatever the two collectors' turns are, each of
them adds what the other has not told yet, and if one goes silent the other goes on at its next turn: there is
no owner and nothing is handed over. What the rule misses rather than counts twice: a trade in the very
millisecond of the newest one that was told before it, and trades that only the slower of two collectors saw
before the faster one told later ones. Ingest refuses a trade that is dated ahead by more than its tolerance,
so a wrong date silences a leg's trades for that long at the most.
"""

from __future__ import annotations

import numpy as np

from chrono.feeds import LEGS
from core.columns import TickColumns


class NewTrades:
    """Lets each trade through once."""

    def __init__(self) -> None:
        self._newest_ms = np.zeros(len(LEGS), np.int64)

    def of(self, ticks: TickColumns) -> TickColumns:
        """The ticks without the trades that were told before; quotes pass. Within a batch nothing repeats."""
        trade = ticks.is_trade
        if not trade.any():
            return ticks
        told_ms = ticks.rows["event_ms"]
        repeated = trade & (told_ms <= self._newest_ms[ticks.leg])
        new = trade & ~repeated
        np.maximum.at(self._newest_ms, ticks.leg[new], told_ms[new])
        if not repeated.any():
            return ticks
        return TickColumns(ticks.leg[~repeated], ticks.rows[~repeated])
