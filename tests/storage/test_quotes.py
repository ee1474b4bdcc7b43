"""Recorded quotes come out of the database as they went in."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from chrono.batch import KIND_QUOTE
from core.storage.metrics import StorageMetrics
from core.storage.pool import connector
from core.storage.quotes import export_quotes
from core.storage.ticks import PostgresTickStore
from tests.records import AT, batch_record, tick_columns


async def test_quotes_are_exported_in_the_order_of_receipt_and_trades_are_not(
    any_database: str, tmp_path: Path
) -> None:
    ticks = tick_columns([9_712_345, 9_712_346], at=AT)
    ticks.rows["kind"][0] = KIND_QUOTE
    ticks.rows["kind"][1] = KIND_QUOTE + 1
    async with PostgresTickStore(
        connector(any_database), StorageMetrics(CollectorRegistry())
    ).running() as store:
        await store.append(replace(batch_record(1), ticks=ticks))
    file = tmp_path / "quotes.csv"
    assert await export_quotes(any_database, AT - 60, AT + 60, file) == 1
    (row,) = csv.DictReader(file.read_text().splitlines())
    assert float(row["last"]) == pytest.approx(float(ticks.last[0]))
    assert float(row["received_at"]) == pytest.approx(float(ticks.received_at[0]))
    assert await export_quotes(any_database, AT + 60, AT + 120, file) == 0
