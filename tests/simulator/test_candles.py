import csv

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import LEGS
from core.simulator.candles import CandleError, open_candles

HEADER = ["venue", "base", "quote", "minute", "open", "high", "low", "close", "volume"]
GOOD = ["kraken", "BTC", "USD", "2023-03-01T00:00:00Z", "10", "12", "9", "11", "0.5"]


def row(**changes):
    return [changes.get(name, value) for name, value in zip(HEADER, GOOD, strict=True)]


@pytest.fixture
def written(tmp_path):
    """Writes rows of text below a header as CSV, and opens them."""

    def write(*rows, header=HEADER):
        path = tmp_path / "candles.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([header, *rows])
        return open_candles(path)

    return write


def test_the_recorded_market_loads_whole(shared):
    candles = open_candles(shared / "market" / "ohlcv_1m_btc_stables.parquet")
    assert len(candles) == 232_867
    assert candles.refused == {}
    legs = {str(LEGS[index]) for index in np.unique(candles.leg)}
    assert len(legs) == 11
    assert "binance:BTC/USDT" in legs


def test_csv_and_parquet_with_the_same_rows_give_the_same_candles(written, tmp_path):
    from_csv = written(row(), row(minute="2023-03-01 00:01:00+00:00"))
    table = pa.table(
        {
            **{name: [GOOD[i]] * 2 for i, name in enumerate(HEADER[:3])},
            "minute": pa.array([1_677_628_800_000, 1_677_628_860_000], pa.timestamp("ms", "UTC")),
            **{name: [float(GOOD[i + 4])] * 2 for i, name in enumerate(HEADER[4:])},
        }
    )
    pq.write_table(table, tmp_path / "candles.parquet")
    from_parquet = open_candles(tmp_path / "candles.parquet")
    for name in ("leg", "minute", "open", "high", "low", "close", "volume"):
        np.testing.assert_array_equal(getattr(from_csv, name), getattr(from_parquet, name))


@pytest.mark.parametrize(
    "text", ["2023-03-01 00:00:00", "2023-03-01T01:00+01:00", "1677628800", "2023-03-01 00:00:00.000000000Z"]
)
def test_a_minute_is_read_in_every_usual_way(written, text):
    assert written(row(minute=text)).minute.tolist() == [1_677_628_800 // 60]


def test_candles_come_out_by_leg_and_minute_whatever_their_order(written):
    later = row(minute="2023-03-01T00:01:00Z", open="11")
    candles = written(later, row(venue="coinbase"), row())
    assert (np.diff(candles.leg) >= 0).all()
    kraken = candles.leg == LEGS.index(next(leg for leg in LEGS if str(leg) == "kraken:BTC/USD"))
    assert candles.open[kraken].tolist() == [10.0, 11.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"venue": "mtgox"}, "unknown_market"),
        ({"quote": "EUR"}, "unknown_market"),
        ({"venue": ""}, "unknown_market"),
        ({"minute": "yesterday"}, "bad_minute"),
        ({"minute": "2023-03-01T00:00:30Z"}, "bad_minute"),
        ({"minute": ""}, "bad_minute"),
        ({"open": "ten"}, "bad_price"),
        ({"open": "-10"}, "bad_price"),
        ({"open": "nan"}, "bad_price"),
        ({"low": "0"}, "bad_price"),
        ({"close": ""}, "bad_price"),
        ({"high": "1e400"}, "bad_price"),
        ({"volume": "-1"}, "bad_volume"),
        ({"volume": "inf"}, "bad_volume"),
        ({"low": "10.5"}, "outside_range"),
        ({"high": "10.5"}, "outside_range"),
    ],
)
def test_a_bad_row_is_refused_with_its_number_and_the_rest_kept(written, changes, reason):
    candles = written(row(), row(minute="2023-03-01T00:05:00Z") if not changes else row(**changes))
    assert len(candles) == 1
    assert candles.refused == {reason: 1}
    assert candles.refusals[0].startswith("row 2 (")
    assert candles.refusals[0].endswith(reason)


def test_a_minute_told_twice_is_kept_once(written):
    candles = written(row(), row(close="12"))
    assert candles.refused == {"duplicate": 1}
    assert candles.close.tolist() == [11.0]


def test_a_row_of_another_length_is_left_out_and_the_numbers_of_the_others_stay(written):
    candles = written(row(), ["kraken", "BTC"], row(venue="mtgox"))
    assert len(candles) == 1
    assert candles.refused == {"unknown_market": 1}
    assert candles.refusals == ("row 3 (mtgox:BTC/USD): unknown_market",)


def test_missing_columns_are_named(written):
    with pytest.raises(CandleError, match="has no column close, volume; it needs venue"):
        written(GOOD[:7], header=HEADER[:7])


def test_a_file_without_a_usable_row_says_why(written):
    with pytest.raises(CandleError, match=r"no candle that can be used: row 1 \(mtgox:BTC/USD\)"):
        written(row(venue="mtgox"))


def test_a_file_that_is_not_there_says_so(tmp_path):
    with pytest.raises(CandleError, match="cannot be read: No such file"):
        open_candles(tmp_path / "none.parquet")


def test_a_column_of_a_wrong_type_is_named(tmp_path):
    values = dict(zip(HEADER, ([value] for value in GOOD), strict=True))
    table = pa.table({**values, "open": [[1]]})
    pq.write_table(table, tmp_path / "wrong.parquet")
    with pytest.raises(CandleError, match="column open has type list"):
        open_candles(tmp_path / "wrong.parquet")


@given(content=st.binary(max_size=300) | st.text(max_size=300).map(str.encode) | st.just(b"PAR1junkPAR1"))
def test_a_file_of_anything_is_refused_cleanly(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "anything"
    path.write_bytes(content)
    with pytest.raises(CandleError):
        open_candles(path)
