"""`chrono up --chain local` as an operator runs it: from an estimate to a finalized value on chain."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.chain.keys import LocalKey
from core.ftso.hashing import keccak
from tests.chain.stage import anvil
from tests.fakes.signer import FakeSigner
from tests.processes import chrono_up, run_chrono


@pytest.mark.timeout(300)
async def test_rounds_pass_from_estimate_to_finalized_value(server_folder: Path) -> None:
    settings = {"CHRONO_ANVIL": str(anvil()), "CHRONO_LOCAL_EPOCH_S": "8"}
    arguments = ("up", "--market", "simulated", "--chain", "local")
    async with chrono_up(server_folder, *arguments, **settings) as up, asyncio.timeout(150):
        async with httpx.AsyncClient(base_url=up.url, trust_env=False) as client:

            async def finalized() -> list[dict[str, Any]]:
                answer = await client.get("/v1/rounds")
                return [each for each in answer.json().get("rounds", []) if each["finalized"]]

            while not (done := await finalized()):
                await asyncio.sleep(0.3)
            one = (await client.get(f"/v1/rounds/{done[0]['voting_round_id']}")).json()
        assert one["merkle_root"].startswith("0x")
        assert len(one["feeds"]) == 63
        assert max(feed["providers"] for feed in one["feeds"]) >= 3
        assert await up.interrupt() == 0


async def test_doctor_says_what_is_missing(tmp_path: Path) -> None:
    code, printed = await run_chrono(tmp_path, "provider", "doctor")
    assert code == 1
    assert "CHRONO_SUBMIT_KEY_FILE names no file" in printed
    assert "CHRONO_RPC_URLS names no endpoint" in printed


async def test_a_provider_without_keys_does_not_start(tmp_path: Path) -> None:
    code, printed = await run_chrono(tmp_path, "provider", "run")
    assert (code, "CHRONO_SUBMIT_KEY_FILE" in printed) == (1, True)


async def test_doctor_tries_every_remote_signer(tmp_path: Path) -> None:
    secrets = [keccak(name) for name in (b"submit", b"signatures", b"policy")]
    signer = FakeSigner(secrets[:2])
    async with signer.running() as url:
        urls = [f"{url}/{LocalKey(secret).address.text}" for secret in secrets]
        roles = ("SUBMIT", "SUBMIT_SIGNATURES", "SIGNING_POLICY")
        named = {f"CHRONO_{role}_KEY_URL": each for role, each in zip(roles, urls, strict=True)}
        code, printed = await run_chrono(tmp_path, "provider", "doctor", **named)
    assert code == 1
    assert printed.count("it is up, has the key, and signs with it") == 2
    assert f"no key of {LocalKey(secrets[2]).address.text} among its 2" in " ".join(printed.split())


async def test_a_role_with_two_keys_does_not_start(tmp_path: Path) -> None:
    two = {
        "CHRONO_SUBMIT_KEY_FILE": "submit.key",
        "CHRONO_SUBMIT_KEY_URL": "http://127.0.0.1:9/0x" + "1" * 40,
    }
    code, printed = await run_chrono(tmp_path, "provider", "run", **two)
    assert (code, "both name a key" in printed) == (1, True)
