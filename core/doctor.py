"""`chrono provider doctor`: could this provider do its work here and now, and what is missing?

Looks at keys, endpoints, contracts, balances, registration, clock, feeds and the value provider. Sends
nothing and changes nothing; never shows a key.
"""

from __future__ import annotations

import time
from typing import Final

import httpx
from prometheus_client import CollectorRegistry

from chrono.errors import ChronoError
from chrono.feeds import FEEDS
from core.chain.keys import LocalKey
from core.check import Finding, Outcome
from core.epoch_check import epoch_findings
from core.ftso.identities import VotingRoundId
from core.provide import Connected, Keys, connected, load_keys
from core.provider.reward_epoch import RewardEpoch
from core.settings import Settings

WEI: Final = 10**18
BALANCE_MIN_WEI: Final = WEI
SKEW_S_MAX: Final = 10.0
HISTORY_S: Final = 600


async def examine(settings: Settings) -> list[Finding]:
    """All findings, in a fixed order."""
    findings: list[Finding] = []
    keys: Keys | None = None
    try:
        keys = load_keys(settings)
        findings.append(_roles(keys))
    except ChronoError as error:
        findings.append(Finding("keys", "failed", str(error)))
    findings.append(await _values(settings))
    try:
        async with connected(settings, CollectorRegistry()) as chain_side:
            findings += await _on_chain(settings, chain_side, keys)
    except ChronoError as error:
        findings.append(Finding("chain", "failed", str(error)))
    return findings


def _roles(keys: Keys) -> Finding:
    addresses = {
        "submit": keys.submit.address,
        "submitSignatures": keys.submit_signatures.address,
        "signing policy": keys.signing_policy.address,
    }
    told = ", ".join(f"{role} {address.text}" for role, address in addresses.items())
    if len(set(addresses.values())) < len(addresses):
        return Finding("keys", "warning", f"two roles share a key, so they share nonces: {told}")
    return Finding("keys", "ok", told)


async def _on_chain(settings: Settings, chain_side: Connected, keys: Keys | None) -> list[Finding]:
    agree = await chain_side.endpoints.compare()
    count = len(settings.rpc_urls)
    if not agree:
        findings = [Finding("endpoints", "failed", "they show different blocks: remove the wrong one")]
    elif count < 2:
        findings = [Finding("endpoints", "warning", "one endpoint only: name a second in CHRONO_RPC_URLS")]
    else:
        findings = [Finding("endpoints", "ok", f"{count} show the same chain {chain_side.network.chain_id}")]
    findings.append(Finding("contracts", "ok", f"{len(chain_side.contracts)} found in FlareContractRegistry"))
    if keys is not None:
        for role, key in (
            ("submit", keys.submit),
            ("submitSignatures", keys.submit_signatures),
            ("signing policy", keys.signing_policy),
        ):
            findings.append(await _balance(chain_side, role, key))
    now = time.time()
    await chain_side.reader.catch_up(int(now) - HISTORY_S)
    findings.append(_clock(now, chain_side.reader.head_at))
    present = chain_side.network.round_at(now)
    epoch = chain_side.reader.reward_epoch_of(VotingRoundId(present))
    findings += _registration(epoch, keys, present)
    if keys is not None:
        findings += await epoch_findings(settings, chain_side, keys, None if epoch is None else epoch.id, now)
    return findings


async def _balance(chain_side: Connected, role: str, key: LocalKey) -> Finding:
    wei = int(await chain_side.endpoints.ask("eth_getBalance", key.address.text, "latest"), 16)
    told = f"{wei / WEI:.3f} on {key.address.text}"
    if wei == 0:
        return Finding(f"{role} balance", "failed", f"{told}: it cannot pay for a transaction")
    if wei < BALANCE_MIN_WEI:
        return Finding(f"{role} balance", "warning", f"{told}: send some more")
    return Finding(f"{role} balance", "ok", told)


def _clock(now: float, head_at: int) -> Finding:
    behind = now - head_at
    if abs(behind) > SKEW_S_MAX:
        detail = f"our clock is {behind:+.1f} s from the newest block: set it by NTP, or the node is behind"
        return Finding("clock", "failed", detail)
    return Finding("clock", "ok", f"{behind:+.1f} s from the newest block")


def _registration(epoch: RewardEpoch | None, keys: Keys | None, present: int) -> list[Finding]:
    if epoch is None:
        detail = (
            "the present signing policy was not found: CHRONO_HISTORY_FROM_BLOCK must lie before the offers"
            " and registrations of the present reward epoch"
        )
        return [Finding("reward epoch", "failed", detail)]
    found = f"reward epoch {epoch.id}, round {present}, {len(epoch.registrations)} voters"
    findings = [Finding("reward epoch", "ok", found)]
    if keys is not None:
        index = epoch.policy.index_of(keys.signing_policy.address)
        if index is None or not epoch.votes(keys.submit.address):
            detail = "this provider is not registered for the reward epoch: see docs/provider.md"
            findings.append(Finding("registration", "failed", detail))
        else:
            weight = epoch.policy.signers[index].weight
            told = f"voter {index}, weight {weight} of {epoch.policy.total_weight}"
            findings.append(Finding("registration", "ok" if weight else "warning", told))
    ours = {feed.id for feed in FEEDS}
    unknown = [feed.id.hex() for feed in epoch.feeds if feed.id not in ours]
    outcome: Outcome = "warning" if unknown else "ok"
    told = f"{len(epoch.feeds)} on chain, {len(unknown)} of them unknown here"
    return [*findings, Finding("feeds", outcome, told)]


async def _values(settings: Settings) -> Finding:
    url = settings.core_url or f"http://{settings.host}:{settings.port}"
    try:
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=5.0) as client:
            body = {"feeds": [{"category": 1, "name": feed.name} for feed in FEEDS]}
            answer = (await client.post("/feed-values/", json=body)).raise_for_status()
            priced = sum("value" in each for each in answer.json()["data"])
    except (httpx.HTTPError, ValueError, KeyError) as error:
        return Finding("values", "failed", f"no values from {url}: {type(error).__name__}; is the core up?")
    return Finding("values", "ok" if priced else "failed", f"{priced} of {len(FEEDS)} feeds have a value")
