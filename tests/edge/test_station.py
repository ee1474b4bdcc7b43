"""The Worker's own decisions, tried on CPython: configuration, assignment, hosts and admin requests."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chrono.feeds import VENUES
from chrono.http import Answer, Failure
from core.keys import verify
from infra.edge.prepare import ROOT
from station.admin import AdminRefused, Command, read_command
from station.assignment import assign
from station.config import SLOTS, Config, ConfigError, Group, read_config
from station.hosts import Hosts, is_unreachable
from tests.edge.world import Key

AT = 1_790_000_000.0
WRANGLER = tomllib.loads((ROOT / "wrangler.toml").read_text("utf-8"))
ASIA, AMERICA, EUROPE = GROUPS = (
    Group("asia", ("binance", "okx"), "apac", 0),
    Group("america", ("kraken",), "enam", 1),
    Group("europe", (), "weur", 2),
)


def config(**replaced: object) -> Config:
    return read_config({**WRANGLER["vars"], **replaced})


def test_wrangler_toml_is_a_configuration_that_asks_every_venue_once() -> None:
    asked = [venue for group in config().groups for venue in group.venues]
    assert sorted(asked) == sorted(VENUES)
    assert len({group.slot for group in config().groups}) == len(config().groups) <= SLOTS


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CORE_URL", "nexus"),
        ("INTERVAL_S", 0.1),
        ("INTERVAL_S", True),
        ("STORED_BATCHES_MAX", "many"),
        ("ADMIN_KEYS", ["c2hvcnQ="]),
        ("ADMIN_KEYS", ["ключ"]),
        ("GROUPS", {}),
        ("GROUPS", {"asia": {"venues": ["mtgox"], "hint": "apac"}}),
        ("GROUPS", {"asia": {"venues": ["okx"], "hint": "mars"}}),
        ("GROUPS", {name: {"venues": ["okx"], "hint": "apac"} for name in ("asia", "africa")}),
        ("HOSTS", {"okx": "https://www.okx.com"}),
        ("HOSTS", {"okx": ["ftp://www.okx.com"]}),
    ],
)
def test_a_wrong_variable_is_refused_by_its_name(name: str, value: object) -> None:
    with pytest.raises(ConfigError, match=name):
        config(**{name: value})


def test_a_venue_stays_with_its_own_group_while_it_answers() -> None:
    assert assign(GROUPS, {}, AT) == {"asia": ("binance", "okx"), "america": ("kraken",), "europe": ()}


def test_a_venue_that_refuses_its_groups_country_goes_to_another_until_then() -> None:
    refusals = {"america": {"kraken": AT + 60}, "asia": {"kraken": AT + 60}}
    assert assign(GROUPS, refusals, AT)["europe"] == ("kraken",)
    assert assign(GROUPS, refusals, AT + 60)["america"] == ("kraken",)


def test_a_venue_that_refuses_everyone_waits_with_its_own_group() -> None:
    refusals = {group.name: {"okx": AT + 60} for group in GROUPS}
    assert "okx" in assign(GROUPS, refusals, AT)["asia"]


@given(
    st.dictionaries(
        st.sampled_from([group.name for group in GROUPS]),
        st.dictionaries(st.sampled_from(VENUES), st.floats(AT - 100, AT + 100)),
    )
)
def test_every_venue_is_asked_by_exactly_one_group(refusals: Mapping[str, Mapping[str, float]]) -> None:
    asked = [venue for venues in assign(GROUPS, refusals, AT).values() for venue in venues]
    assert sorted(asked) == ["binance", "kraken", "okx"]


def answer(status: int) -> Answer:
    return Answer(status, b"", AT)


def test_another_host_is_tried_for_silence_errors_and_countries_but_never_for_limits() -> None:
    assert is_unreachable(Failure("timeout"))
    assert all(is_unreachable(answer(status)) for status in (451, 500, 530))
    assert not any(is_unreachable(answer(status)) for status in (200, 400, 403, 418, 429))


def test_the_host_that_answered_is_asked_from_then_on() -> None:
    hosts = Hosts({"okx": ("https://one", "https://two"), "kraken": ("https://only",)})
    assert (hosts.present("okx"), hosts.other("okx"), hosts.other("kraken")) == (
        "https://one",
        "https://two",
        None,
    )
    hosts.prefer_other("okx")
    assert (hosts.present("okx"), hosts.other("okx")) == ("https://two", "https://one")


async def ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    return verify(key, signature, message)


ADMIN = Key()


async def test_a_signed_command_is_read() -> None:
    body = json.dumps(ADMIN.command("pause", round(AT * 1000))).encode()
    assert await read_command(body, [ADMIN.public], ed25519, AT + 5) == Command("pause", round(AT * 1000))


@pytest.mark.parametrize("late_s", [-31, 31])
async def test_a_command_that_is_not_fresh_is_refused(late_s: float) -> None:
    body = json.dumps(ADMIN.command("pause", round(AT * 1000))).encode()
    with pytest.raises(AdminRefused, match="30 s"):
        await read_command(body, [ADMIN.public], ed25519, AT + late_s)


@given(
    st.binary(max_size=200)
    | st.text().map(str.encode)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda part: (
            st.lists(part)
            | st.dictionaries(st.sampled_from(["action", "sent_ms", "key_id", "signature"]), part)
        ),
    ).map(lambda document: json.dumps(document).encode())
)
async def test_garbage_is_refused_and_never_raises_anything_else(body: bytes) -> None:
    with pytest.raises(AdminRefused):
        await read_command(body, [ADMIN.public], ed25519, AT)
