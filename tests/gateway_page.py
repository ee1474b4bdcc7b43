"""docs/gateway.md taken apart: its examples, each with what it is to print, and its tables."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "gateway.md"
_EXAMPLE = re.compile(r"^```(sh|python|javascript)\n(.*?)^```\n(?:\n```output\n(.*?)^```\n)?", re.M | re.S)
_ANYTHING = "..."


@dataclass(frozen=True, slots=True)
class Example:
    """A fenced example. `output` is what the page says that it prints, with ... for anything."""

    line: int
    language: str
    source: str
    output: str

    def prints(self, printed: str) -> bool:
        """Whether that is what the page says."""
        parts = self.output.strip().split(_ANYTHING)
        return re.fullmatch(".*?".join(map(re.escape, parts)), printed.strip(), re.S) is not None


def examples() -> list[Example]:
    text = PAGE.read_text("utf-8")
    return [
        Example(text.count("\n", 0, found.start()) + 1, found[1], found[2], found[3] or _ANYTHING)
        for found in _EXAMPLE.finditer(text)
    ]


def table(first_column: str) -> Iterator[list[str]]:
    """The rows of the table whose first column is called so."""
    lines = PAGE.read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {first_column} |"))
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split(" | ")]
