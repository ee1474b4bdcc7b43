"""Runs benchmarks one after the other and prints one table: what was measured, beside what, and the target.

Knows names and the form of a row:

    name, figure, unit            what was measured
    baseline, baseline_name       the same unit of something simpler in the same run, or None
    ratio                         how many times better than the baseline, under 1 if worse (of memory: how
                                  many times the baseline), or None
    target                        what the figure or the ratio must be, below; a number is a figure's upper
                                  bound; or None

A target is text such as `< 1 ms, >= 100x`: a bound with `x` is of the ratio, any other of the figure. Does
not know what is measured: each benchmark is a module with `run(quick: bool) -> list of rows`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import re
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from core.log import configure_logging

Row = dict[str, Any]

BENCHMARKS = {
    "aggregation": "one pass over 63 feeds x 30 legs, beside the plain twin",
    "codec": "a signed batch of 1,000 ticks verified and decoded, beside the plain decoder",
    "ingest": "signed batches over HTTP until they are committed, beside bare COPY",
    "stream": "500 WebSocket clients, estimate to socket, beside a bare broadcast loop",
    "scale": "5,000 WebSocket clients at two replicas behind one port, beside bare Starlette",
    "rest": "/v1/prices at 500 requests a second, with keys and with Redis, beside prebuilt bytes",
    "tenants": "a good tenant's latency while another misbehaves, beside without; 2 minutes",
    "history": "24 h of 1-minute history out of 10 million ticks",
    "provider": "commit instant to broadcast, a round of 100 x 63, signing, on a local node (anvil)",
    "memory": "20 minutes of simulated market at 10x the live rate; only by name or with --long",
    "accuracy": "two seeds of the arena beside the targets; 3 minutes; only by name or with --long",
    "anomaly": "four detectors on injected manipulation; 10 minutes; only by name or with --long",
    "manipulation": "one venue against all others, every estimate; 10 minutes; by name or with --long",
    "edge": "cold start and one cycle of the Worker in real workerd; only by name or with --long",
    "serverless": "the Lambda's zip and its cold start (packages are downloaded); by name or with --long",
}
LONG = frozenset({"accuracy", "anomaly", "manipulation", "memory", "edge", "serverless"})
ARTIFACTS = Path(__file__).parent / "artifacts"
QUIET_LOAD = 0.25
"""Load average a core beyond which figures are not to be trusted."""
COLUMNS = ("", "measured", "baseline", "ratio", "target", "met")
_BOUND = re.compile(r"(<=|>=|<|>|under|at least)\s*([\d.,]+)\s*(x\b)?")


def main(
    words: Sequence[str] | None = None,
    benchmarks: Mapping[str, str] = BENCHMARKS,
    artifacts: Path = ARTIFACTS,
) -> int:
    """Run what was asked for; 1 if a benchmark could not be run."""
    asked = _arguments(words, benchmarks)
    machine = machine_line()
    print(machine, flush=True)
    artifacts.mkdir(exist_ok=True)
    results = []
    for name in _chosen(asked, benchmarks):
        print(f"{name}: {benchmarks[name]} ...", file=sys.stderr, flush=True)
        document = measured(name, asked.quick, machine)
        (artifacts / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n")
        print(f"{name}: {document['took_s']} s", file=sys.stderr, flush=True)
        results.append(document["rows"])
    print()
    print(table([row for rows in results for row in rows]))
    if asked.quick:
        print("\nquick: too short for figures to be compared with their targets")
    return int(any("error" in row for rows in results for row in rows))


def _arguments(words: Sequence[str] | None, benchmarks: Mapping[str, str]) -> argparse.Namespace:
    listed = "\n".join(f"  {name:12} {title}" for name, title in benchmarks.items())
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure Chrono's claims about speed, each beside a baseline in the same run.",
        epilog=f"benchmarks:\n{listed}\n\n"
        "They want the whole machine: stop a running Chrono first. Results are also written to\n"
        "benchmarks/artifacts/NAME.json. The exit code is 1 if a benchmark failed; a missed target is told\n"
        "in the table only.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="run these only")
    parser.add_argument("--quick", action="store_true", help="see that each works: a minute, rough figures")
    parser.add_argument("--long", action="store_true", help="memory too, which takes 20 minutes")
    asked = parser.parse_args(words)
    unknown = set(asked.names) - benchmarks.keys()
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(benchmarks)}")
    return asked


def _chosen(asked: argparse.Namespace, benchmarks: Mapping[str, str]) -> list[str]:
    if asked.names:
        return [name for name in benchmarks if name in asked.names]
    return [name for name in benchmarks if asked.long or name not in LONG]


def machine_line() -> str:
    """What this machine is and whether it is quiet: figures mean little without it."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    line = f"{_processor()}, {cores} cores, Python {platform.python_version()}, load {load:.2f}"
    busy = load > QUIET_LOAD * cores
    return f"{line}\nWARNING: the machine is not quiet, figures are worse than they are" if busy else line


