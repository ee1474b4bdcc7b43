"""Ask a running Worker to pause, resume or flush: `python infra/edge/admin.py URL pause --key FILE`.

The request is signed with an Ed25519 key whose public half stands in ADMIN_KEYS of wrangler.toml; `public`
instead of an action prints it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import sys
import time
from pathlib import Path

import httpx

from core.keys import KeyFileError, LocalSigner, create_private_key, load_private_key
from station.admin import ACTIONS, message


async def ask(url: str, action: str, signer: LocalSigner, at: float) -> httpx.Response:
    """Post a signed request; raises httpx.HTTPError."""
    sent_ms = round(at * 1000)
    signature = base64.b64encode(await signer.sign(message(action, sent_ms))).decode("ascii")
    document = {
        "action": action,
        "sent_ms": sent_ms,
        "key_id": signer.key_id.hex(),
        "signature": signature,
    }
    async with httpx.AsyncClient(timeout=20) as client:
        return await client.post(f"{url.rstrip('/')}/admin", json=document)


def main() -> int:
    parser = argparse.ArgumentParser(prog="infra/edge/admin.py")
    parser.add_argument("url", help="of the Worker")
    parser.add_argument("action", choices=(*ACTIONS, "public"))
    parser.add_argument(
        "--key", type=Path, default=Path(".chrono/keys/admin.key"), help="made if it is absent"
    )
    arguments = parser.parse_args()
    try:
        signer = (load_private_key if arguments.key.exists() else create_private_key)(arguments.key)
        if arguments.action == "public":
            print(base64.b64encode(signer.public_key).decode("ascii"))
            return 0
        answer = asyncio.run(ask(arguments.url, arguments.action, signer, time.time()))
    except (KeyFileError, httpx.HTTPError) as error:
        print(error)
        return 2
    print(answer.status_code, answer.text)
    return 0 if answer.is_success else 1


if __name__ == "__main__":
    sys.exit(main())
