"""What the runtime refuses at import: a Worker that draws entropy there is never deployed."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.edge.prepare import ROOT, Prepared
from tests.edge.workerd import running

CLOCKS_AND_ENTROPY = ("time.", "random.", "uuid.", "secrets.", "datetime.now", "os.urandom")


async def test_the_runtime_refuses_entropy_at_import(prepared: Prepared, tmp_path: Path) -> None:
    """The same sources as deployed, and one line too many: so the tests of this folder pass the gate."""
    shutil.copytree(ROOT / "edge", tmp_path / "edge", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "wrangler.toml", tmp_path)
    config = tmp_path / "edge" / "station" / "config.py"
    config.write_text(config.read_text("utf-8") + "import uuid\nTOKEN = uuid.uuid4()\n", "utf-8")
    with pytest.raises(AssertionError, match=r"(?i)entropy"):
        await _ask_status(prepared, tmp_path)


async def _ask_status(prepared: Prepared, root: Path) -> None:
    async with running(prepared, root, root=root) as worker:
        answer = await worker.web.get("/status")
        assert answer.status_code == 200, f"{answer.text} {worker.lines}"


@pytest.mark.parametrize(
    "file", sorted((ROOT / "edge").rglob("*.py")), ids=lambda file: str(file.relative_to(ROOT / "edge"))
)
def test_no_module_reads_a_clock_or_draws_entropy_at_import(file: Path) -> None:
    """The runtime's clock stands at zero then, which it does not say."""
    called = {ast.unparse(call.func) for call in _calls_at_import(ast.parse(file.read_text("utf-8")))}
    assert not {name for name in called if name.startswith(CLOCKS_AND_ENTROPY)}


def _calls_at_import(node: ast.AST) -> Iterator[ast.Call]:
    """Calls outside of functions; defaults and decorators of functions are evaluated at import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            for part in (*child.decorator_list, child.args):
                yield from _calls_at_import(part)
            continue
        if isinstance(child, ast.Call):
            yield child
        if not isinstance(child, ast.Lambda):
            yield from _calls_at_import(child)
