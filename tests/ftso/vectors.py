"""The reference-generated vectors, where the shared folder is at hand."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def path() -> Path:
    shared = os.environ.get("CHRONO_SHARED")
    root = Path(shared) if shared else REPOSITORY.parent / "shared"
    return root / "flare" / "vectors.json"


@cache
def everything() -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = json.loads(path().read_text())
    return found


def of(kind: str) -> Any:
    """Parametrize a test over one kind of vector; one skipped case with the reason where there is no file."""
    if not path().exists():
        reason = f"no reference vectors at {path()} (set CHRONO_SHARED)"
        return pytest.mark.parametrize("vector", [pytest.param(None, marks=pytest.mark.skip(reason=reason))])
    return pytest.mark.parametrize("vector", everything()[kind])


def raw(text: str) -> bytes:
    """The bytes of `0x...`."""
    return bytes.fromhex(text.removeprefix("0x"))
