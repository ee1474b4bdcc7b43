"""A real browser on the portal, served by a fake core on loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request, async_playwright

from tests.portal.fake_api import FakeCore, serving

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The path of a browser, or a skip with the reason why there is none."""
    found = subprocess.run(
        ["sh", str(ROOT / "infra/dev/browser.sh")],
        env={**os.environ, "PYTHON": sys.executable, "CHRONO_BROWSER_INSTALL": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    if not found.stdout.strip():
        pytest.skip(found.stderr.strip().splitlines()[-1] + " (infra/dev/browser.sh installs one)")
    return found.stdout.strip()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(browser_path: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        yield browser
        await browser.close()


@dataclass
class Visit:
    """An open page, the core behind it, and what the browser complained of or asked for."""

    page: Page
    core: FakeCore
    url: str
    complaints: list[str] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._request)
        self.page.on("websocket", lambda socket: self.hosts.add(socket.url.split("/")[2]))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def _request(self, request: Request) -> None:
        self.hosts.add(request.url.split("/")[2])

    async def text(self, selector: str) -> str:
        return (await self.page.locator(selector).inner_text()).strip()

    async def shown_feeds(self) -> list[str]:
        rows = self.page.locator("#rows tr:not([hidden])")
        return await rows.evaluate_all("rows => rows.map(row => row.dataset.feed)")


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """The portal, open at a desktop's width with its first snapshot shown."""
    core = FakeCore(time.time)
    async with serving(core) as url:
        context = await browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
        context.set_default_timeout(10_000)
        visit = Visit(await context.new_page(), core, url)
        visit.watch()
        await visit.page.goto(url)
        await visit.page.wait_for_selector("#connection[data-state=live]")
        yield visit
        await context.close()