def _processor() -> str:
    try:
        told = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor() or platform.machine()
    found = re.search(r"^model name\s*: (.+)$", told, re.MULTILINE)
    return found.group(1) if found else platform.machine()


def measured(name: str, quick: bool, machine: str) -> dict[str, Any]:
    """A benchmark's rows and what they were measured under."""
    load, began = os.getloadavg()[0], time.monotonic()
    try:
        rows: list[Row] = importlib.import_module(f"benchmarks.{name}").run(quick)
    except Exception as error:  # noqa: BLE001  # the others are still worth running
        traceback.print_exc()
        rows = [failed(name, error)]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine,
        "load_before": load,
        "quick": quick,
        "took_s": round(time.monotonic() - began, 1),
        "rows": [{**row, "met": met(row)} for row in rows],
    }


def failed(name: str, error: Exception) -> Row:
    """The row of a benchmark that could not be run."""
    keys = ("figure", "unit", "baseline", "baseline_name", "ratio", "target")
    return {**dict.fromkeys(keys), "name": name, "error": f"{type(error).__name__}: {error}"}


def met(row: Row) -> bool | None:
    """Whether a row's target is met; None if it has none, False if it was not measured."""
    target = row["target"]
    if "error" in row:
        return False
    if target is None:
        return None
    text = f"< {target}" if isinstance(target, int | float) else str(target)
    bounds = _BOUND.findall(text)
    if not bounds:
        raise ValueError(f"a target that cannot be read: {target!r}")
    return all(
        _holds(row["ratio" if of_ratio else "figure"], word, float(number.replace(",", "")))
        for word, number, of_ratio in bounds
    )


def _holds(figure: float, word: str, bound: float) -> bool:
    if word in ("<", "under"):
        return figure < bound
    if word == ">":
        return figure > bound
    return figure <= bound if word == "<=" else figure >= bound


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    cells = [COLUMNS, *map(_cells, rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(COLUMNS))]
    padded = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    ]
    return "\n".join([padded[0].rstrip(), "-" * len(padded[0]), *(line.rstrip() for line in padded[1:])])


def _cells(row: Row) -> tuple[str, ...]:
    if "error" in row:
        return (row["name"], "FAILED", row["error"].splitlines()[0][:80], "", "", "NO")
    unit, target = row["unit"], row["target"]
    baseline = "" if row["baseline"] is None else f"{_short(row['baseline'])} {unit} ({row['baseline_name']})"
    if isinstance(target, int | float):
        target = f"< {_short(target)} {unit}"
    return (
        row["name"],
        f"{_short(row['figure'])} {unit}",
        baseline,
        "" if row["ratio"] is None else f"{_short(row['ratio'])}x",
        target or "",
        {True: "yes", False: "NO", None: ""}[met(row)],
    )


def _short(figure: float) -> str:
    """Three digits that mean something."""
    if abs(figure) >= 1000:
        return f"{figure:,.0f}"
    return f"{figure:.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


if __name__ == "__main__":
    configure_logging("benchmarks", "WARNING", "text")
    sys.exit(main())
