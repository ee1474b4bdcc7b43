"""What the core and the replicas of the gateway are both built of."""

from __future__ import annotations

import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from prometheus_client import CollectorRegistry, Info

import core
from chrono.errors import ChronoError
from core.api.gate import Gateway
from core.bus import InProcessBus, RedisBus
from core.gateway.callers import Places
from core.gateway.entrance import Entrance
from core.gateway.limiter import LocalLimiter
from core.gateway.meter import Meter
from core.networks import network_of
from core.settings import Settings
from core.shared_limits import SharedLimiter
from core.signed.key import load_or_create
from core.signed.passes import PassSigner
from core.storage.gateway import PostgresAccounts
from core.storage.pool import connect_pool
from core.upkeep import GatewayMetrics, Upkeep


class NotConfigured(ChronoError):
    """A setting that this process needs is missing; the text names it."""


def database_of(settings: Settings) -> str:
    """The database's URL; raises NotConfigured."""
    if settings.database_url is None:
        raise NotConfigured("DATABASE_URL is not set; `chrono up` brings a database of its own")
    return settings.database_url.get_secret_value()


@asynccontextmanager
async def pool_of(dsn: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to the database, ended without waiting for what is under way."""
    pool = await connect_pool(dsn)
    try:
        yield pool
    finally:
        pool.terminate()


def about(settings: Settings, registry: CollectorRegistry) -> dict[str, str]:
    """What runs here, for `/health`; the same as a metric."""
    told = {"market": settings.market, "network": settings.network, "version": core.VERSION}
    Info("chrono", "What runs here", registry=registry).info(told)
    return told


def bus_of(settings: Settings, registry: CollectorRegistry) -> InProcessBus | RedisBus:
    """The bus: in the process, or through Redis where there is one."""
    if settings.redis_url is None:
        return InProcessBus(registry)
    return RedisBus(settings.redis_url.get_secret_value(), registry)


def gateway_of(settings: Settings, registry: CollectorRegistry, pool: asyncpg.Pool) -> tuple[Gateway, Upkeep]:
    """Keys and limits, and their upkeep; limits are shared where there is a Redis."""
    redis_url, token = settings.redis_url, settings.admin_token
    metrics = GatewayMetrics(registry)
    entrance = Entrance(
        limiter=LocalLimiter(time.time)
        if redis_url is None
        else SharedLimiter(redis_url.get_secret_value(), registry, time.time),
        meter=Meter(lambda: secrets.token_bytes(16)),
        clock=time.time,
        anonymous=settings.anonymous,
        admin_token=None if token is None else token.get_secret_value(),
        tell=metrics.tell,
    )
    accounts, places = PostgresAccounts(pool), Places(settings.allowed_networks)
    gateway = Gateway(entrance, accounts, places, secrets.token_bytes)
    return gateway, Upkeep(entrance, accounts, time.time, metrics)


def signer_of(settings: Settings) -> PassSigner:
    """Who signs public prices."""
    return PassSigner(load_or_create(settings.signing_key_file), network_of(settings).chain_id)
