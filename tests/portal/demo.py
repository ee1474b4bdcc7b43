"""Runs the portal on the fake core, to look at: `python -m tests.portal.demo [port]`."""

from __future__ import annotations

import asyncio
import sys
import time

from tests.portal.fake_api import FakeCore, serving
from tests.portal.scenes import troubled


async def main() -> None:
    core = FakeCore(time.time)
    troubled(core)
    async with serving(core, int(sys.argv[1]) if len(sys.argv) > 1 else 8090) as url:
        print(url)
        while True:
            await asyncio.sleep(1)
            core.walk()
            await core.push()


if __name__ == "__main__":
    asyncio.run(main())
