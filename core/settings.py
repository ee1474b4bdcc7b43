"""The one settings object: every value that an operator may choose, validated once, and its only reader
of the environment.

Names are CHRONO_<FIELD> in the environment or in a `.env` file; DATABASE_URL and REDIS_URL go without the
prefix, as everywhere.
"""

from __future__ import annotations

import json
import re
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from chrono.feeds import DEX_VENUES, LEGS, VENUES
from core.log import LogFormat

Market = Literal["live", "simulated", "replay"]
Network = Literal["flare", "songbird", "coston", "coston2", "local"]

LOOPBACK = ("127.0.0.0/8", "::1/128")
_DATABASE_SCHEMES = ("postgresql", "postgres")
_UNPREFIXED = ("database_url", "redis_url")
_ORIGIN = re.compile(r"\*|https?://[a-z0-9.\[\]:-]+")
_REDIS_SCHEMES = ("redis", "rediss", "unix")


class Settings(BaseSettings):
    """Frozen once built. Seconds, bytes and days are in the names."""

    model_config = SettingsConfigDict(
        env_prefix="CHRONO_", env_file=".env", extra="ignore", frozen=True, populate_by_name=True
    )

    market: Market = Field("live", description="where prices come from: live, simulated or replay")
    network: Network = Field("flare", description="the Flare network whose rounds are timed")
    data_dir: Path = Field(Path(".chrono"), description="keys and the embedded database live here")
    host: str = Field("127.0.0.1", description="address the API listens on")
    port: int = Field(8000, ge=0, le=65535, description="port of the API; 0 takes a free one")

    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="PostgreSQL or TimescaleDB; none starts an embedded PostgreSQL",
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="Redis for the bus; none keeps the bus in the process",
    )

    venues: Annotated[tuple[str, ...], NoDecode] = Field(VENUES, description="venues, by comma")
    dex: bool = Field(
        True, description="read aggregators of decentralized exchanges where hardly any exchange lists a feed"
    )
    venue_urls: dict[str, str] = Field(
        default_factory=dict, description="JSON object: another base URL for a venue"
    )
    legs: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="legs to collect, such as kraken:BTC/USD, by comma; none collects all"
    )
    poll_interval_s: float = Field(1.5, ge=0.1, le=60, description="between two requests for tickers")
    core_url: str | None = Field(None, description="where a collector posts; none is this machine's core")
    spool_batches: int = Field(20_000, ge=1, le=1_000_000, description="batches kept while the core is away")

    freshness_s: float = Field(30, ge=1, le=600, description="how far a batch's time may be from now")
    estimate_interval_s: float = Field(0.2, ge=0.02, le=10, description="shortest time between two passes")
    store_interval_s: float = Field(1, ge=0.1, le=60, description="between two stored estimates")
    commit_offset_s: float = Field(
        75, gt=0, lt=90, description="commit instant after the start of a voting epoch"
    )
    rpc_urls: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="the chain's RPC endpoints, by comma; several are better"
    )
    submit_address: str | None = Field(
        None, pattern="^0x[0-9a-fA-F]{40}$", description="whose rounds the API shows; the provider's own"
    )
    submit_key_file: Path | None = Field(None, description="key of the submit address")
    submit_signatures_key_file: Path | None = Field(None, description="key of the submitSignatures address")
    signing_policy_key_file: Path | None = Field(None, description="key of the signing policy address")
    submit_key_url: SecretStr | None = Field(
        None, description="remote signer of the submit address: http(s)://HOST:PORT/0xADDRESS"
    )
    submit_signatures_key_url: SecretStr | None = Field(None, description="the same of submitSignatures")
    signing_policy_key_url: SecretStr | None = Field(None, description="the same of the signing policy")
    key_password_file: Path | None = Field(None, description="password of keystores; none: keys are plain")
    claim_key_file: Path | None = Field(
        None,
        description="key that claims rewards: the identity's or its executor's; none: nothing is claimed",
    )
    claim_recipient: str | None = Field(
        None, pattern="^0x[0-9a-fA-F]{40}$", description="whom rewards are paid to; none: the identity"
    )
    rewards_url: str | None = Field(
        None, description="web address or folder of the published rewards; none: rewards are not signed"
    )
    history_from_block: int = Field(
        0, ge=0, description="block before the last two reward epochs' offers and registrations"
    )
    log_blocks: int = Field(2_000, ge=1, le=100_000, description="blocks in one request for events")
    tip_gwei: int = Field(1, ge=0, le=10_000, description="priority fee of transactions")
    fee_ceiling_gwei: int = Field(5_000, ge=1, le=1_000_000, description="most that is paid for a gas")
    protocol_port: int = Field(8010, ge=0, le=65535, description="port of the protocol data provider API")
    provider_metrics_port: int = Field(
        0, ge=0, le=65535, description="port of the provider's /metrics; 0 serves none"
    )
    local_first_round_at: int = Field(0, ge=0, description="start of voting round 0 of the local network")
    local_epoch_s: int = Field(20, ge=6, le=90, description="voting epoch of the local network")
    anvil: Path | None = Field(None, description="the local chain's node; none: found in PATH")

    tick_retention_days: int = Field(7, ge=1, le=3650, description="ticks are dropped after")
    estimate_retention_days: int = Field(30, ge=8, le=3650, description="single estimates are dropped after")
    stream_clients: int = Field(1_000, ge=1, le=100_000, description="open streams of one process")

    gateway_processes: int = Field(
        0, ge=0, le=64, description="replicas of the public API that `chrono up` runs; they need REDIS_URL"
    )
    gateway_host: str = Field("127.0.0.1", description="address the replicas listen on")
    gateway_port: int = Field(8080, ge=0, le=65535, description="port of the replicas, one for all")
    gateway_metrics_port: int = Field(
        0, ge=0, le=65000, description="port of the first replica's /metrics, the next one's is next; 0 none"
    )

    anonymous: bool = Field(
        True, description="whether callers without an API key are served, as the free tier"
    )
    allowed_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        LOOPBACK, description="networks that are never limited nor blocked, and whose proxies are believed"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("*",), description="origins whose pages may read /v1 in a browser, by comma; * is all, empty none"
    )
    admin_token: SecretStr | None = Field(
        None, min_length=32, description="opens /admin beside keys with the scope admin; none: only those"
    )
    price_key_file: Path | None = Field(
        None, description="key that signs public prices; none makes one in the data folder"
    )
    snapshot_endpoint: str | None = Field(
        None, pattern="^https?://", description="S3 endpoint for snapshots of signed prices; none writes none"
    )
    snapshot_bucket: str | None = Field(None, description="bucket of the snapshots")
    snapshot_key_id: str | None = Field(None, description="access key id of the bucket")
    snapshot_secret: SecretStr | None = Field(None, description="secret access key of the bucket")
    snapshot_prefix: str = Field("prices/", max_length=200, description="what snapshots' names begin with")
    snapshot_interval_s: float = Field(5, ge=0.2, le=600, description="between two snapshots")

    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level logged")
    log_format: LogFormat = Field("auto", description="auto, text or json")

    @field_validator("venues", "legs", "rpc_urls", "allowed_networks", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

    @model_validator(mode="after")
    def _check(self) -> Self:
        unknown = [name for name in (*self.venues, *self.venue_urls) if name not in VENUES]
        if unknown:
            raise ValueError(f"unknown venues: {', '.join(unknown)}; known are {', '.join(VENUES)}")
        strangers = sorted(set(self.legs) - {str(leg) for leg in LEGS})
        if strangers:
            raise ValueError(f"legs that are not in the feed table: {', '.join(strangers)}")
        for text in self.allowed_networks:
            ip_network(text, strict=False)
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"not an origin: {origin}; one looks like https://app.example, or is *")
        if not self.venues:
            raise ValueError("at least one venue is needed")
        for name, url, schemes in (
            ("DATABASE_URL", self.database_url, _DATABASE_SCHEMES),
            ("REDIS_URL", self.redis_url, _REDIS_SCHEMES),
        ):
            if url is not None and urlsplit(url.get_secret_value()).scheme not in schemes:
                raise ValueError(f"{name} must begin with {schemes[0]}://")
        needed = ("snapshot_bucket", "snapshot_key_id", "snapshot_secret")
        missing = [name for name in needed if getattr(self, name) is None]
        if self.snapshot_endpoint is not None and missing:
            raise ValueError(f"snapshots need {', '.join(f'CHRONO_{name.upper()}' for name in missing)} too")
        return self

    @property
    def collected_venues(self) -> tuple[str, ...]:
        """The venues that a collector asks."""
        return tuple(venue for venue in self.venues if self.dex or venue not in DEX_VENUES)

    @property
    def private_key_file(self) -> Path:
        return self.data_dir / "keys" / "collector.key"

    @property
    def signing_key_file(self) -> Path:
        """The key that signs public prices, wherever it is."""
        return self.price_key_file or self.data_dir / "keys" / "prices.key"

    @property
    def snapshot_access(self) -> tuple[str, str, str, str] | None:
        """Endpoint, bucket, key id and secret, if there is a bucket for snapshots."""
        endpoint, bucket, key_id = self.snapshot_endpoint, self.snapshot_bucket, self.snapshot_key_id
        if endpoint is None or bucket is None or key_id is None or self.snapshot_secret is None:
            return None
        return endpoint, bucket, key_id, self.snapshot_secret.get_secret_value()

    @property
    def known_keys_file(self) -> Path:
        return self.data_dir / "keys" / "collectors.keys"

    @property
    def postgres_dir(self) -> Path:
        """The embedded server's folder; one a market, so that simulated prices never mix with live ones."""
        return self.data_dir / ("postgres" if self.market == "live" else f"postgres-{self.market}")

    @property
    def memory_file(self) -> Path:
        """What the estimator has learned; one a market, like the database."""
        return self.data_dir / f"learned-{self.market}.npz"

    def environment(self) -> dict[str, str]:
        """The settings as environment variables for a process of the same Chrono, secrets included."""
        variables = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is None:
                continue
            variable = name.upper() if name in _UNPREFIXED else f"CHRONO_{name.upper()}"
            variables[variable] = _written(value)
        return variables

    def shown(self) -> dict[str, str]:
        """Every setting as text, with passwords masked: what `chrono check` prints."""
        return {name: _shown(getattr(self, name)) for name in type(self).model_fields}


def masked_url(url: str) -> str:
    """The URL with its password replaced by stars."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    netloc = parts.netloc.replace(f":{parts.password}@", ":********@")
    return urlunsplit(parts._replace(netloc=netloc))


def _written(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, dict) else str(value)


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        secret = value.get_secret_value()
        return masked_url(secret) if "://" in secret else "********"
    if isinstance(value, tuple):
        return ",".join(_host(str(each)) for each in value) or "-"
    return "-" if value is None or value == {} else str(value)


def _host(text: str) -> str:
    """An endpoint by its host alone, since its path may hold a key; other texts as they are."""
    return urlsplit(text).netloc.rpartition("@")[2] if "://" in text else text
