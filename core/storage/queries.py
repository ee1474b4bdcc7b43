"""SQL by name: the files of `sql/`, where `-- name: x` begins the query x."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME: Final = re.compile(r"^-- name: (\w+)\n", re.MULTILINE)


@cache
def load_queries(kind: str) -> Mapping[str, str]:
    """The queries of `sql/KIND.sql` by their names."""
    text = (files("core.storage") / "sql" / f"{kind}.sql").read_text(encoding="utf-8")
    _, *parts = _NAME.split(text)
    names, bodies = parts[::2], parts[1::2]
    return MappingProxyType(dict(zip(names, (body.strip() for body in bodies), strict=True)))
