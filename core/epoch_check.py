"""What `chrono provider doctor` finds of reward epochs: whose keys these are, what is due, missed and unpaid.

Asks the chain and sends nothing. What is due is judged by the very function that the provider works by.
"""

from __future__ import annotations

import httpx

from core.chain.system import EvmSystem
from core.check import Finding
from core.claim import WEI, Claiming
from core.ftso.duties import Duty, DutyAgenda, Owed, Standing, duties
from core.ftso.identities import Address, RewardEpochId
from core.provide import Connected, Keys, account_of, claim_recipient, system_of
from core.provider.reward_source import PublishedRewards
from core.settings import Settings

CLAIMS_LOOKED_AT = 3
"""The newest reward epochs with rewards; `chrono provider claim --dry-run` looks at all."""


async def epoch_findings(
    settings: Settings, chain_side: Connected, keys: Keys, present: RewardEpochId | None, at: float
) -> list[Finding]:
    """All findings, in a fixed order. Raises ChronoError if the chain cannot be asked."""
    system = system_of(settings, chain_side, account_of(settings, chain_side, keys.signing_policy))
    if "EntityManager" not in chain_side.contracts:
        return [Finding("identity", "failed", "FlareContractRegistry knows no EntityManager")]
    voter = await system.voter_of(keys.signing_policy.address)
    if voter is None:
        detail = "the signing policy address belongs to no voter: propose and confirm it on EntityManager"
        return [Finding("identity", "failed", detail)]
    findings = [await _identity(system, voter, keys)]
    if present is not None:
        standing = Standing(
            voter=voter,
            signer=keys.signing_policy.address,
            present=present,
            facts=chain_side.reader.facts(),
            does=system.duties() - {Duty.CLAIM},
        )
        findings += _registrations(standing, duties(standing, at))
    return [*findings, await _claims(settings, chain_side, system, voter)]


async def _identity(system: EvmSystem, voter: Address, keys: Keys) -> Finding:
    submit, submit_signatures, _ = await system.addresses_of(voter)
    wrong = [
        f"{role} is {known.text} there and {ours.text} here"
        for role, known, ours in (
            ("submit", submit, keys.submit.address),
            ("submitSignatures", submit_signatures, keys.submit_signatures.address),
        )
        if known != ours
    ]
    if wrong:
        return Finding("identity", "failed", f"EntityManager has other addresses: {'; '.join(wrong)}")
    return Finding("identity", "ok", f"all addresses are those of voter {voter.text}")


def _registrations(standing: Standing, agenda: DutyAgenda) -> list[Finding]:
    following = RewardEpochId(standing.present + 1)
    return [
        _preregistration(standing, agenda, Owed(Duty.PREREGISTER, following)),
        _registration(agenda, Owed(Duty.REGISTER, following)),
        _signing(standing, agenda),
    ]


def _preregistration(standing: Standing, agenda: DutyAgenda, owed: Owed) -> Finding:
    name, epoch = "pre-registration", f"reward epoch {owed.reward_epoch}"
    if owed in agenda.done:
        return Finding(name, "ok", f"done for {epoch}")
    if owed in agenda.due:
        return Finding(name, "warning", f"open for {epoch}: `chrono provider run` does it")
    if owed.duty not in standing.does:
        return Finding(name, "warning", "FlareContractRegistry knows no VoterPreRegistry")
    if standing.voter not in standing.of(standing.present).registered:
        return Finding(name, "warning", "only who is registered at present may pre-register")
    return Finding(name, "ok", f"not open for {epoch}")


def _registration(agenda: DutyAgenda, owed: Owed) -> Finding:
    name, epoch = "next registration", f"reward epoch {owed.reward_epoch}"
    if owed in agenda.done:
        return Finding(name, "ok", f"done for {epoch}")
    if owed in agenda.due:
        return Finding(name, "failed", f"open for {epoch} and not done: start `chrono provider run` now")
    if owed in agenda.missed:
        return Finding(name, "failed", f"missed for {epoch}: the next chance is one reward epoch later")
    return Finding(name, "ok", f"opens before {epoch}")


def _signing(standing: Standing, agenda: DutyAgenda) -> Finding:
    name = "signing"
    if not standing.votes_in(standing.present):
        return Finding(name, "warning", "our signature has no weight in the present reward epoch")
    signs = (Duty.SIGN_POLICY, Duty.SIGN_UPTIME, Duty.SIGN_REWARDS)
    owing = [f"{each.duty} of reward epoch {each.reward_epoch}" for each in agenda.due if each.duty in signs]
    if owing:
        return Finding(name, "warning", f"due now: {', '.join(owing)}; `chrono provider run` does it")
    return Finding(name, "ok", "our signature has weight, and nothing is to be signed now")


async def _claims(settings: Settings, chain_side: Connected, system: EvmSystem, voter: Address) -> Finding:
    if settings.rewards_url is None or settings.claim_key_file is None:
        detail = "CHRONO_REWARDS_URL and CHRONO_CLAIM_KEY_FILE are not both set: nothing is claimed"
        return Finding("claims", "warning", detail)
    async with httpx.AsyncClient(trust_env=False) as web:
        rewards = PublishedRewards(settings.rewards_url, web)
        recipient = claim_recipient(settings) or voter
        claiming = Claiming(chain_side.network, system, rewards, voter, recipient)
        found = [await claiming.look(number) for number in (await claiming.epochs())[-CLAIMS_LOOKED_AT:]]
    problems = [f"reward epoch {each.reward_epoch}: {each.problem}" for each in found if each.problem]
    if problems:
        return Finding("claims", "failed", "; ".join(problems))
    owed = sum(each.amount_wei for each in found)
    if owed:
        return Finding("claims", "warning", f"{owed / WEI:,.3f} unclaimed: `chrono provider claim`")
    return Finding("claims", "ok", f"nothing unclaimed in the last {len(found)} reward epochs with rewards")
