"""Rotating a collector's key without a gap: the steps, and which of them are done.

Pure: what is known of files and of the running core is handed in. Does not do any step itself, so that what
becomes of a private key stays in its owner's hands.

The order makes the gap impossible: the core accepts the old key until batches of the new one have come and
the old one has been silent for OLD_SILENT_S. Both may send meanwhile, and no tick counts twice (two keys are
two routes to the core).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from chrono.errors import ChronoError
from chrono.signing import PublicKey

HEARD_S: Final = 10.0
"""A collector posts once a second; one that was silent for longer does not count as delivering."""
OLD_SILENT_S: Final = 30.0
"""How long the old key must be silent before it is refused: a batch is no good after that anyway."""
WORKER_KEY: Final = "COLLECTOR_KEY"
WORKER_FORMER_KEY: Final = "COLLECTOR_KEY_FORMER"
"""The Worker's secrets: what it signs with, and what signs the batches that have waited since before."""


class CannotRotate(ChronoError):
    """The known keys do not say which key follows which; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Rotation:
    """Which key of a collector gives way to which. `new` is None while it has not been made."""

    name: str
    old: PublicKey
    new: PublicKey | None
    new_file: Path


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found. `local_key_id` is that of the local collector's private key file, None without one.

    `silent_s` is by key id how long the running core has not heard a key; None if the core did not answer,
    and then `core_detail` says why.
    """

    local_key_file: Path
    local_key_id: str | None
    silent_s: Mapping[str, float] | None
    core_detail: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what it is for, the commands to type, whether it is done and what was found of it."""

    what: str
    commands: tuple[str, ...]
    done: bool
    found: str


def find_rotation(name: str, known: Sequence[PublicKey], folder: Path, *, finished: bool) -> Rotation:
    """The rotation that is under way for the collector called `name`, or the one to begin.

    With `finished`, the last one that was finished rather than the one to begin. `folder` is where its
    private keys are put. Raises CannotRotate.
    """
    own = [key for key in known if key.name == name]
    valid = [key for key in own if not key.revoked]
    revoked = [key for key in own if key.revoked]
    if not valid:
        names = ", ".join(sorted({key.name for key in known if not key.revoked and key.name})) or "none"
        raise CannotRotate(f"no valid key is called {name!r}; give --name one of: {names}")
    if len(valid) > 2:
        ids = ", ".join(key.key_id.hex() for key in valid)
        raise CannotRotate(
            f"{len(valid)} valid keys are called {name!r}: {ids}; revoke those not in use first"
        )
    if len(valid) == 2:
        return Rotation(name, valid[0], valid[1], folder / f"{name}-{len(own)}.key")
    if finished and revoked:
        return Rotation(name, revoked[-1], valid[0], folder / f"{name}-{len(own)}.key")
    return Rotation(name, valid[0], None, folder / f"{name}-{len(own) + 1}.key")


def steps(rotation: Rotation, facts: Facts) -> list[Step]:
    """The steps in their order; each can be done once those before it are."""
    return [
        _make(rotation),
        _accept_both(rotation),
        _switch(rotation, facts),
        _verify(rotation, facts),
        _revoke(rotation, facts),
    ]


def _make(rotation: Rotation) -> Step:
    new = rotation.new
    return Step(
        "Make the new key.",
        (f"chrono keys new --name {rotation.name} --file {rotation.new_file}",),
        new is not None,
        f"the new key is {new.key_id.hex()}" if new else f"{rotation.name} has one key, {_id(rotation.old)}",
    )


def _accept_both(rotation: Rotation) -> Step:
    old, new = rotation.old, rotation.new
    told = f"{_id(old)} is {'revoked' if old.revoked else 'valid'}"
    if new is not None:
        told = f"{_id(new)} is {'revoked' if new.revoked else 'valid'}, {told}"
    return Step(
        "See that the core accepts both: it reads its file of known keys by itself, no restart is needed.",
        ("chrono keys list",),
        new is not None,
        told,
    )


def _switch(rotation: Rotation, facts: Facts) -> Step:
    new = rotation.new
    if _is_local(rotation, facts):
        kept = facts.local_key_file.with_suffix(".old.key")
        return Step(
            "Give the local collector the new key, and end it: `chrono up` starts it again at once.",
            (
                f"mv {facts.local_key_file} {kept} && mv {rotation.new_file} {facts.local_key_file}",
                "kill $(pgrep -f 'core collect')",
            ),
            new is not None and facts.local_key_id == _id(new),
            f"{facts.local_key_file} holds {facts.local_key_id}",
        )
    heard = new is not None and facts.silent_s is not None and _id(new) in facts.silent_s
    return Step(
        "Give the Worker the old key as its former one, for batches that wait; then the new one.",
        (
            f'make edge-wrangler ARGS="secret put {WORKER_FORMER_KEY}" < FILE_OF_THE_OLD_KEY',
            f'make edge-wrangler ARGS="secret put {WORKER_KEY}" < {rotation.new_file}',
        ),
        heard,
        "the core has heard it" if heard else _unheard(facts, "the core has not heard it yet"),
    )


def _verify(rotation: Rotation, facts: Facts) -> Step:
    command = f"chrono keys rotate --name {rotation.name} --check"
    what = f"Verify that its batches arrive and that the old key is silent for {OLD_SILENT_S:.0f} s."
    if rotation.new is None or facts.silent_s is None:
        return Step(what, (command,), False, _unheard(facts, "there is no new key yet"))
    new_s, old_s = (facts.silent_s.get(_id(key)) for key in (rotation.new, rotation.old))
    arrives = new_s is not None and new_s <= HEARD_S
    gone = old_s is None or old_s >= OLD_SILENT_S
    return Step(what, (command,), arrives and gone, f"new key {_told(new_s)}, old key {_told(old_s)}")


def _revoke(rotation: Rotation, facts: Facts) -> Step:
    forget = f'make edge-wrangler ARGS="secret delete {WORKER_FORMER_KEY}"'
    return Step(
        "Refuse the old key for good, then delete its private key.",
        (
            f"chrono keys revoke {_id(rotation.old)}",
            *(() if _is_local(rotation, facts) else (forget,)),
        ),
        rotation.old.revoked,
        f"{_id(rotation.old)} is {'revoked' if rotation.old.revoked else 'still valid'}",
    )


def _is_local(rotation: Rotation, facts: Facts) -> bool:
    """Whether it is the collector on this machine whose key is rotated."""
    return facts.local_key_id in {_id(key) for key in (rotation.old, rotation.new) if key}


def _id(key: PublicKey) -> str:
    return key.key_id.hex()


def _told(silent_s: float | None) -> str:
    return "not heard since the core's start" if silent_s is None else f"heard {silent_s:.1f} s ago"


def _unheard(facts: Facts, otherwise: str) -> str:
    return facts.core_detail if facts.silent_s is None else otherwise
