"""Settings: validated once, secrets masked, passed on to the processes of one Chrono."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from chrono.feeds import DEX_VENUES, EXCHANGES
from core.settings import Settings, masked_url

SECRET = "postgresql://chrono:hunter2@db.example:5432/chrono"


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "CHRONO_PORT", "CHRONO_VENUES"):
        monkeypatch.delenv(name, raising=False)


def test_a_password_is_never_shown() -> None:
    settings = Settings(database_url=SECRET)  # type: ignore[arg-type]
    assert "hunter2" not in repr(settings)
    assert settings.shown()["database_url"] == "postgresql://chrono:********@db.example:5432/chrono"


def test_a_secret_that_is_no_url_is_shown_as_stars() -> None:
    settings = Settings(snapshot_secret="hunter2")  # type: ignore[arg-type]
    assert settings.shown()["snapshot_secret"] == "********"


def test_a_url_without_a_password_is_shown_as_it_is() -> None:
    assert masked_url("redis://localhost:6379/0") == "redis://localhost:6379/0"


@pytest.mark.parametrize(
    "chosen",
    [
        {"venues": "binance,mtgox"},
        {"venues": ""},
        {"venue_urls": {"mtgox": "http://127.0.0.1"}},
        {"database_url": "mysql://x"},
        {"redis_url": "http://x"},
        {"port": 70_000},
        {"market": "imagined"},
        {"log_level": "LOUD"},
        {"cors_origins": "https://app.example/"},
        {"cors_origins": "app.example"},
        {"snapshot_endpoint": "https://account.r2.example", "snapshot_bucket": "prices"},
    ],
)
def test_a_bad_setting_is_refused(chosen: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings(**chosen)  # type: ignore[arg-type]


def test_the_environment_carries_every_setting_to_a_child(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = Settings(
        database_url=SECRET,  # type: ignore[arg-type]
        venues="kraken,okx",  # type: ignore[arg-type]
        venue_urls={"okx": "http://127.0.0.1:9/okx"},
        port=8123,
    )
    for name, value in parent.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == parent


def test_origins_are_named_by_comma_or_there_are_none() -> None:
    chosen = Settings(cors_origins="https://app.example, http://localhost:5173")  # type: ignore[arg-type]
    assert chosen.cors_origins == ("https://app.example", "http://localhost:5173")
    assert (Settings().cors_origins, Settings(cors_origins="").cors_origins) == (("*",), ())  # type: ignore[arg-type]


def test_an_endpoint_is_shown_without_the_key_in_its_path() -> None:
    settings = Settings(rpc_urls=("https://rpc.example/v1/hunter2", "http://user:hunter2@127.0.0.1:8545"))
    assert settings.shown()["rpc_urls"] == "rpc.example,127.0.0.1:8545"
    assert "binance,kraken" in settings.shown()["venues"]


def test_the_aggregators_of_pools_can_be_left_unasked() -> None:
    assert set(DEX_VENUES) <= set(Settings().collected_venues)
    assert Settings(dex=False).collected_venues == EXCHANGES
