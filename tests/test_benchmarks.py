"""The benchmarks that are cheap, in their quick form: they run and give rows. No time is judged here."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks import accuracy, provider

KEYS = {"name", "figure", "unit", "baseline", "baseline_name", "ratio", "target"}


@pytest.mark.parametrize("name", ["aggregation", "codec"])
def test_a_benchmark_gives_rows_that_the_table_can_show(name: str) -> None:
    rows = importlib.import_module(f"benchmarks.{name}").run(quick=True)
    assert rows
    for row in rows:
        assert row.keys() == KEYS
        assert math.isfinite(row["figure"])
        assert row["figure"] > 0
        assert (row["baseline"] is None) == (row["ratio"] is None)
        assert command.met(row) in ({True, False} if row["target"] is not None else {None})
    assert len(command.table(rows).splitlines()) == len(rows) + 2


def test_changed_rules_play_the_same_rounds_as_the_live_ones(tmp_path: Path) -> None:
    changed = "without learning from rounds"
    words = {"feeds": ("XRP",), "rounds": 4, "keep": tmp_path}
    played = accuracy.play(3, [accuracy.LIVE, accuracy.LIVE, changed], **words)
    live, again, unlearned = played.rewards
    assert (live == again).all()
    assert (live != unlearned).any()
    rows = accuracy.change_table([accuracy.play(3, [accuracy.LIVE, accuracy.LIVE, changed], **words)])
    assert len(rows) == 2 + 3
    assert changed in rows[-1]
    assert len(accuracy.seed_table([played])) == 2 + 1


def test_a_rounds_plain_transcription_gives_the_same_root() -> None:
    voters, kept = provider._revealed()
    results = provider.round_results(
        provider.ROUND, feeds=provider.FEED_LIST, voters=voters, kept=kept, offended=(), benched=()
    )
    assert provider.plain_root(voters, kept) == results.tree.root
    assert len(results.feeds) == 63


@pytest.mark.parametrize("name", sorted(command.BENCHMARKS))
def test_every_benchmark_of_the_command_is_there(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)


@pytest.mark.parametrize(
    ("target", "figure", "ratio", "met"),
    [
        (5.0, 4.9, None, True),
        (5.0, 5.1, None, False),
        ("< 1 ms, >= 100x", 0.9, 100.0, True),
        ("< 1 ms, >= 100x", 0.9, 99.0, False),
        ("< 1 ms, >= 100x", 1.1, 200.0, False),
        ("under 50 ms", 49.0, 2.0, True),
        (">= 0.5x", 90_000.0, 0.49, False),
        ("<= 1.1x", 1.0, 1.1, True),
        (None, 1.0, None, None),
    ],
)
def test_a_target_is_met_or_not(
    target: str | float | None, figure: float, ratio: float | None, met: bool | None
) -> None:
    assert command.met({"target": target, "figure": figure, "ratio": ratio}) is met


def test_a_benchmark_that_fails_is_a_row_and_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["absent"], {"absent": "no such module"}, tmp_path) == 1
    assert "FAILED" in capsys.readouterr().out
    assert json.loads((tmp_path / "absent.json").read_text())["rows"][0]["met"] is False
