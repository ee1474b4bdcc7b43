"""The list of problems says all that there are, each with its status."""

from __future__ import annotations

import re
from pathlib import Path

from core.api import problems
from core.api.catalogue import CATALOGUE

API = Path(problems.__file__).parent
MADE = re.compile(r'(?:Problem|bad_request)\(\s*"([a-z-]+)"')


def test_every_kind_of_problem_that_the_api_makes_is_listed() -> None:
    made = {slug for file in API.glob("*.py") for slug in MADE.findall(file.read_text("utf-8"))}
    kinds = problems._KINDS
    named = {kind.slug or error.reason for error, kind in kinds.items()}
    assert made | named <= set(CATALOGUE)


def test_each_is_listed_with_its_status() -> None:
    for error, kind in problems._KINDS.items():
        assert CATALOGUE[kind.slug or error.reason][0] == kind.status
