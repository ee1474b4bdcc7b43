"""Ticks as columns: a batch's bytes decoded at once with numpy, for the window and for COPY.

The fast twin of `chrono.batch.decode`; the layout is drawn there. A tick that is out of bounds or of a leg
that is not in the feed table is refused by itself, with its reason; the rest of the batch is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from chrono.batch import KIND_QUOTE, KIND_TRADE, TICK_BYTES, Header
from chrono.feeds import LEGS
from chrono.ticks import DECIMALS_MAX, Reason

TICK_DTYPE: Final = np.dtype(
    [
        ("leg", "<u2"),
        ("kind", "u1"),
        ("price_decimals", "u1"),
        ("volume_decimals", "u1"),
        ("zero", "u1", 3),
        ("received_ms", "<i8"),
        ("event_ms", "<i8"),
        ("bid", "<i8"),
        ("ask", "<i8"),
        ("last", "<i8"),
        ("volume", "<i8"),
    ]
)
assert TICK_DTYPE.itemsize == TICK_BYTES  # noqa: S101

LEG_INDEX: Final[Mapping[str, int]] = {str(leg): index for index, leg in enumerate(LEGS)}
_UNKNOWN: Final = -1
_TIME_MS_MAX: Final = 4_102_444_800_000
_POWERS: Final = 10.0 ** np.arange(DECIMALS_MAX + 1)


@dataclass(frozen=True, slots=True)
class TickColumns:
    """N ticks as columns of equal length. `leg` indexes `chrono.feeds.LEGS`.

    `rows` keeps the integers as they came (TICK_DTYPE), for storage. bid, ask, last and volume are float64
    in the leg's own quote and base, NaN for none; of a trade, `last` is the price and `volume` the size.
    `event_at` is NaN where the venue tells no time. Times are Unix seconds.
    """

    leg: NDArray[np.int32]
    rows: NDArray[np.void]

    def __len__(self) -> int:
        return len(self.leg)

    @property
    def is_trade(self) -> NDArray[np.bool_]:
        return np.asarray(self.rows["kind"] == KIND_TRADE)

    @property
    def bid(self) -> NDArray[np.float64]:
        return self._price("bid")

    @property
    def ask(self) -> NDArray[np.float64]:
        return self._price("ask")

    @property
    def last(self) -> NDArray[np.float64]:
        return self._price("last")

    @property
    def volume(self) -> NDArray[np.float64]:
        raw = self.rows["volume"]
        return np.where(raw < 0, np.nan, raw / _POWERS[self.rows["volume_decimals"]])

    @property
    def event_at(self) -> NDArray[np.float64]:
        raw = self.rows["event_ms"]
        return np.where(raw == 0, np.nan, raw / 1000.0)

    @property
    def received_at(self) -> NDArray[np.float64]:
        return np.asarray(self.rows["received_ms"] / 1000.0)

    def _price(self, field: str) -> NDArray[np.float64]:
        raw = self.rows[field]
        return np.where(raw == 0, np.nan, raw / _POWERS[self.rows["price_decimals"]])


def decode_columns(sealed: bytes, header: Header) -> tuple[TickColumns, dict[Reason, int]]:
    """The good ticks of a batch whose header was read, and how many were refused for which reason.

    Never raises on the ticks' content: `read_header` has checked that the table fills its bytes.
    """
    rows = np.frombuffer(sealed, TICK_DTYPE, header.tick_count, header.ticks_at)
    names = np.array([LEG_INDEX.get(name, _UNKNOWN) for name in header.legs] + [_UNKNOWN], np.int32)
    leg = names[np.minimum(rows["leg"], len(header.legs))]
    known = leg != _UNKNOWN
    sound = _sound(rows) & (rows["leg"] < len(header.legs))
    refused = {
        Reason.MALFORMED: int(np.count_nonzero(~sound)),
        Reason.UNKNOWN_SYMBOL: int(np.count_nonzero(sound & ~known)),
    }
    good = sound & known
    return TickColumns(leg[good], rows[good]), {reason: n for reason, n in refused.items() if n}


def _sound(rows: NDArray[np.void]) -> NDArray[np.bool_]:
    """Which ticks hold what their kind must hold, in bounds."""
    trade = rows["kind"] == KIND_TRADE
    quote = rows["kind"] == KIND_QUOTE
    scaled = (rows["price_decimals"] <= DECIMALS_MAX) & (rows["volume_decimals"] <= DECIMALS_MAX)
    timed = (
        (rows["received_ms"] > 0)
        & (rows["received_ms"] <= _TIME_MS_MAX)
        & (rows["event_ms"] >= 0)
        & (rows["event_ms"] <= _TIME_MS_MAX)
    )
    bid, ask, last, volume = rows["bid"], rows["ask"], rows["last"], rows["volume"]
    unsigned = (bid >= 0) & (ask >= 0) & (last >= 0) & (volume >= -1)
    whole_trade = trade & (last > 0) & (volume > 0) & (rows["event_ms"] > 0)
    whole_quote = quote & ((bid > 0) == (ask > 0)) & ((bid > 0) | (last > 0)) & (bid <= ask)
    return np.asarray(scaled & timed & unsigned & (whole_trade | whole_quote))
