"""Cloudflare's runtime as the ports that `station` asks for: storage, queue, keys, fetch and variables.

With `edge/worker.py` the only file that imports `js` or `pyodide`. Knows how values cross from Python to
JavaScript and back; decides nothing.
"""

import base64
import time
from urllib.parse import urlencode

import js
from pyodide.ffi import JsException, to_js

from chrono.http import BODY_BYTES_MAX, Answer, Failure
from chrono.signing import key_id
from chrono.venues.adapter import Request
from station.config import Config, ConfigError, read_config
from station.ports import OverflowRefused

USER_AGENT = "chrono/0.1"
KEYS_PAGE = 64
_VARIABLES = (
    *("CORE_URL", "INTERVAL_S", "TRADE_INTERVAL_S", "TIMEOUT_S", "POST_TIMEOUT_S", "DELIVERIES_MAX"),
    *("STORED_BATCHES_MAX", "QUEUED_BATCHES_MAX", "QUEUE_RETRY_S", "ADMIN_KEYS", "GROUPS", "HOSTS"),
)


def config_of(env) -> Config:
    """The Worker's variables; raises ConfigError."""
    values = {name: getattr(env._env, name, None) for name in _VARIABLES}
    return read_config(
        {name: value.to_py() if hasattr(value, "to_py") else value for name, value in values.items()}
    )


def js_object(fields: dict[str, object]):
    """A plain JavaScript object, where `to_js` alone would make a Map."""
    return to_js(fields, dict_converter=js.Object.fromEntries)


def py_bytes(value) -> bytes:
    """Bytes of a JavaScript buffer, or of what it was converted to on its way here."""
    return bytes(value.to_bytes()) if hasattr(value, "to_bytes") else bytes(value)


class DurableStorage:
    """`station.ports.Storage` over a Durable Object's storage."""

    def __init__(self, storage) -> None:
        self._storage = storage

    async def read(self, key: str) -> bytes | None:
        value = await self._storage.get(key)
        return None if value is None else py_bytes(value)

    async def write(self, key: str, value: bytes) -> None:
        await self._storage.put(key, to_js(value))

    async def delete(self, keys) -> None:
        await self._storage.delete(to_js(list(keys)))

    async def keys(self, prefix: str) -> list[str]:
        """Page by page, because the values come with their keys."""
        keys: list[str] = []
        while True:
            options = {"prefix": prefix, "limit": KEYS_PAGE}
            if keys:
                options["startAfter"] = keys[-1]
            entries = await self._storage.list(js_object(options))
            page = [str(key) for key in js.Array.from_(entries.keys())]
            keys += page
            if len(page) < KEYS_PAGE:
                return keys


class QueueOverflow:
    """`station.ports.Overflow` over a queue; a message is `group\\nsequence\\nbatch`."""

    def __init__(self, queue, group: str) -> None:
        self._queue, self._group = queue, group

    async def send(self, sequence: int, encoded: bytes) -> None:
        body = f"{self._group}\n{sequence}\n".encode() + encoded
        try:
            await self._queue.send(to_js(body), js_object({"contentType": "bytes"}))
        except JsException as error:
            raise OverflowRefused(str(error)) from None


class WebCryptoKeys:
    """`station.ports.Keys` over WebCrypto: the secret COLLECTOR_KEY and, while it is replaced, the former."""

    def __init__(self, held) -> None:
        self._held = held
        self.present = next(iter(held))

    @classmethod
    async def of(cls, env) -> "WebCryptoKeys":
        """Raises ConfigError if the present key is absent or a key cannot be read; tells nothing of it."""
        held = {}
        for name in ("COLLECTOR_KEY", "COLLECTOR_KEY_FORMER"):
            text = getattr(env._env, name, None)
            if not isinstance(text, str):
                continue
            try:
                key = await _private_key(text)
            except (JsException, ValueError):
                raise ConfigError(f"the secret {name} is no Ed25519 key in PKCS #8 and base64") from None
            held[await _key_id(key)] = key
        if not isinstance(getattr(env._env, "COLLECTOR_KEY", None), str):
            raise ConfigError("the secret COLLECTOR_KEY is not set")
        return cls(held)

    def holds(self, wanted: bytes) -> bool:
        return wanted in self._held

    async def sign(self, wanted: bytes, message: bytes) -> bytes:
        return py_bytes(await js.crypto.subtle.sign("Ed25519", self._held[wanted], to_js(message)))


class Web:
    """`Ask` and `Post` over the runtime's fetch, which decompresses by itself. Never raises."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._ingest_url = f"{config.core_url}/ingest"

    async def ask(self, base_url: str, request: Request) -> Answer | Failure:
        url = base_url.rstrip("/") + request.path
        if request.params:
            url += "?" + urlencode(request.params)
        headers = {"accept": "application/json", "user-agent": USER_AGENT}
        return await _exchange(url, {"headers": headers}, self._config.timeout_s)

    async def post(self, sealed: bytes) -> Answer | Failure:
        headers = {"content-type": "application/octet-stream", "user-agent": USER_AGENT}
        init = {"method": "POST", "body": to_js(sealed), "headers": headers}
        return await _exchange(self._ingest_url, init, self._config.post_timeout_s)


async def _exchange(url: str, init: dict[str, object], timeout_s: float) -> Answer | Failure:
    signal = js.AbortSignal.timeout(int(timeout_s * 1000))
    try:
        response = await js.fetch(
            url, js_object({**init, "redirect": "manual", "cache": "no-store", "signal": signal})
        )
        body = await _read_body(response)
    except JsException as error:
        return Failure(f"{error.name}: {error.message}"[:200])
    if isinstance(body, Failure):
        return body
    headers = {str(pair[0]).lower(): str(pair[1]) for pair in js.Array.from_(response.headers)}
    return Answer(int(response.status), body, time.time(), headers)


async def _read_body(response) -> bytes | Failure:
    """The whole body, chunk by chunk, so that one that is too long is never held."""
    if not response.body:
        return b""
    reader = response.body.getReader()
    chunks: list[bytes] = []
    size = 0
    while True:
        part = await reader.read()
        if part.done:
            return b"".join(chunks)
        size += part.value.byteLength
        if size > BODY_BYTES_MAX:
            await reader.cancel()
            return Failure(f"the answer is over {BODY_BYTES_MAX} bytes")
        chunks.append(py_bytes(part.value))


async def _private_key(text: str):
    """A key that can sign and be asked for its public half: `text` is a PEM file, or its base64 alone."""
    lines = [line.strip() for line in text.splitlines() if not line.startswith("-----")]
    raw = to_js(base64.b64decode("".join(lines), validate=True))
    return await js.crypto.subtle.importKey("pkcs8", raw, "Ed25519", True, to_js(["sign"]))


async def _key_id(key) -> bytes:
    public = (await js.crypto.subtle.exportKey("jwk", key)).x
    return key_id(base64.urlsafe_b64decode(public + "=="))


async def verify(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        key = await js.crypto.subtle.importKey("raw", to_js(public_key), "Ed25519", False, to_js(["verify"]))
        return bool(await js.crypto.subtle.verify("Ed25519", key, to_js(signature), to_js(message)))
    except JsException:
        return False
