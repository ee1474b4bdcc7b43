"""Where segments are played: in this process, in several, or on a Dask cluster that somebody already runs.

Knows how to hand out work and to take results as they come. Does not know what is played.
"""

from __future__ import annotations

import importlib
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol

from chrono.errors import ChronoError
from core.forge.arena import SIMULATED, Plan, Segment, play_segment
from core.forge.recordings import read_recording

Work = Callable[[Plan, Segment], bytes]


class EngineMissing(ChronoError):
    """An engine's package is not installed here."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"the engine {name} needs the package {package}: pip install {package}")


class ClusterSilent(ChronoError):
    """Nobody answers at a cluster's address."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__(f"no Dask scheduler answers at {address}")


class Engine(Protocol):
    """Plays segments in any order."""

    def play(self, work: Work, plan: Plan, segments: Sequence[Segment]) -> Iterator[tuple[int, bytes]]:
        """Each segment's index and result, as they are done."""
        ...


def play_here(plan: Plan, segment: Segment) -> bytes:
    """Play a segment and pack its result: the work of every engine. A recorded market's file is read anew."""
    recording = None if plan.market == SIMULATED else read_recording(Path(plan.market))
    return play_segment(plan, segment, recording).to_bytes()


class LocalEngine:
    """This machine, with `workers` processes; one plays in this process itself."""

    def __init__(self, workers: int) -> None:
        self._workers = workers

    def play(self, work: Work, plan: Plan, segments: Sequence[Segment]) -> Iterator[tuple[int, bytes]]:
        workers = min(self._workers, len(segments))
        if workers <= 1:
            for segment in segments:
                yield segment.index, work(plan, segment)
            return
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, context) as pool:
            futures = {pool.submit(work, plan, segment): segment.index for segment in segments}
            for future in as_completed(futures):
                yield futures[future], future.result()


class DaskEngine:
    """An existing Dask cluster by its scheduler's address, such as tcp://10.0.0.5:8786.

    Its workers need this package, and the file of a recorded market under the same path.
    """

    def __init__(self, address: str) -> None:
        """Raises EngineMissing without dask; playing raises ClusterSilent, half a minute after it began."""
        try:
            self._dask: Any = importlib.import_module("distributed")
        except ImportError:
            raise EngineMissing("dask", "distributed") from None
        self._address = address

    def play(self, work: Work, plan: Plan, segments: Sequence[Segment]) -> Iterator[tuple[int, bytes]]:
        try:
            client = self._dask.Client(self._address)
        except OSError:
            raise ClusterSilent(self._address) from None
        with client:
            futures = {client.submit(work, plan, segment, pure=False): segment.index for segment in segments}
            for future in self._dask.as_completed(list(futures)):
                yield futures[future], future.result()
