"""What the estimator has learned, as bytes, and back.

Knows the form: SHA-256 of the rest, then a NumPy archive without pickled objects: every array of the memory
under its path (`legs.bias`), and a header with the format's version, the fingerprint and the time. The
fingerprint is a hash over the feed table and over the shape of everything learned: a memory of another table,
or of a release that learns other things, is refused rather than guessed at. Where they are kept is not known.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Final, TypeVar

import numpy as np

from chrono.errors import ChronoError
from core.aggregation.estimates import Floats
from core.aggregation.learned import Memory
from core.aggregation.markets import Markets
from core.aggregation.rules import Rules

VERSION: Final = 1
AGE_S_MAX: Final = 6 * 3_600.0
"""An older memory is of another market: venues' habits, rates and noise have moved on."""
BYTES_MAX: Final = 64 * 2**20
_FUTURE_S: Final = 60.0
_HEADER: Final = "header"
_DIGEST_BYTES: Final = 32

Part = TypeVar("Part")


class MemoryRefused(ChronoError):
    """Bytes that are no memory of this estimator. `reason` is corrupt, foreign or old."""

    def __init__(self, reason: str, detail: str) -> None:
        self.reason = reason
        super().__init__(f"{reason}: {detail}")


@dataclass(frozen=True, slots=True)
class Saved:
    """A memory and when it was saved."""

    memory: Memory
    at: float


def fingerprint(markets: Markets, rules: Rules) -> str:
    """16 hex digits that change with the feed table and with what is learned."""
    told = [(feed.name, feed.secondary_band_ppm, [str(leg) for leg in feed.legs]) for feed in markets.feeds]
    shapes = [
        (path, np.asarray(value).dtype.str, np.shape(value))
        for path, value in _leaves(Memory.blank(markets, rules))
    ]
    return hashlib.sha256(repr((VERSION, told, markets.currencies, shapes)).encode()).hexdigest()[:16]


def encode_memory(memory: Memory, markets: Markets, rules: Rules, at: float) -> bytes:
    """The bytes of a memory as it is at `at`."""
    header = {"version": VERSION, "fingerprint": fingerprint(markets, rules), "at": at}
    arrays: dict[str, Any] = {path: np.asarray(value) for path, value in _leaves(memory)}
    out = io.BytesIO()
    np.savez_compressed(out, **arrays | {_HEADER: np.array(json.dumps(header))})
    archive = out.getvalue()
    return hashlib.sha256(archive).digest() + archive


def decode_memory(encoded: bytes, markets: Markets, rules: Rules, at: float) -> Saved:
    """The memory in some bytes. Raises MemoryRefused."""
    if len(encoded) > BYTES_MAX:
        raise MemoryRefused("corrupt", f"{len(encoded)} bytes are too many")
    digest, inside = encoded[:_DIGEST_BYTES], encoded[_DIGEST_BYTES:]
    if hashlib.sha256(inside).digest() != digest:
        raise MemoryRefused("corrupt", "the bytes are not those that were written")
    try:
        with np.load(io.BytesIO(inside), allow_pickle=False) as archive:
            header = json.loads(str(archive[_HEADER]))
            found = {name: archive[name] for name in archive.files if name != _HEADER}
        told, saved_at = str(header["fingerprint"]), float(header["at"])
    except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise MemoryRefused("corrupt", f"{type(error).__name__}: {error}") from None
    if told != fingerprint(markets, rules):
        raise MemoryRefused("foreign", "it was learned of another feed table, or by another release")
    if not -_FUTURE_S <= at - saved_at <= AGE_S_MAX:
        raise MemoryRefused("old", f"it was saved {at - saved_at:.0f} s ago")
    blank = Memory.blank(markets, rules)
    if found.keys() != {path for path, _ in _leaves(blank)}:
        raise MemoryRefused("corrupt", "parts are missing")
    return Saved(_filled(blank, found), saved_at)


def _leaves(part: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every array and number of a tree of dataclasses, with its path."""
    for each in fields(part):
        value, name = getattr(part, each.name), f"{path}{each.name}"
        if is_dataclass(value):
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _filled(blank: Part, found: dict[str, Floats], path: str = "") -> Part:
    """The tree with the found arrays in the place of its own. Raises MemoryRefused on a misfit."""
    filled: dict[str, Any] = {}
    for each in fields(blank):  # type: ignore[arg-type]
        value, name = getattr(blank, each.name), f"{path}{each.name}"
        if is_dataclass(value):
            filled[each.name] = _filled(value, found, f"{name}.")
            continue
        array = found[name]
        if array.shape != np.shape(value) or array.dtype != np.asarray(value).dtype:
            raise MemoryRefused("corrupt", f"{name} has the shape {array.shape}")
        if array.dtype.kind == "f" and not _sound(array, np.asarray(value)):
            raise MemoryRefused("corrupt", f"{name} holds what is no number")
        filled[each.name] = array.item() if np.ndim(value) == 0 else array
    return replace(blank, **filled)  # type: ignore[type-var]


def _sound(array: Floats, blank: Floats) -> bool:
    """Finite, but where nothing is known yet the blank itself is not either (never, unknown)."""
    return bool((np.isfinite(array) | ~np.isfinite(blank)).all())
