"""Randomness without state: numbers that depend on a seed, a stream and a place, and on nothing else.

Any instant can be asked for in any order, and costs the same. Knows no prices.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)
_STREAM: Final = np.uint64(0xD6E8FEB86659FD93)
_LOW_16: Final = np.uint64(0xFFFF)


def hashes(seed: int, stream: Ints, place: Ints) -> Hashes:
    """A 64-bit hash of each (seed, stream, place), the arrays broadcast; the finalizer is SplitMix64's."""
    mixed = _mix(np.uint64(seed % 2**64) + stream.astype(np.uint64) * _STREAM)
    return _mix(mixed + place.astype(np.uint64) * _GOLDEN)


def uniform(seed: int, stream: Ints, place: Ints) -> Floats:
    """Numbers in [0, 1)."""
    return np.asarray((hashes(seed, stream, place) >> np.uint64(11)) * 2.0**-53, np.float64)


def normal(seed: int, stream: Ints, place: Ints) -> Floats:
    """Numbers of mean 0 and deviation 1, within 3.5: the sum of four uniform ones.

    Only sums and products, so that every machine gets the same bits.
    """
    hashed = hashes(seed, stream, place)
    total = sum((hashed >> np.uint64(shift)) & _LOW_16 for shift in (0, 16, 32, 48))
    return np.asarray((np.asarray(total, np.float64) / 2.0**16 - 2.0) * np.sqrt(3.0), np.float64)


def walk(seed: int, stream: Ints, step: Ints, octaves: int) -> Floats:
    """Brownian motion on a grid, with deviation 1 over one step, bounded over 2^octaves steps.

    Lévy's construction: independent values every 2^octaves steps, a straight line between them, and a
    midpoint moved at each halving. Bounded, because otherwise a market that is asked about in 2030 would
    have walked away from every plausible price.
    """
    level = np.arange(1, octaves + 1, dtype=np.int64)[:, None]
    period = 1 << level
    node = step >> level
    fraction = (step - node * period) / period
    moved = np.sqrt(period) / 2 * (1 - np.abs(2 * fraction - 1))
    bridge = np.sum(moved * normal(seed, stream + (level << 32), node), axis=0)
    top = step >> octaves
    along = (step - (top << octaves)) / (1 << octaves)
    first, second = normal(seed, stream, top), normal(seed, stream, top + 1)
    line = first + (second - first) * along
    return np.asarray(bridge + line * np.sqrt(float(1 << octaves)) / np.sqrt(2.0), np.float64)


def _mix(value: Hashes) -> Hashes:
    value = value + _GOLDEN
    value = (value ^ (value >> np.uint64(30))) * _MIX_1
    value = (value ^ (value >> np.uint64(27))) * _MIX_2
    return value ^ (value >> np.uint64(31))
