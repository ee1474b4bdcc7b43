"""Who may import whom, and the absences that ARCHITECTURE.md promises."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNEL = ROOT / "edge" / "chrono"
CORE = ROOT / "core"
STATION = ROOT / "edge" / "station"

# A room's prefix -> the rooms of Chrono that it may import, by prefix. The first match counts.
MAY_IMPORT: dict[str, tuple[str, ...]] = {
    "chrono": ("chrono",),
    "station": ("chrono", "station"),
    "core.aggregation": ("chrono", "core.aggregation", "core.columns"),
    "core.ftso": ("chrono", "core.ftso"),
    "core.columns": ("chrono",),
    "core.ports": ("chrono", "core.aggregation", "core.columns", "core.ftso"),
    "core.messages": ("chrono", "core.aggregation"),
    "core.ingest": ("chrono", "core.columns", "core.ports"),
    "core.publish": ("chrono", "core.aggregation", "core.messages", "core.ports"),
    "core.rounds": ("chrono", "core.aggregation", "core.ftso", "core.ports"),
    "core.venue_board": ("chrono", "core.ports"),
    "core.storage": (
        "chrono",
        "core.aggregation",
        "core.columns",
        "core.net",
        "core.ports",
        "core.storage",
        "core.ftso",
        "core.gateway",
        "core.provider.ports",
        "core.provider.score",
        "core.provider.shadow",
    ),
    "core.provider": ("chrono", "core.ftso", "core.ports", "core.provider"),
    "core.chain": (
        "chrono",
        "core.chain",
        "core.ftso",
        "core.provider.clock",
        "core.provider.ports",
        "core.provider.reward_epoch",
    ),
    "core.forge.recordings": ("chrono", "core.aggregation", "core.simulator.candles"),
    "core.forge": (
        "chrono",
        "core.aggregation",
        "core.columns",
        "core.forge",
        "core.ftso",
        "core.simulator.assets",
    ),
    "core.gateway": ("chrono", "core.gateway"),
    "core.upkeep": ("chrono", "core.gateway", "core.ports"),
    "core.shared_limits": ("chrono", "core.gateway"),
    "core.learning": (
        "chrono",
        "core.aggregation",
        "core.forge",
        "core.ftso",
        "core.memory_file",
        "core.ports",
        "core.provider.score",
        "core.watched",
    ),
    "core.watched": ("core.aggregation", "core.forge.anomaly"),
    "core.memory_file": (),
    "core.bus": ("chrono", "core.ports"),
    "core.keys": ("chrono",),
    "core.rotation": ("chrono",),
    "core.log": (),
    "core.lifecycle": (),
    "core.net": ("chrono",),
    "core.tasks": (),
    "core.tidy": (),
    "core.volumes": ("chrono", "core.columns"),
    "core.networks": ("core.ftso", "core.settings"),
    "core.trades": ("chrono", "core.columns"),
    "core.routes": ("chrono", "core.columns", "core.ports"),
    "core.settings": ("chrono", "core.log"),
    "core.collect": ("chrono",),
    "core.simulator": ("chrono", "core.net", "core.simulator"),
    "core.portal": (),
    "core.api": (
        "chrono",
        "core.aggregation",
        "core.api",
        "core.gateway",
        "core.forge.anomaly.watch",
        "core.forge.report",
        "core.messages",
        "core.net",
        "core.ports",
        "core.ftso",
        "core.provider.score",
        "core.provider.shadow",
        "core.signed",
    ),
    "core.signed.prices": (),
    "core.signed": ("chrono", "core.messages", "core.signed"),
    "core.snapshot": ("chrono", "core.messages", "core.signed", "core.snapshot"),
    "core.twin": ("chrono", "core.api", "core.signed.prices", "core.snapshot", "core.twin"),
    "core.supervisor": ("chrono", "core.lifecycle"),
}
# The composition roots and the command line, which may import all of it.
ROOTS = (
    "core.app",
    "core.assembly",
    "core.parts",
    "core.replica",
    "core.replicas",
    "core.up",
    "core.check",
    "core.database",
    "core.cli",
    "core.commands",
    "core.__main__",
    "core.markets",
    "core.recorded",
    "core.simulation",
    "core.provide",
    "core.doctor",
    "core.serve_protocol",
    "core.claim",
    "core.epoch_check",
    "core.shadow",
    "core.local_chain",
)

KERNEL_MAY_USE = {"httpx"}
CLIENT = "chrono.client"  # a rim beside the kernel: nothing imports it, and no Worker carries it
CLIENT_MAY_USE = {"httpx", "websockets"}
SOCKETS = {"socket", "ssl", "httpx", "asyncpg", "redis", "urllib.request", "http.client", "aiohttp"}
CLOCKS = {"time.time", "time.monotonic", "datetime.now", "datetime.utcnow", "time.time_ns"}
ENTROPY = {"secrets", "uuid"}


def modules(folder: Path, package: str) -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        name = ".".join((package, *(part for part in parts if part != "__init__")))
        yield name, ast.parse(path.read_text("utf-8"))


def imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute here"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def inside(module: str, prefix: str) -> bool:
    return module == prefix or module.startswith(prefix + ".")


def everything() -> list[tuple[str, ast.Module]]:
    return [*modules(KERNEL, "chrono"), *modules(STATION, "station"), *modules(CORE, "core")]


def test_every_room_imports_only_what_it_may() -> None:
    strangers = []
    for name, tree in everything():
        if name == "core" or any(inside(name, root) for root in ROOTS):
            continue
        room = next((room for room in MAY_IMPORT if inside(name, room)), None)
        assert room is not None, f"{name} stands in no room of this test"
        for wanted in imports(tree):
            ours = any(inside(wanted, package) for package in ("core", "chrono", "station"))
            # `from core import x` names core and core.x: only the latter says what is wanted.
            if ours and wanted != "core" and not any(inside(wanted, may) for may in MAY_IMPORT[room]):
                strangers.append(f"{name} imports {wanted}")
    assert strangers == []


def test_only_composition_roots_import_each_other() -> None:
    for name, tree in everything():
        if not any(inside(name, root) for root in ROOTS):
            assert not [wanted for wanted in imports(tree) if wanted in ROOTS], name


def test_the_kernel_uses_the_standard_library_and_httpx_in_one_place() -> None:
    for name, tree in modules(KERNEL, "chrono"):
        foreign = {
            wanted.partition(".")[0]
            for wanted in imports(tree)
            if wanted.partition(".")[0] not in sys.stdlib_module_names | {"chrono", "__future__"}
        }
        if inside(name, CLIENT):
            assert foreign <= CLIENT_MAY_USE, name
        else:
            assert foreign <= (KERNEL_MAY_USE if name == "chrono.fetch" else set()), name


def test_nothing_imports_the_client_and_no_worker_carries_it() -> None:
    for name, tree in everything():
        if not inside(name, CLIENT):
            assert not [wanted for wanted in imports(tree) if inside(wanted, CLIENT)], name
    for file in ("wrangler.py", "worker_options.mjs"):
        assert '"client"' in (ROOT / "infra" / "edge" / file).read_text("utf-8"), file


@pytest.mark.parametrize(
    "package",
    [
        "chrono",
        "core.aggregation",
        "core.ftso",
        "core.columns",
        "core.forge.anomaly",
        "core.forge.memory",
        "core.forge.report",
        "core.messages",
        "core.signed.prices",
        "core.signed.passes",
        "core.trades",
        "core.gateway",
        "station",
    ],
)
def test_pure_rooms_open_no_socket_read_no_clock_and_draw_no_entropy(package: str) -> None:
    for name, tree in everything():
        if not inside(name, package) or name == "chrono.fetch" or inside(name, CLIENT):
            continue
        used = set(imports(tree))
        assert not {
            wanted for wanted in used if any(inside(wanted, banned) for banned in SOCKETS | ENTROPY)
        }, name
        calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        assert not {call for call in calls if any(call.endswith(clock) for clock in CLOCKS)}, name


def test_the_core_does_without_the_detectors_of_the_shelf() -> None:
    for name, tree in everything():
        assert not {
            wanted for wanted in imports(tree) if inside(wanted, "river") or inside(wanted, "sklearn")
        }, name


def test_only_settings_reads_the_environment() -> None:
    for name, tree in everything():
        if name in {"core.settings", "core.lifecycle", "core.supervisor"}:
            continue
        text = ast.unparse(tree)
        assert "os.environ" not in text, name
        assert "getenv" not in text, name


def test_only_the_worker_imports_the_workers_runtime() -> None:
    for name, tree in everything():
        runtime = {
            wanted for wanted in imports(tree) if wanted.partition(".")[0] in {"workers", "js", "pyodide"}
        }
        assert not runtime, name
    for file in ("worker.py", "runtime.py"):
        tree = ast.parse((ROOT / "edge" / file).read_text("utf-8"))
        assert not {wanted for wanted in imports(tree) if inside(wanted, "core")}


def test_starcraft_names_are_no_names_in_the_code() -> None:
    for name, tree in everything():
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        for banned in ("nexus", "probe_", "forge_", "templar", "khala"):
            assert not {word for word in names if banned in word.lower()}, name


def test_the_source_says_nothing_of_where_it_was_made() -> None:
    ours = [
        path
        for folder in ("edge", "core", "infra")
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "node_modules" not in path.parts
    ]
    for path in ours:
        if path.suffix in {".py", ".toml", ".md", ".sql", ".js", ".sh", ".yml", ".css", ".html"}:
            assert "/work/" not in path.read_text("utf-8"), path
