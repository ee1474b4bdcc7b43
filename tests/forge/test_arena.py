"""A run as a whole: the same seed the same bytes, results that can be kept, and a run taken up again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from core.cli import app
from core.forge.arena import BadPlan, Plan, Result, Segment, Wishes, plan_simulated, play_segment
from core.forge.engines import DaskEngine, EngineMissing, LocalEngine, play_here
from core.forge.entrants import ENTRANTS, UnknownEntrant
from core.forge.kept import KeptSegments, OtherPlan
from core.forge.rows import ALL, crowd_rows, entrant_rows
from tests.forge.scenes import small_plan

FIELDS = {
    "estimator",
    "feed",
    "primary_hit_rate",
    "secondary_hit_rate",
    "reward_per_weight",
    "median_abs_ppm",
    "rank",
}


@cache
def played(plan: Plan) -> tuple[Result, ...]:
    return tuple(play_segment(plan, segment) for segment in plan.segments)


def told(plan: Plan) -> str:
    results = [Result.from_bytes(play_segment(plan, segment).to_bytes()) for segment in plan.segments]
    return json.dumps([*entrant_rows(plan, results), *crowd_rows(plan, results)])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert told(small_plan(seed=3)) == told(small_plan(seed=3))
    assert told(small_plan(seed=3)) != told(small_plan(seed=4))


def test_rows_carry_what_was_asked_for_of_every_estimator_and_feed() -> None:
    plan = small_plan()
    rows = entrant_rows(plan, played(plan))
    assert {(row["estimator"], row["feed"]) for row in rows} == {
        (name, feed) for name in plan.entrants for feed in (ALL, *plan.feeds)
    }
    for row in rows:
        assert row.keys() >= FIELDS
        assert 0 <= row["primary_hit_rate"] <= 1
        assert 1 <= row["rank"] <= plan.providers + 1
        low, high = row["reward_per_weight_ci"]
        assert low <= row["reward_per_weight"] <= high
        assert row["regimes"].keys() == {"calm", "crash"}


def test_opponents_earn_one_for_each_unit_of_weight_on_average() -> None:
    plan = small_plan(rounds=12)
    shares, rewards = [], []
    for segment in plan.segments:
        result = play_segment(plan, segment)
        rewards.append(result.alone_reward.mean(axis=(0, 1)))
    from core.forge.population import draw_population

    weights = np.array([each.weight for each in draw_population(plan.seed, plan.providers)], float)
    shares = [float((reward * weights).sum() / weights.sum()) for reward in rewards]
    assert shares == pytest.approx([1.0, 1.0], abs=0.05)


def test_a_killed_run_is_taken_up_where_it_was(tmp_path: Path) -> None:
    plan, file = small_plan(), tmp_path / "run.jsonl"
    first, second = (result.to_bytes() for result in played(plan))
    kept = KeptSegments(file, plan.digest)
    kept.add(0, first)
    with file.open("a") as torn:  # a kill in the middle of a line
        torn.write('{"plan": "abc", "segm')
    again = KeptSegments(file, plan.digest)
    assert again.played == {0: first}
    again.add(1, second)
    assert KeptSegments(file, plan.digest).played == {0: first, 1: second}


def test_a_file_of_another_run_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "run.jsonl"
    KeptSegments(file, small_plan(seed=1).digest).add(0, b"result")
    with pytest.raises(OtherPlan):
        KeptSegments(file, small_plan(seed=2).digest)


def work(plan: Plan, segment: Segment) -> bytes:
    return f"{plan.seed} {segment.index}".encode()


@pytest.mark.parametrize("workers", [1, 2])
def test_every_segment_is_played_once_by_any_number_of_processes(workers: int) -> None:
    plan = small_plan()
    done = dict(LocalEngine(workers).play(work, plan, plan.segments))
    assert done == {0: b"3 0", 1: b"3 1"}


def test_a_missing_engine_is_one_clear_sentence() -> None:
    try:
        import distributed  # noqa: F401
    except ImportError:
        with pytest.raises(EngineMissing, match="pip install distributed"):
            DaskEngine("tcp://127.0.0.1:1")
    else:
        pytest.skip("dask is installed here")


def test_a_dask_cluster_plays_the_same_bytes() -> None:
    why = "Dask is optional: pip install dask distributed"
    distributed = pytest.importorskip("distributed", reason=why)
    plan = small_plan()
    one = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(protocol="tcp://", **one) as cluster:
        done = dict(DaskEngine(cluster.scheduler_address).play(play_here, plan, plan.segments))
    assert done == {index: result.to_bytes() for index, result in enumerate(played(plan))}


def test_a_plan_names_what_it_does_not_know() -> None:
    with pytest.raises(BadPlan, match="NOPE/USD"):
        plan_simulated(Wishes(feeds=("NOPE",)))
    with pytest.raises(UnknownEntrant, match="nobody"):
        plan_simulated(Wishes(entrants=("nobody",)))


def test_all_feeds_and_all_entrants_can_be_asked_for() -> None:
    plan = plan_simulated(Wishes())
    assert len(plan.feeds) == 63
    assert plan.entrants == tuple(ENTRANTS)
    assert replace(plan, seed=2).digest != plan.digest


def test_the_command_writes_rows_resumes_and_draws(tmp_path: Path) -> None:
    file, kept, plots = tmp_path / "rows.json", tmp_path / "kept.jsonl", tmp_path / "plots"
    words = ["arena", "--quick", "--feeds", "XRP", "--rounds", "12", "--entrants", "chrono,median"]
    words += ["--workers", "1", "--json", str(file), "--resume", str(kept), "--plots", str(plots)]
    runner = CliRunner()
    first = runner.invoke(app, words)
    assert first.exit_code == 0, first.output
    rows = json.loads(file.read_text())
    assert {row["estimator"] for row in rows if row["kind"] == "entrant"} == {"chrono", "median"}
    assert all(row.keys() >= FIELDS for row in rows)
    before, size = file.read_bytes(), kept.stat().st_size
    assert runner.invoke(app, words).exit_code == 0
    assert (file.read_bytes(), kept.stat().st_size) == (before, size)
    assert len(list(plots.glob("*.png"))) >= 3


def test_results_survive_their_bytes() -> None:
    result = played(small_plan())[0]
    again = Result.from_bytes(result.to_bytes())
    assert again.regime == result.regime
    np.testing.assert_array_equal(again.distance_ppm, result.distance_ppm)
    assert play_here(small_plan(), small_plan().segments[0]) == result.to_bytes()


def test_a_run_that_was_killed_ends_with_the_same_bytes_as_one_that_was_not(tmp_path: Path) -> None:
    whole, kept, resumed = (tmp_path / name for name in ("whole.json", "kept.jsonl", "resumed.json"))
    words = ["-m", "core", "arena", "--quick", "--feeds", "XRP", "--rounds", "200", "--workers", "1"]
    words += ["--entrants", "median"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    killed = subprocess.Popen(
        [sys.executable, *words, "--resume", str(kept)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while killed.poll() is None and not (kept.exists() and kept.stat().st_size):
        with suppress(subprocess.TimeoutExpired):
            killed.wait(0.02)
    killed.kill()
    killed.wait()
    runner = CliRunner()
    taken_up = runner.invoke(app, [*words[2:], "--resume", str(kept), "--json", str(resumed)])
    assert taken_up.exit_code == 0, taken_up.output
    assert runner.invoke(app, [*words[2:], "--json", str(whole)]).exit_code == 0
    assert resumed.read_bytes() == whole.read_bytes()
