"""What a reward epoch of the local chain pays: shared out by weight, whatever was revealed.

Stands in for the reward calculation, which Flare publishes. A fifth is each provider's fee, the rest is its
delegators'.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from core.chain.local.deploy import LocalVoter
from core.ftso.claims import ClaimType, RewardClaim
from core.ftso.epochs import Network
from core.ftso.identities import RewardEpochId
from core.ftso.reward_data import RewardData

POT_WEI: Final = 1_000 * 10**18
FEE_SHARE: Final = 5


def local_rewards(number: RewardEpochId, voters: Sequence[LocalVoter], network: Network) -> RewardData:
    """The reward epoch's claims, as they would be published."""
    total = sum(voter.weight for voter in voters)
    claims = []
    for voter in voters:
        share = POT_WEI * voter.weight // total
        fee = share // FEE_SHARE
        claims.append(RewardClaim(number, bytes(voter.identity.address), fee, ClaimType.FEE))
        claims.append(RewardClaim(number, bytes(voter.delegation), share - fee, ClaimType.WNAT))
    return RewardData.of(number, network.name, claims)
