"""`/admin`: keys made, rotated and revoked, everybody's usage, blocks lifted. The scope `admin` opens it.

What is changed here counts in this process at once, in the other replicas within two seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Path, Query, Response

from core.api.gate import Gateway
from core.api.problems import documented
from core.api.queries import only
from core.api.schemas.gateway import (
    BlockList,
    KeyDocument,
    KeyList,
    KeyOrder,
    KeyRotation,
    NewKeyDocument,
    UsageList,
)
from core.api.usage import FirstDay, Form, LastDay, days_of, told
from core.gateway.accounts import Order
from core.gateway.keys import ENTROPY_BYTES, ApiKey, make_key
from core.gateway.tiers import Tier

DAY_S: Final = 86_400.0
Prefix = Annotated[str, Path(pattern="^[0-9a-z]{12}$", description="The key's visible part")]
AccountName = Annotated[str | None, Query(max_length=64, description="One account; all without it")]
Address = Annotated[str, Query(max_length=64, description="As it is listed", examples=["203.0.113.7"])]


class AdminRoutes:
    def __init__(self, gateway: Gateway, clock: Callable[[], float]) -> None:
        self._gateway, self._accounts, self._clock = gateway, gateway.accounts, clock

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/admin", tags=["administration"])
        usual = documented(400, 401, 403, 404, 413, 503)
        for path, method, route, model, status, parameters, summary in (
            ("/keys", "GET", self.keys, KeyList, 200, ("account",), "All keys"),
            ("/keys", "POST", self.issue, NewKeyDocument, 201, (), "A new key, shown once"),
            ("/keys/{prefix}/rotate", "POST", self.rotate, NewKeyDocument, 201, (), "A key in its place"),
            ("/keys/{prefix}", "DELETE", self.revoke, KeyDocument, 200, (), "End a key now"),
            ("/usage", "GET", self.usage, UsageList, 200, ("from", "to", "format"), "Everybody's usage"),
            ("/blocks", "GET", self.blocks, BlockList, 200, (), "Addresses that are blocked now"),
            ("/blocks", "DELETE", self.unblock, BlockList, 200, ("address",), "Lift a block"),
        ):
            router.add_api_route(
                path,
                route,
                methods=[method],
                status_code=status,
                summary=summary,
                dependencies=[only(*parameters)],
                responses={status: {"model": model}, **usual},
                response_class=Response,
            )
        return router

    async def keys(self, account: AccountName = None) -> Response:
        found = await self._accounts.keys(account)
        return _json({"keys": [_key(key) for key in found]})

    async def issue(self, order: KeyOrder) -> Response:
        at = self._clock()
        new = make_key(self._gateway.entropy(ENTROPY_BYTES))
        ends = None if order.expires_in_days is None else at + order.expires_in_days * DAY_S
        wanted = Order(order.account, Tier(order.tier), order.name, frozenset(order.scopes), ends)
        made = await self._accounts.issue(wanted, new, at)
        await self._learn(made.account)
        return _json({**_key(made), "key": new.text}, 201)

    async def rotate(self, prefix: Prefix, rotation: KeyRotation) -> Response:
        new = make_key(self._gateway.entropy(ENTROPY_BYTES))
        made = await self._accounts.rotate(prefix, new, self._clock(), rotation.overlap_s)
        await self._learn(made.account)
        return _json({**_key(made), "key": new.text}, 201)

    async def revoke(self, prefix: Prefix) -> Response:
        revoked = await self._accounts.revoke(prefix, self._clock())
        await self._learn(revoked.account)
        return _json(_key(revoked))

    async def usage(self, from_: FirstDay = None, to: LastDay = None, format: Form = "json") -> Response:
        first, last = days_of(from_, to, self._clock())
        return told(await self._accounts.usage(first, last), first, last, format)

    async def blocks(self) -> Response:
        found = await self._accounts.blocks(self._clock())
        listed = [
            {"address": each.address, "reason": each.reason, "since": each.since, "until": each.until}
            for each in found
        ]
        return _json({"blocks": listed})

    async def unblock(self, address: Address) -> Response:
        await self._accounts.unblock(address)
        self._gateway.entrance.watch.lift(address)
        return await self.blocks()

    async def _learn(self, account: str) -> None:
        """What was changed of one key may concern all of its account."""
        self._gateway.entrance.learn(await self._accounts.keys(account), whole=False)


def _key(key: ApiKey) -> dict[str, object]:
    return {
        "prefix": key.prefix,
        "account": key.account,
        "tier": key.tier.value,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
    }


def _json(told: object, status: int = 200) -> Response:
    return Response(orjson.dumps(told), status, media_type="application/json")
