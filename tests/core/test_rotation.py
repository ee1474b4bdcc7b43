"""How far the rotation of a collector's key is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from chrono.signing import PublicKey
from core.rotation import CannotRotate, Facts, Rotation, Step, find_rotation, steps

OLD, NEW = PublicKey(bytes(32), "edge"), PublicKey(bytes([1] * 32), "edge")
OLD_ID, NEW_ID = OLD.key_id.hex(), NEW.key_id.hex()
FOLDER = Path("keys")
AWAY = Facts(FOLDER / "collector.key", None, None, "the core does not answer")


def rotation(*known: PublicKey, finished: bool = True) -> Rotation:
    return find_rotation("edge", known, FOLDER, finished=finished)


def heard(**silent_s: float) -> Facts:
    ages = {{"new": NEW_ID, "old": OLD_ID}[name]: age for name, age in silent_s.items()}
    return replace(AWAY, silent_s=ages)


def done(found: list[Step]) -> list[bool]:
    return [step.done for step in found]


def test_with_one_key_all_is_to_do() -> None:
    found = steps(rotation(OLD), heard(old=1.0))
    assert not any(done(found))
    assert found[0].commands == ("chrono keys new --name edge --file keys/edge-2.key",)
    assert found[4].commands[0] == f"chrono keys revoke {OLD_ID}"


def test_the_worker_keeps_its_old_key_while_batches_wait_that_were_made_under_it() -> None:
    former, present = steps(rotation(OLD, NEW), heard(old=1.0))[2].commands
    assert "secret put COLLECTOR_KEY_FORMER" in former
    assert 'secret put COLLECTOR_KEY" < keys/edge-2.key' in present
    assert "secret delete COLLECTOR_KEY_FORMER" in steps(rotation(OLD, NEW), heard(new=1.0))[4].commands[1]


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        (AWAY, [True, True, False, False, False]),
        (heard(old=1.0), [True, True, False, False, False]),
        (heard(old=1.0, new=1.0), [True, True, True, False, False]),  # the old one still sends
        (heard(old=40.0, new=20.0), [True, True, True, False, False]),  # the new one has gone silent
        (heard(old=40.0, new=1.0), [True, True, True, True, False]),
        (heard(new=1.0), [True, True, True, True, False]),
    ],
)
def test_the_old_key_may_go_once_the_new_one_delivers_alone(facts: Facts, expected: list[bool]) -> None:
    assert done(steps(rotation(OLD, NEW), facts)) == expected


def test_after_the_old_key_is_revoked_all_is_done() -> None:
    revoked = replace(OLD, revoked=True)
    assert all(done(steps(rotation(revoked, NEW), heard(old=90.0, new=1.0))))


def test_a_finished_rotation_is_followed_by_the_next() -> None:
    following = rotation(replace(OLD, revoked=True), NEW, finished=False)
    assert (following.old, following.new, following.new_file) == (NEW, None, FOLDER / "edge-3.key")


def test_the_local_collector_is_switched_by_its_key_file() -> None:
    facts = replace(heard(old=1.0), local_key_id=OLD_ID)
    switch = steps(rotation(OLD, NEW), facts)[2]
    assert not switch.done
    assert "mv keys/edge-2.key keys/collector.key" in switch.commands[0]
    assert steps(rotation(OLD, NEW), replace(facts, local_key_id=NEW_ID))[2].done


def test_another_collectors_keys_do_not_count() -> None:
    assert rotation(OLD, replace(NEW, name="other")).new is None


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ((replace(OLD, name="local"),), "one of: local"),
        ((replace(OLD, revoked=True),), "one of: none"),
        ((OLD, NEW, PublicKey(bytes([2] * 32), "edge")), "revoke those not in use"),
    ],
)
def test_keys_that_do_not_say_which_follows_which_are_refused(
    known: tuple[PublicKey, ...], told: str
) -> None:
    with pytest.raises(CannotRotate, match=told):
        rotation(*known)
