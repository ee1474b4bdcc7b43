"""The composition root of the provider: keys, endpoints, contracts, ledger and engine, put together.

Runs in a process of its own, beside the core whose values it asks for over HTTP; the two share the database.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx
import structlog
from prometheus_client import CollectorRegistry, start_http_server

from chrono.errors import ChronoError
from core.api.protocol_provider import create_protocol_api
from core.api.server import serve
from core.chain.account import Account, FeePolicy
from core.chain.chain import Accounts, EvmChain
from core.chain.contracts import contract_addresses
from core.chain.endpoints import EndpointMetrics, Endpoints
from core.chain.errors import RpcRefusal
from core.chain.keys import LocalKey, TransactionSigner, load_key
from core.chain.reader import Reader
from core.chain.system import EvmSystem
from core.ftso.duties import Duty
from core.ftso.epochs import Network
from core.ftso.identities import Address
from core.ftso.timings import Timings
from core.networks import network_of, provider_name
from core.provider.answers import ProtocolAnswers
from core.provider.dry import DryChain, DrySystem
from core.provider.engine import Provider
from core.provider.epoch_duties import EpochDuties
from core.provider.loop import STANDBY_S, live
from core.provider.metrics import ProviderMetrics
from core.provider.ports import ChainUnavailable, Ledger
from core.provider.reward_source import PublishedRewards
from core.provider.values import HttpFeedValues
from core.settings import Settings
from core.storage.migrate import migrate
from core.storage.pool import connector, unavailable_when_down
from core.storage.provider import PostgresLedgers

GWEI = 10**9
COMMIT_MARGIN = 3 / 90
"""A commit is not begun in the last share of its voting epoch: it would not get into a block in time."""

_PAID_DUTIES: Final = frozenset({Duty.SIGN_REWARDS, Duty.CLAIM})
"""What needs the published rewards."""

log = structlog.get_logger()


class ProviderNotConfigured(ChronoError):
    """A setting that the provider needs is missing; the text names it."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of a provider's roles."""

    submit: LocalKey
    submit_signatures: LocalKey
    signing_policy: LocalKey


@dataclass(frozen=True, slots=True)
class Connected:
    """A chain that answers, and what is known of it."""

    network: Network
    endpoints: Endpoints
    contracts: dict[str, Address]
    reader: Reader


def load_keys(settings: Settings) -> Keys:
    """The keys of all roles; raises ProviderNotConfigured or BadKey."""
    found = []
    for role in ("submit", "submit_signatures", "signing_policy"):
        path = getattr(settings, f"{role}_key_file")
        if path is None:
            raise ProviderNotConfigured(f"CHRONO_{role.upper()}_KEY_FILE names no file")
        found.append(load_key(path, settings.key_password_file))
    return Keys(*found)


@asynccontextmanager
async def connected(settings: Settings, registry: CollectorRegistry) -> AsyncIterator[Connected]:
    """A chain of the right id with its contracts. Raises ProviderNotConfigured, ChainUnavailable, ..."""
    if not settings.rpc_urls:
        raise ProviderNotConfigured("CHRONO_RPC_URLS names no endpoint")
    network = network_of(settings)
    endpoints = Endpoints(settings.rpc_urls, EndpointMetrics(registry), time.monotonic)
    try:
        found = int(await endpoints.ask("eth_chainId"), 16)
        if found != network.chain_id:
            raise ProviderNotConfigured(
                f"CHRONO_RPC_URLS leads to chain {found}; {network.name} is chain {network.chain_id}"
            )
        contracts = dict(await contract_addresses(endpoints))
        reader = Reader(
            endpoints,
            contracts,
            history_from=settings.history_from_block,
            log_blocks=settings.log_blocks,
        )
        yield Connected(network, endpoints, contracts, reader)
    finally:
        await endpoints.close()


async def run_provider(settings: Settings, stop: asyncio.Event, *, dry_run: bool) -> None:
    """Do rounds and the duties of reward epochs until `stop` is set; with `dry_run`, send nothing."""
    keys, registry = load_keys(settings), CollectorRegistry()
    ledgers, metrics = PostgresLedgers(connector(await _database(settings))), ProviderMetrics(registry)
    if settings.provider_metrics_port:
        start_http_server(settings.provider_metrics_port, settings.host, registry)
    async with (
        _reachable(settings, registry, stop) as chain_side,
        _values_client(settings) as client,
        httpx.AsyncClient(trust_env=False) as web,
    ):
        if chain_side is None:
            return
        accounts = _accounts(settings, chain_side, keys)
        chain = EvmChain(chain_side.endpoints, chain_side.reader, accounts, chain_side.contracts)
        system = system_of(settings, chain_side, accounts.finalizer)
        values = HttpFeedValues(client)

        def duties(ledger: Ledger) -> EpochDuties:
            place = settings.rewards_url
            return EpochDuties(
                network=chain_side.network,
                signer=keys.signing_policy,
                system=DrySystem(system) if dry_run else system,
                ledger=ledger,
                metrics=metrics,
                rewards=None if place is None else PublishedRewards(place, web),
                recipient=claim_recipient(settings),
                does=system.duties() - (_PAID_DUTIES if place is None else set()),
            )

        def make(ledger: Ledger) -> Provider:
            return Provider(
                network=chain_side.network,
                timings=careful_timings(chain_side.network),
                submit_address=keys.submit.address,
                signer=keys.signing_policy,
                chain=DryChain(chain) if dry_run else chain,
                ledger=ledger,
                values=values,
                entropy=secrets.token_bytes,
                metrics=metrics,
            )

        await live(
            ledgers=ledgers,
            provider=provider_name(chain_side.network, keys.submit.address, dry_run=dry_run),
            holder=_holder(),
            make=make,
            duties=duties,
            clock=time.time,
            metrics=metrics,
            stop=stop,
        )


