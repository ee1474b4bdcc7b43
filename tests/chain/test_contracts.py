"""The local chain's contracts: compiled from the source beside them, and as strict as the real ones."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

import pytest

import core.chain.local
from core.chain.contracts import EPOCH_NAMES, NAMES, contract_addresses
from core.chain.errors import MissingContract
from core.chain.local.deploy import LocalVoter, OperationFailed
from core.ftso.identities import RewardEpochId
from tests.chain.stage import open_stage

FOLDER = Path(core.chain.local.__path__[0])


def test_the_compiled_contracts_are_those_of_the_source() -> None:
    made = json.loads((FOLDER / "contracts.json").read_text("utf-8"))
    source = b"".join(path.read_bytes() for path in sorted(FOLDER.glob("*.sol")))
    assert made["source_sha256"] == hashlib.sha256(source).hexdigest()


def test_compiling_again_gives_the_same_bytes() -> None:
    folder = os.environ.get("CHRONO_SOLC_DIR")
    if not folder:
        pytest.skip("CHRONO_SOLC_DIR names no folder with npm's solc 0.8.28")
    again = subprocess.run(
        ["node", str(FOLDER / "compile.cjs")], cwd=folder, capture_output=True, check=True, text=True
    )
    assert json.loads(again.stdout) == json.loads((FOLDER / "contracts.json").read_text("utf-8"))


async def test_a_registration_with_another_signature_is_refused() -> None:
    async with open_stage(count=1) as stage:
        stranger, epoch = LocalVoter.of("stranger", 5), RewardEpochId(2)
        await stage.contracts.prepare_reward_epoch(epoch, stage.feeds)
        with pytest.raises(OperationFailed):
            await stage.contracts.register(epoch, stranger, stage.network)


async def test_a_contract_that_the_registry_does_not_know_is_told_by_name() -> None:
    async with open_stage(count=1) as stage:
        assert len(await contract_addresses(stage.endpoints)) == len(NAMES) + len(EPOCH_NAMES)
        with pytest.raises(MissingContract, match="Nonsense"):
            await contract_addresses(stage.endpoints, names=("Relay", "Nonsense"))
