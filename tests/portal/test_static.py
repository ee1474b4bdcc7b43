"""What the portal's files may not hold: outside resources, inline code, markup made of data. No browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.portal import STATIC

FILES = sorted(path for path in STATIC.iterdir() if path.suffix in (".html", ".css", ".js", ".svg"))
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
PAGE = (STATIC / "index.html").read_text()
NAMES_NOT_FETCHED = ("http://www.w3.org/2000/svg",)


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_names_no_other_host(path: Path) -> None:
    addresses = re.findall(r"(?:https?:|wss?:)?//[\w.-]+\.\w[^\s\"')]*", path.read_text())
    assert [address for address in addresses if address not in NAMES_NOT_FETCHED] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_makes_no_markup_or_code_from_text(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
    assert re.search(forbidden, path.read_text()) is None


def test_the_page_holds_no_inline_style_or_script() -> None:
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)", PAGE) is None
    assert "unsafe" not in PAGE


def test_the_page_forbids_what_it_does_not_use() -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', PAGE)
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none'; script-src 'self';")


def test_every_script_is_reached_from_the_page() -> None:
    reached, waiting = set(), ["app.js"]
    while waiting:
        script = waiting.pop()
        if script not in reached:
            reached.add(script)
            waiting += re.findall(r'from "\./([\w.]+)"', (STATIC / script).read_text())
    assert reached == {path.name for path in SCRIPTS}


def test_every_element_that_a_script_asks_for_is_on_the_page() -> None:
    asked = {found for path in SCRIPTS for found in re.findall(r'byId\("([\w-]+)"\)', path.read_text())}
    assert asked <= set(re.findall(r'\bid="([\w-]+)"', PAGE))
