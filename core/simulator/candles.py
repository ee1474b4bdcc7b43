"""Recorded candles from a Parquet or CSV file, vectorised: a bad row is refused by its number, the rest kept.

Knows files, columns and bounds. Does not know what is done with candles. Columns: venue, base, quote, minute
(start of the minute in UTC: a timestamp, ISO 8601 text or Unix seconds), open, high, low, close, volume (base
units). Rows count from 1, the header of a CSV not among them. `binanceus` is read as `binance`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from chrono.errors import ChronoError
from chrono.feeds import LEGS
from core.simulator.source import Floats, Ints

ROWS_MAX: Final = 20_000_000
REFUSALS_TOLD: Final = 20
_VENUES: Final = {"binanceus": "binance"}
_PRICES: Final = ("open", "high", "low", "close")
_COLUMNS: Final = ("venue", "base", "quote", "minute", *_PRICES, "volume")
_LEG_INDEX: Final = {str(leg): index for index, leg in enumerate(LEGS)}
_UNKNOWN: Final = -1
_NO_MINUTE: Final = -1
_MINUTE_MAX: Final = 68_374_080  # the year 2100
_NUMBER: Final = r"^[0-9]{1,18}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,2})?$"


class CandleError(ChronoError):
    """A file that no candles can be read from: not there, not of a known kind, without a needed column."""


@dataclass(frozen=True, slots=True)
class Candles:
    """Candles in the order of leg and minute. `leg` indexes `chrono.feeds.LEGS`; a minute is Unix time / 60.

    `refused` counts rows by reason; `refusals` tells the first few with their row.
    """

    leg: Ints
    minute: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    refused: Mapping[str, int]
    refusals: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.leg)


def open_candles(path: Path) -> Candles:
    """The candles in a file. Raises CandleError when there is not one."""
    try:
        table, rows = _read(path)
        return _candles(path.name, table, rows)
    except OSError as error:
        raise CandleError(f"{path.name} cannot be read: {error.strerror or error}") from None
    except (pa.ArrowException, UnicodeDecodeError) as error:
        raise CandleError(f"{path.name} is neither Parquet nor CSV: {str(error)[:200]}") from None


def _candles(file: str, table: Any, rows: Ints) -> Candles:
    missing = [name for name in _COLUMNS if name not in table.column_names]
    if missing:
        raise CandleError(f"{file} has no column {', '.join(missing)}; it needs {', '.join(_COLUMNS)}")
    leg, market = _legs(table)
    minute = _minutes(table["minute"])
    values = {name: _floats(name, table[name]) for name in (*_PRICES, "volume")}
    reason = _reasons(leg, minute, values)
    order = np.lexsort((np.arange(len(leg)), minute, leg))
    order = order[reason[order] == ""]
    again = (np.diff(leg[order], prepend=_UNKNOWN) == 0) & (np.diff(minute[order], prepend=_NO_MINUTE) == 0)
    reason[order[again]] = "duplicate"
    kept = order[~again]
    if not len(kept):
        raise CandleError(f"{file} has no candle that can be used" + _told(_refusals(reason, rows, market)))
    names, counts = np.unique(reason[reason != ""], return_counts=True)
    return Candles(
        leg=leg[kept],
        minute=minute[kept],
        **{name: column[kept] for name, column in values.items()},
        refused={str(name): int(count) for name, count in zip(names, counts, strict=True)},
        refusals=_refusals(reason, rows, market),
    )


def _read(path: Path) -> tuple[Any, Ints]:
    """The table of a file, and the row that each of its rows has in the file."""
    with path.open("rb") as file:
        parquet = file.read(4) == b"PAR1"
    if parquet:
        held = pq.ParquetFile(path).schema_arrow.names
        table = pq.read_table(path, columns=[name for name in _COLUMNS if name in held])
        rows = np.arange(1, table.num_rows + 1)
    else:
        table, rows = _read_csv(path)
    if table.num_rows > ROWS_MAX:
        raise CandleError(f"{path.name} has {table.num_rows} rows; {ROWS_MAX} are the limit")
    return table, rows


def _read_csv(path: Path) -> tuple[Any, Ints]:
    """All columns as text, so that a bad value costs its row; rows of another length are left out."""
    broken: list[int] = []

    def skip(row: Any) -> str:
        broken.append(row.number - 1)
        return "skip"

    table = pyarrow.csv.read_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=skip),
        convert_options=pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(_COLUMNS, pa.string())),
    )
    rows = np.setdiff1d(np.arange(1, table.num_rows + len(broken) + 1), np.array(broken, np.int64))
    return table, rows


def _legs(table: Any) -> tuple[Ints, Sequence[str]]:
    """The leg of each row (_UNKNOWN for none that is in the feed table), and how the file calls it."""
    parts = [table[name].cast(pa.string()).fill_null("") for name in ("venue", "base", "quote")]
    text = pc.binary_join_element_wise(parts[0], pc.binary_join_element_wise(parts[1], parts[2], "/"), ":")
    encoded = text.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    known = np.array([_LEG_INDEX.get(_known_as(name), _UNKNOWN) for name in names] or [_UNKNOWN], np.int64)
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return known[codes], _Names(names, codes)


def _known_as(name: str) -> str:
    venue, colon, pair = name.partition(":")
    return _VENUES.get(venue, venue) + colon + pair


class _Names(Sequence[str]):
    """The name of each row's market without a text for each row."""

    def __init__(self, names: list[str], codes: Ints) -> None:
        self._names, self._codes = names, codes

    def __len__(self) -> int:
        return len(self._codes)

    def __getitem__(self, row: Any) -> Any:
        return self._names[int(self._codes[row])]


