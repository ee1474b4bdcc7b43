"""The Worker's bundle in real workerd."""

from __future__ import annotations

from pathlib import Path

from infra.edge.prepare import Prepared
from tests.edge.workerd import running


async def test_the_kernel_answers_from_inside_workerd(prepared: Prepared, tmp_path: Path) -> None:
    async with running(prepared, tmp_path) as workerd:
        status = await workerd.status()
    assert (status["feeds"], status["legs"]) == (63, 379)