async def serve_protocol(settings: Settings, stop: asyncio.Event) -> None:
    """Answer Flare's system client until `stop` is set; it sends, with keys of its own."""
    keys, registry = load_keys(settings), CollectorRegistry()
    ledgers = PostgresLedgers(connector(await _database(settings)))
    async with _reachable(settings, registry, stop) as chain_side, _values_client(settings) as client:
        if chain_side is None:
            return
        name = provider_name(chain_side.network, keys.submit.address)
        async with ledgers.lease(name, _holder()) as ledger:
            answers = ProtocolAnswers(
                network=chain_side.network,
                submit_address=keys.submit.address,
                chain=EvmChain(
                    chain_side.endpoints,
                    chain_side.reader,
                    _accounts(settings, chain_side, keys),
                    chain_side.contracts,
                ),
                ledger=ledger,
                values=HttpFeedValues(client),
                entropy=secrets.token_bytes,
            )
            api = create_protocol_api(answers, time.time)
            await serve(api, settings.host, settings.protocol_port, stop)


def careful_timings(network: Network) -> Timings:
    """The defaults, but a commit that could come too late is not begun."""
    return Timings.of(network, commit_until=network.voting_epoch_s * (1 - COMMIT_MARGIN))


@asynccontextmanager
async def _reachable(
    settings: Settings, registry: CollectorRegistry, stop: asyncio.Event
) -> AsyncIterator[Connected | None]:
    """The chain, as soon as it answers; None if told to stop before."""
    while not stop.is_set():
        context = connected(settings, registry)
        try:
            chain_side = await context.__aenter__()
        except (ChainUnavailable, RpcRefusal) as error:
            log.warning("chain_unavailable", detail=str(error))
            await asyncio.sleep(STANDBY_S)
            continue
        try:
            yield chain_side
        finally:
            await context.__aexit__(None, None, None)
        return
    yield None


def _accounts(settings: Settings, chain_side: Connected, keys: Keys) -> Accounts:
    return Accounts(
        account_of(settings, chain_side, keys.submit),
        account_of(settings, chain_side, keys.submit_signatures),
        account_of(settings, chain_side, keys.signing_policy),
    )


def account_of(settings: Settings, chain_side: Connected, key: TransactionSigner) -> Account:
    """The account of a key, with the fees that are configured."""
    fees = FeePolicy(
        tip_wei=settings.tip_gwei * GWEI,
        ceiling_wei=settings.fee_ceiling_gwei * GWEI,
        patience_s=max(2.0, chain_side.network.voting_epoch_s * 4 / 90),
    )
    return Account(key, chain_side.endpoints, chain_side.network.chain_id, fees)


def system_of(settings: Settings, chain_side: Connected, account: Account) -> EvmSystem:
    """The contracts of reward epochs; `account` pays for all but claims. Raises BadKey."""
    path = settings.claim_key_file
    claims = None
    if path is not None:
        claims = account_of(settings, chain_side, load_key(path, settings.key_password_file))
    return EvmSystem(chain_side.endpoints, chain_side.reader, chain_side.contracts, account, claims)


def claim_recipient(settings: Settings) -> Address | None:
    """Whom rewards are paid to, if somebody else than the identity."""
    return None if settings.claim_recipient is None else Address.of(settings.claim_recipient)


async def _database(settings: Settings) -> str:
    """The database's URL, once its layout is this release's."""
    if settings.database_url is None:
        raise ProviderNotConfigured("DATABASE_URL is not set: the provider keeps its word there")
    dsn = settings.database_url.get_secret_value()
    with unavailable_when_down():
        connection = await connector(dsn)()
        try:
            await migrate(connection)
        finally:
            await connection.close()
    return dsn


@asynccontextmanager
async def _values_client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    url = settings.core_url or f"http://{settings.host}:{settings.port}"
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        yield client


def _holder() -> str:
    return f"{socket.gethostname()} {os.getpid()}"
