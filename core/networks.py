"""The network that is configured, and what a provider on it is called in the records."""

from __future__ import annotations

from core.ftso.epochs import NETWORKS, Network, local
from core.ftso.identities import Address
from core.settings import Settings

LOCAL_REWARD_EPOCH_ROUNDS = 30


def network_of(settings: Settings) -> Network:
    """The network's figures."""
    if settings.network != "local":
        return NETWORKS[settings.network]
    return local(
        settings.local_first_round_at,
        voting_epoch_s=settings.local_epoch_s,
        reward_epoch_rounds=LOCAL_REWARD_EPOCH_ROUNDS,
    )


def provider_name(network: Network, submit_address: Address, *, dry_run: bool = False) -> str:
    """What the ledger knows the provider by. A dry run never shares a record with the real one."""
    return f"{network.chain_id}:{submit_address.text}" + (":dry-run" if dry_run else "")
