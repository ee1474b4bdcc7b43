"""What the portal's files may not hold: outside resources, inline code, markup made of data. No browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.portal import STATIC

FILES = sorted(path for path in STATIC.rglob("*") if path.suffix in (".html", ".css", ".js", ".svg"))
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
PAGES = {
    STATIC / "index.html": STATIC / "app.js",
    STATIC / "rounds/index.html": STATIC / "rounds/rounds.js",
    STATIC / "forge/index.html": STATIC / "forge/forge.js",
}
"""Each page's first script."""
NAMES_NOT_FETCHED = ("http://www.w3.org/2000/svg",)


def name(path: Path) -> str:
    return str(path.relative_to(STATIC))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_names_no_other_host(path: Path) -> None:
    addresses = re.findall(r"(?:https?:|wss?:)?//[\w.-]+\.\w[^\s\"')]*", path.read_text())
    assert [address for address in addresses if address not in NAMES_NOT_FETCHED] == []


@pytest.mark.parametrize("path", SCRIPTS, ids=name)
def test_a_script_makes_no_markup_or_code_from_text(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser"
    assert re.search(forbidden, path.read_text()) is None


def reached(first: Path) -> set[Path]:
    """The scripts that a page's first one leads to."""
    found, waiting = set(), [first]
    while waiting:
        script = waiting.pop()
        if script not in found:
            found.add(script)
            names = re.findall(r'from "(\.\.?/[\w./]+)"', script.read_text())
            waiting += [(script.parent / each).resolve() for each in names]
    return found


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_holds_no_inline_style_or_script(page: Path) -> None:
    text = page.read_text()
    assert re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\bsrc=)", text) is None
    assert "unsafe" not in text


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_page_forbids_what_it_does_not_use(page: Path) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page.read_text())
    assert policy is not None
    assert policy.group(1).startswith("default-src 'none'; script-src 'self';")


def test_every_script_is_reached_from_a_page() -> None:
    assert set.union(*map(reached, PAGES.values())) == set(SCRIPTS)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_element_that_a_script_asks_for_is_on_its_page(page: Path) -> None:
    texts = [script.read_text() for script in reached(PAGES[page])]
    asked = {found for text in texts for found in re.findall(r'byId\("([\w-]+)"\)', text)}
    assert asked <= set(re.findall(r'\bid="([\w-]+)"', page.read_text()))
