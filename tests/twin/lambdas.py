"""The Lambda's handler as AWS calls it: loaded from its file, asked with events, on a thread with a loop."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FILE = Path(__file__).parents[2] / "infra" / "lambda" / "handler.py"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the handler gave back to AWS."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def gateway_event(path: str, query: str = "", host: str = "id.execute-api.example") -> dict[str, Any]:
    """An HTTP API's event, payload format 2.0. A function URL's differs in its host."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"host": host, "accept": "application/json", "x-forwarded-proto": "https"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "id",
            "domainName": host,
            "domainPrefix": host.partition(".")[0],
            "http": {
                "method": "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "test",
            },
            "requestId": "r",
            "routeKey": "$default",
            "stage": "$default",
            "time": "22/Nov/2026:00:00:00 +0000",
            "timeEpoch": 1_795_305_600_000,
        },
        "isBase64Encoded": False,
    }


def url_event(path: str, query: str = "") -> dict[str, Any]:
    """A function URL's event."""
    return gateway_event(path, query, "id.lambda-url.eu-central-1.on.aws")


def balancer_event(path: str, query: str = "") -> dict[str, Any]:
    """An application load balancer's event; it gives parameters as they stand in the address."""
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/chrono/1"
    parameters = dict(pair.split("=", 1) for pair in query.split("&") if pair)
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": "GET",
        "path": path,
        "queryStringParameters": parameters,
        "headers": {
            "host": "balancer.example",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "body": "",
        "isBase64Encoded": False,
    }


class Function:
    """One warm instance: its events are handled one after the other, on one thread."""

    def __init__(self, thread: ThreadPoolExecutor, handler: Any) -> None:
        self._thread, self._handler = thread, handler

    async def asked(self, path: str, query: str = "") -> Answer:
        return await self.invoked(gateway_event(path, query))

    async def invoked(self, event: dict[str, Any]) -> Answer:
        loop = asyncio.get_running_loop()
        given = await loop.run_in_executor(self._thread, self._handler, event, None)
        coded = given["body"].encode()
        body = base64.b64decode(coded) if given.get("isBase64Encoded") else coded
        headers = {name.lower(): value for name, value in given.get("headers", {}).items()}
        return Answer(given["statusCode"], headers, body)


@contextmanager
def function(**environment: str) -> Iterator[Function]:
    """An instance with an environment of its own."""
    with ThreadPoolExecutor(1, "lambda") as thread:
        loop = asyncio.new_event_loop()
        thread.submit(asyncio.set_event_loop, loop).result()
        try:
            yield Function(thread, _load(environment))
        finally:
            loop.close()


def _load(environment: Mapping[str, str]) -> Any:
    """The handler of a module that is loaded anew, as at a cold start."""
    spec = importlib.util.spec_from_file_location("chrono_lambda_handler", FILE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        spec.loader.exec_module(module)
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
    return module.handler