def _minutes(column: Any) -> Ints:
    """Unix time / 60 of each row, _NO_MINUTE where the text is no minute."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("s", column.type.tz), safe=False)
    if pa.types.is_timestamp(column.type) or pa.types.is_integer(column.type):
        return _whole_minutes(column.cast(pa.int64(), safe=False).fill_null(-1).to_numpy())
    if not _is_text(column.type):
        raise CandleError(f"the column minute has type {column.type}, not a time")
    encoded = column.cast(pa.string()).fill_null("").combine_chunks().dictionary_encode()
    parsed = [_minute_of(text) for text in encoded.dictionary.to_pylist()]
    codes = encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return np.asarray(np.array(parsed or [_NO_MINUTE], np.int64)[codes])


def _whole_minutes(seconds: Ints) -> Ints:
    whole = (seconds >= 0) & (seconds % 60 == 0) & (seconds // 60 <= _MINUTE_MAX)
    return np.asarray(np.where(whole, seconds // 60, _NO_MINUTE), np.int64)


def _minute_of(text: str) -> int:
    text = text.strip()
    try:
        seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else _seconds_of(text)
    except ValueError:
        return _NO_MINUTE
    whole = seconds % 60 == 0 and 0 <= seconds // 60 <= _MINUTE_MAX
    return seconds // 60 if whole else _NO_MINUTE


def _seconds_of(text: str) -> int:
    when = datetime.fromisoformat(text)
    seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return int(seconds) if seconds.is_integer() else _NO_MINUTE


def _floats(name: str, column: Any) -> Floats:
    """The numbers of a column, NaN for what is none."""
    if _is_text(column.type):
        text = pc.utf8_trim_whitespace(column.cast(pa.string()))
        column = pc.if_else(pc.match_substring_regex(text, _NUMBER), text, None)
    elif not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise CandleError(f"the column {name} has type {column.type}, not a number")
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan).to_numpy(), np.float64)


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind))


def _reasons(leg: Ints, minute: Ints, values: Mapping[str, Floats]) -> NDArray[np.str_]:
    """Why each row is refused, empty where it is not; of several reasons the first."""
    prices = np.stack([values[name] for name in _PRICES])
    volume = values["volume"]
    bad_price = ~(np.isfinite(prices) & (prices > 0)).all(axis=0)
    bad_volume = ~(np.isfinite(volume) & (volume >= 0) & (volume < 1e18))
    open_, high, low, close = prices
    with np.errstate(invalid="ignore"):
        outside = (low > np.minimum(open_, close)) | (high < np.maximum(open_, close))
    conditions = [leg == _UNKNOWN, minute == _NO_MINUTE, bad_price, bad_volume, outside]
    choices = ["unknown_market", "bad_minute", "bad_price", "bad_volume", "outside_range"]
    return np.select(conditions, choices, "").astype("U16")


def _refusals(reason: NDArray[np.str_], rows: Ints, market: Sequence[str]) -> tuple[str, ...]:
    first = np.flatnonzero(reason != "")[:REFUSALS_TOLD]
    return tuple(f"row {rows[i]} ({market[i]}): {reason[i]}" for i in first)


def _told(refusals: tuple[str, ...]) -> str:
    return f": {'; '.join(refusals[:3])}" if refusals else ""
