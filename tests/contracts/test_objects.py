"""Stores of objects, in memory and on a real S3 server, keep to the same port."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from core.snapshot.objects import Objects, Overtaken, Standing
from tests.fakes.objects import FakeObjects
from tests.s3_server import S3Server


@pytest.fixture(params=["fake", "real"])
def objects(request: pytest.FixtureRequest) -> Objects:
    if request.param == "fake":
        return FakeObjects()
    server: S3Server = request.getfixturevalue("s3_server")
    return server.objects()


@pytest.fixture
def name() -> str:
    return f"contract/{uuid4()}"


def test_an_object_that_was_never_written_is_none(objects: Objects, name: str) -> None:
    assert (objects.get(name), objects.standing(name)) == (None, None)


def test_what_was_written_is_read_with_its_order(objects: Objects, name: str) -> None:
    mark = objects.put(name, b"first", (1_790_000_000_000, 7), None)
    assert objects.get(name) == b"first"
    assert objects.standing(name) == Standing(mark, (1_790_000_000_000, 7))


def test_an_object_is_replaced_by_who_knows_what_is_there(objects: Objects, name: str) -> None:
    mark = objects.put(name, b"first", (1, 1), None)
    objects.put(name, b"second", (2, 2), mark)
    assert objects.get(name) == b"second"


@pytest.mark.parametrize("wrong", [lambda mark: None, lambda mark: '"0123456789abcdef0123456789abcdef"'])
def test_who_expects_another_object_is_overtaken(
    objects: Objects, name: str, wrong: Callable[[str], str | None]
) -> None:
    mark = objects.put(name, b"first", (1, 1), None)
    with pytest.raises(Overtaken):
        objects.put(name, b"second", (2, 2), wrong(mark))
    assert objects.get(name) == b"first"


def test_an_object_that_has_gone_is_not_replaced(objects: Objects, name: str) -> None:
    mark = objects.put(f"{name}-other", b"first", (1, 1), None)
    with pytest.raises(Overtaken):
        objects.put(name, b"second", (2, 2), mark)
