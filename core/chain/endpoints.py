"""Several RPC endpoints as one: the best one is read, every one is written to.

A read goes to the first endpoint that is not resting; one that fails or hangs rests, for longer each time,
and the next is asked. A transaction goes to all at once: it is enough that one takes it. Knows nothing of
contracts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge
from web3 import AsyncHTTPProvider
from web3.types import RPCEndpoint

from core.chain.errors import RpcRefusal
from core.provider.ports import ChainUnavailable

TIMEOUT_S: Final = 3.0
REST_S: Final = (0.5, 1.0, 2.0, 5.0, 15.0)
"""How long an endpoint rests after so many failures in a row; it is asked all the same if all rest."""

_BROKEN: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError)

log = structlog.get_logger()


class EndpointMetrics:
    """Failures by endpoint, and whether they show the same chain."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.failures = Counter(
            "chrono_rpc_failures", "Requests that got no answer", ["endpoint"], registry=registry
        )
        self.disagreement = Gauge(
            "chrono_rpc_disagreement", "1 while endpoints show different blocks", registry=registry
        )


@dataclass(slots=True)
class _Endpoint:
    name: str
    provider: AsyncHTTPProvider
    failures: int = 0
    rests_until: float = 0.0


class Endpoints:
    """Asks and tells. `close` ends the connections; `monotonic` gives seconds that never go back."""

    def __init__(
        self,
        urls: Sequence[str],
        metrics: EndpointMetrics,
        monotonic: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._endpoints = [
            _Endpoint(
                f"{index}",
                AsyncHTTPProvider(
                    url, request_kwargs={"timeout": timeout}, exception_retry_configuration=None
                ),
            )
            for index, url in enumerate(urls)
        ]
        self._metrics, self._monotonic, self._timeout_s = metrics, monotonic, timeout_s

    async def close(self) -> None:
        """End every connection."""
        for endpoint in self._endpoints:
            await endpoint.provider.disconnect()

    async def ask(self, method: str, *params: object) -> Any:
        """The result from the first endpoint that answers. Raises ChainUnavailable, or RpcRefusal."""
        problems = []
        for endpoint in self._in_order():
            try:
                return await self._request(endpoint, method, params)
            except _BROKEN as error:
                problems.append(f"endpoint {endpoint.name}: {type(error).__name__}")
        raise ChainUnavailable(f"{method}: {', '.join(problems) or 'there is no endpoint'}")

    async def tell(self, method: str, *params: object) -> Any:
        """Ask all endpoints at once; the first good result, else the first refusal, else ChainUnavailable."""
        requests = [self._request(endpoint, method, params) for endpoint in self._endpoints]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        for answer in answers:
            if not isinstance(answer, BaseException):
                return answer
        for answer in answers:
            if isinstance(answer, RpcRefusal) or not isinstance(answer, _BROKEN):
                raise answer
        raise ChainUnavailable(f"{method}: no endpoint of {len(answers)} answered")

    async def compare(self) -> bool:
        """Whether all endpoints that answer have the same block at the lowest of their heads."""
        heads = await self._from_all("eth_blockNumber")
        if len(heads) < 2:
            return True
        lowest = hex(min(int(head, 16) for head in heads))
        blocks = await self._from_all("eth_getBlockByNumber", lowest, False)
        agree = len({block["hash"] for block in blocks if block}) <= 1
        self._metrics.disagreement.set(not agree)
        if not agree:
            log.error("endpoints_disagree", block=int(lowest, 16))
        return agree

    async def _from_all(self, method: str, *params: object) -> list[Any]:
        requests = [self._request(endpoint, method, params) for endpoint in self._endpoints]
        answers = await asyncio.gather(*requests, return_exceptions=True)
        return [answer for answer in answers if not isinstance(answer, BaseException)]

    def _in_order(self) -> list[_Endpoint]:
        now = self._monotonic()
        return sorted(self._endpoints, key=lambda each: each.rests_until if each.rests_until > now else 0.0)

    async def _request(self, endpoint: _Endpoint, method: str, params: Sequence[object]) -> Any:
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await endpoint.provider.make_request(RPCEndpoint(method), list(params))
        except _BROKEN:
            endpoint.rests_until = self._monotonic() + REST_S[min(endpoint.failures, len(REST_S) - 1)]
            endpoint.failures += 1
            self._metrics.failures.labels(endpoint.name).inc()
            raise
        endpoint.failures, endpoint.rests_until = 0, 0.0
        if "error" in answer:
            error: Any = answer["error"]
            if isinstance(error, str):
                raise RpcRefusal(method, 0, error)
            raise RpcRefusal(method, int(error.get("code", 0)), str(error.get("message", "")))
        return answer.get("result")
