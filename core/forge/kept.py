"""The file that a long run leaves behind as it goes, so that it can be taken up again after a kill.

One line a played segment, appended and flushed when it is done: JSON with the plan's digest, the segment's
index and the result's bytes. A last line that a kill has torn is left out, and written over by the next one.
"""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

from chrono.errors import ChronoError


class OtherPlan(ChronoError):
    """The file is of a run with another seed, market, feeds, rounds or entrants."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is of another run: give it the same options, or another file")


class KeptSegments:
    """The segments of one plan in a file; without a file they are kept nowhere."""

    def __init__(self, path: Path | None, digest: str) -> None:
        """Read what is there; raises OtherPlan."""
        self._path, self._digest = path, digest
        self.played: dict[int, bytes] = {}
        if path is not None and path.exists():
            self._read(path)

    def add(self, index: int, result: bytes) -> None:
        """Keep a result, on disk before this returns."""
        self.played[index] = result
        if self._path is None:
            return
        told = {"plan": self._digest, "segment": index, "result": base64.b64encode(result).decode()}
        with self._path.open("a", encoding="ascii") as file:
            file.write(json.dumps(told) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, path: Path) -> None:
        raw = path.read_bytes()
        whole, torn = raw.rpartition(b"\n")[0::2]
        if torn:
            path.write_bytes(whole + b"\n" if whole else b"")
        for line in whole.splitlines():
            told = json.loads(line)
            if told["plan"] != self._digest:
                raise OtherPlan(path)
            self.played[told["segment"]] = base64.b64decode(told["result"])
