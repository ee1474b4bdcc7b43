"""Admin requests: what may be asked for, by whom, and when.

Knows the request's form and its checks. Ed25519 itself is handed in; that a request is done only once is the
group's matter (`Station.command`). A request is the JSON object

    {"action": "pause", "sent_ms": 1790000000000, "key_id": "<16 hex>", "signature": "<base64>"}

signed over the text `chrono-admin\\n<action>\\n<sent_ms>`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from chrono.signing import FRESHNESS_S, key_id

ACTIONS: Final = ("pause", "resume", "flush")
BODY_BYTES_MAX: Final = 1_024

Verify = Callable[[bytes, bytes, bytes], Awaitable[bool]]
"""(public key, signature, message) -> whether the Ed25519 signature fits."""


class AdminRefused(Exception):
    """The request is not done; the text is for the one who asked and tells nothing that is secret."""


@dataclass(frozen=True, slots=True)
class Command:
    """A verified request."""

    action: str
    sent_ms: int


def message(action: str, sent_ms: int) -> bytes:
    """The bytes that are signed."""
    return f"chrono-admin\n{action}\n{sent_ms}".encode("ascii")


async def read_command(body: bytes, keys: Sequence[bytes], verify: Verify, at: float) -> Command:
    """The command in a request whose signature fits and whose time is near `at`; raises AdminRefused."""
    action, sent_ms, wanted, signature = _parse(body)
    key = next((key for key in keys if key_id(key).hex() == wanted), None)
    if key is None or not await verify(key, signature, message(action, sent_ms)):
        raise AdminRefused("the signature does not fit, or its key is not known here")
    if abs(at - sent_ms / 1000) > FRESHNESS_S:
        raise AdminRefused(f"the request was signed more than {FRESHNESS_S:.0f} s from now")
    return Command(action, sent_ms)


def _parse(body: bytes) -> tuple[str, int, str, bytes]:
    try:
        document = json.loads(body) if len(body) <= BODY_BYTES_MAX else {}
        action, sent_ms = document["action"], document["sent_ms"]
        wanted, signature = document["key_id"], base64.b64decode(document["signature"], validate=True)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error):
        raise AdminRefused("a request is a JSON object with action, sent_ms, key_id and signature") from None
    if action not in ACTIONS or type(sent_ms) is not int or not isinstance(wanted, str):
        raise AdminRefused(f"actions are {', '.join(ACTIONS)}; sent_ms is a whole number")
    return action, sent_ms, wanted, signature
