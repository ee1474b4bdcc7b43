"""What the tests of the Worker need: workerd, or the reason why it cannot run here."""

from __future__ import annotations

import pytest

from infra.edge.prepare import Prepared, Unavailable, prepare


@pytest.fixture(scope="session")
def prepared() -> Prepared:
    """All that workerd needs, made once and kept; where it cannot run, tests are skipped and say why."""
    try:
        return prepare()
    except Unavailable as error:
        pytest.skip(f"workerd cannot run here: {error}")
