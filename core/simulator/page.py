"""A venue's page: its rows at one instant, bent by the faults that are on, kept until the market moves.

Knows markets and faults about markets. Does not know formats (the venue modules write the texts) nor
faults of a connection (`server`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

import numpy as np
import orjson

from chrono.feeds import LEGS
from core.simulator.answers import Row
from core.simulator.faults import Fault, FaultKind, Injected
from core.simulator.source import MarketSource, Print, Snapshot, Truth
from core.simulator.venues import VENUE_FORMATS, leg_named

_CROSSED_BY: Final = 0.001
_SNAPSHOTS_MAX: Final = 8  # the present one, and those at which faults made venues stand still
_NAMES: Final = frozenset({"symbol", "instId", "instType", "product_id"})
_COLUMNS: Final = (
    "decimals",
    "size_decimals",
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "last",
    "last_size",
    "open_24h",
    "high_24h",
    "low_24h",
    "volume_24h",
    "event_at",
    "trade_id",
    "trades_24h",
)


class VenuePage:
    """One venue at one step of the market, with the faults of one moment."""

    def __init__(self, venue: str, source: MarketSource, at: float, faults: Sequence[Injected]) -> None:
        self._source = source
        self._at = at
        self._venue = venue
        self._faults = tuple(faults)
        self._texts: dict[tuple[str, str], bytes] = {}
        self._all: dict[str, bytes] = {}
        rows = _bent(venue, source, at, self._faults)
        self._rows: dict[str, Row] = {row.name: row for row in rows}

    @property
    def rows(self) -> Mapping[str, Row]:
        return self._rows

    def row(self, name: str) -> Row | None:
        row = self._rows.get(name)
        if row is not None:
            return row
        leg = leg_named(self._venue, name) if "/" not in name else None
        return self._rows.get(VENUE_FORMATS[self._venue].names(leg)[0]) if leg else None

    def text(self, kind: str, row: Row, make: Callable[[Row], object]) -> bytes:
        key = (kind, row.name)
        text = self._texts.get(key)
        if text is None:
            text = self._texts[key] = self.json(row, make(row))
        return text

    def all_texts(self, kind: str, make: Callable[[Row], object]) -> bytes:
        text = self._all.get(kind)
        if text is None:
            rows = self._rows.values()
            text = self._all[kind] = b",".join(self.text(kind, row, make) for row in rows)
        return text

    def prints(self, row: Row, limit: int) -> Sequence[Print]:
        faults = [injected for injected in self._faults if injected.fault.touches(row.leg)]
        prints = self._source.prints(row.index, _market_time(faults, self._at), limit)
        for injected in faults:
            prints = [_bent_print(trade, injected.fault, row.decimals) for trade in prints]
        return prints

    def json(self, row: Row, made: object) -> bytes:
        garbled = any(i.fault.variant == "types" and i.fault.touches(row.leg) for i in self._faults)
        return orjson.dumps(_garbled(made) if garbled else made)


class Pages:
    """The newest page of each venue: as many texts as one step of the market has, and no more."""

    def __init__(self, source: MarketSource) -> None:
        self._source = source
        self._newest: dict[str, tuple[tuple[int, tuple[Injected, ...]], VenuePage]] = {}
        self._snapshot = lru_cache(_SNAPSHOTS_MAX)(self._at_step)

    @property
    def step_s(self) -> float:
        return self._source.step_s

    def at(self, at: float) -> Snapshot:
        """The market at an instant: the venues of one step share one."""
        return self._snapshot(int(at // self._source.step_s))

    def _at_step(self, step: int) -> Snapshot:
        return self._source.at(step * self._source.step_s)

    def prints(self, leg: int, at: float, limit: int) -> Sequence[Print]:
        return self._source.prints(leg, at, limit)

    def truth(self, at: float) -> Truth:
        return self._source.truth(at)

    def page(self, venue: str, at: float, faults: Sequence[Injected]) -> VenuePage:
        """A venue's page at an instant with the faults that are on."""
        key = (int(at // self._source.step_s), tuple(faults))
        kept = self._newest.get(venue)
        if kept is None or kept[0] != key:
            kept = self._newest[venue] = (key, VenuePage(venue, self, at, faults))
        return kept[1]


def venue_time(faults: Sequence[Injected], at: float) -> float:
    """What the venue's own clock shows: stands still when all of it is stuck, runs ahead in the future."""
    whole = [injected for injected in faults if not injected.fault.legs]
    ahead = sum(i.fault.amount for i in whole if i.fault.kind is FaultKind.FUTURE)
    return _market_time(whole, at) + ahead


def _market_time(faults: Sequence[Injected], at: float) -> float:
    return min((i.start for i in faults if i.fault.kind is FaultKind.STUCK), default=at)


def _bent(venue: str, source: MarketSource, at: float, faults: Sequence[Injected]) -> list[Row]:
    """The venue's rows at an instant after all faults about markets; what is stuck is bent like the rest."""
    rows = _rows(venue, source.at(at))
    for injected in faults:
        if injected.fault.kind is FaultKind.STUCK:
            old = {row.leg: row for row in _rows(venue, source.at(injected.start))}
            rows = [old.get(row.leg, row) if injected.fault.touches(row.leg) else row for row in rows]
    for injected in faults:
        rows = [bent for row in rows if (bent := _bent_row(row, injected.fault)) is not None]
    return rows


def _rows(venue: str, snapshot: Snapshot) -> list[Row]:
    names = VENUE_FORMATS[venue].names
    indices = [i for i, leg in enumerate(LEGS) if leg.venue == venue and snapshot.listed[i]]
    chosen = np.array(indices, np.int64)
    columns = (getattr(snapshot, name)[chosen].tolist() for name in _COLUMNS)
    heads = ((index, LEGS[index], names(LEGS[index])[0]) for index in indices)
    return [Row(*head, *fields) for head, *fields in zip(heads, *columns, strict=True)]


def _bent_row(row: Row, fault: Fault) -> Row | None:
    """The row after one fault, None where the fault takes it away; `_bent` has seen to what is stuck."""
    if not fault.touches(row.leg):
        return row
    match fault.kind:
        case FaultKind.DELISTED:
            return None
        case FaultKind.OFF_BY:
            row = _scaled(row, fault.amount)
        case FaultKind.ONE_SIDED:
            row = replace(row, bid=None) if fault.variant == "bid" else replace(row, ask=None)
        case FaultKind.CROSSED if row.bid and row.ask:
            row = replace(row, bid=row.ask * (1 + _CROSSED_BY), ask=row.bid * (1 - _CROSSED_BY))
        case FaultKind.FUTURE:
            row = replace(row, event_at=row.event_at + fault.amount)
    return row


def _scaled(row: Row, factor: float) -> Row:
    return replace(
        row,
        bid=row.bid * factor if row.bid else None,
        ask=row.ask * factor if row.ask else None,
        last=row.last * factor,
        open_24h=row.open_24h * factor,
        high_24h=row.high_24h * factor,
        low_24h=row.low_24h * factor,
    )


def _bent_print(trade: Print, fault: Fault, decimals: int) -> Print:
    match fault.kind:
        case FaultKind.OFF_BY:
            return replace(trade, price=round(trade.price * fault.amount, decimals))
        case FaultKind.FUTURE:
            return replace(trade, at=trade.at + fault.amount)
    return trade


def _garbled(made: object) -> object:
    """The same shape with texts where numbers were, and numbers, nulls and lists where texts were.

    Names stay, so that the row is found and its values are not.
    """
    match made:
        case dict():
            items = enumerate(made.items())
            return {key: value if key in _NAMES else _wrong(value, rank) for rank, (key, value) in items}
        case list():
            return [_wrong(value, rank) for rank, value in enumerate(made)]
    return None


def _wrong(value: object, rank: int) -> object:
    match value:
        case dict() | list():
            return _garbled(value)
        case str():
            return (12345, None, ["1"], {}, "NaN")[rank % 5]
    return "not a number"
