"""The Worker's variables as one frozen value, checked: what stands in wrangler.toml's [vars].

Knows names and bounds. Secrets are not here: they go from the runtime to `Keys` and nowhere else.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from chrono.errors import ChronoError
from chrono.feeds import VENUES
from chrono.signing import PUBLIC_KEY_BYTES
from chrono.venues import VENUE_ADAPTERS

SLOTS: Final = 16
"""Groups share one key, and so one space of sequences: each has those that leave its slot over SLOTS."""

HINTS: Final = ("wnam", "enam", "sam", "weur", "eeur", "apac", "oc", "afr", "me")


class ConfigError(ChronoError):
    """A variable of the Worker cannot be used; the text names it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Venues that are asked from one place. `hint` is where Cloudflare is asked to put it.

    A group without venues of its own stands by for those that refuse another's country.
    """

    name: str
    venues: tuple[str, ...]
    hint: str
    slot: int


@dataclass(frozen=True, slots=True)
class Config:
    """Seconds are in the names; `stored_max` and `queued_max` count batches of one group."""

    core_url: str
    groups: tuple[Group, ...]
    hosts: Mapping[str, tuple[str, ...]]
    interval_s: float
    trade_interval_s: float | None
    timeout_s: float
    post_timeout_s: float
    deliveries_max: int
    stored_max: int
    queued_max: int
    queue_retry_s: int
    admin_keys: tuple[bytes, ...]

    def group(self, name: str) -> Group:
        """Raises ConfigError on a group that is not configured."""
        for group in self.groups:
            if group.name == name:
                return group
        raise ConfigError(f"there is no group {name[:40]!r}")


def read_config(variables: Mapping[str, object]) -> Config:
    """The configuration in the runtime's variables; raises ConfigError on the first that is wrong."""
    trade_interval_s = _number(variables, "TRADE_INTERVAL_S", 0.0, 3_600.0)
    interval_s = _number(variables, "INTERVAL_S", 1.0, 60.0)
    return Config(
        core_url=_url("CORE_URL", variables.get("CORE_URL")),
        groups=_groups(variables.get("GROUPS")),
        hosts=_hosts(variables.get("HOSTS")),
        interval_s=interval_s,
        trade_interval_s=trade_interval_s or None,
        timeout_s=_number(variables, "TIMEOUT_S", 0.5, 30.0),
        post_timeout_s=_number(variables, "POST_TIMEOUT_S", 0.5, 30.0),
        deliveries_max=int(_number(variables, "DELIVERIES_MAX", 1, 1_000)),
        stored_max=int(_number(variables, "STORED_BATCHES_MAX", 1, 100_000)),
        queued_max=int(_number(variables, "QUEUED_BATCHES_MAX", 0, 100_000)),
        queue_retry_s=int(_number(variables, "QUEUE_RETRY_S", 1, 3_600)),
        admin_keys=_admin_keys(variables.get("ADMIN_KEYS")),
    )


def _number(variables: Mapping[str, object], name: str, least: float, most: float) -> float:
    value = variables.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise ConfigError(f"{name} must be a number from {least:g} to {most:g}")
    return float(value)


def _url(name: str, value: object) -> str:
    parts = urlsplit(value) if isinstance(value, str) else None
    if parts is None or parts.scheme not in ("https", "http") or not parts.netloc:
        raise ConfigError(f"{name} must be a URL such as https://core.example.org")
    return parts.geturl().rstrip("/")


def _groups(value: object) -> tuple[Group, ...]:
    if not isinstance(value, Mapping) or not 1 <= len(value) <= SLOTS:
        raise ConfigError(f"GROUPS must be a table of 1 to {SLOTS} groups")
    groups = tuple(_group(str(name), table, slot) for slot, (name, table) in enumerate(sorted(value.items())))
    asked = [venue for group in groups for venue in group.venues]
    if len(asked) != len(set(asked)):
        raise ConfigError("GROUPS names a venue twice")
    return groups


def _group(name: str, table: object, slot: int) -> Group:
    if not isinstance(table, Mapping) or not isinstance(table.get("venues"), list):
        raise ConfigError(f"GROUPS.{name} must have a list of venues")
    venues = tuple(map(str, table["venues"]))
    unknown = set(venues) - set(VENUES)
    if unknown:
        raise ConfigError(f"GROUPS.{name} names no venue: {', '.join(sorted(unknown))}")
    if table.get("hint") not in HINTS:
        raise ConfigError(f"GROUPS.{name}.hint must be one of {', '.join(HINTS)}")
    return Group(name, venues, str(table["hint"]), slot)


def _hosts(value: object) -> dict[str, tuple[str, ...]]:
    """Every venue's own host first, then those that HOSTS adds; a venue's list in HOSTS replaces both."""
    hosts: dict[str, tuple[str, ...]] = {
        venue: (adapter.base_url,) for venue, adapter in VENUE_ADAPTERS.items()
    }
    for venue, urls in (value if isinstance(value, Mapping) else {}).items():
        if venue not in hosts or not isinstance(urls, list) or not urls:
            raise ConfigError(f"HOSTS.{venue} must be a venue's list of URLs")
        hosts[venue] = tuple(_url(f"HOSTS.{venue}", url) for url in urls)
    return hosts


def _admin_keys(value: object) -> tuple[bytes, ...]:
    keys = []
    for text in value if isinstance(value, list) else []:
        try:
            raw = base64.b64decode(str(text), validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if len(raw) != PUBLIC_KEY_BYTES:
            raise ConfigError("ADMIN_KEYS must hold Ed25519 public keys, 32 bytes in base64 each")
        keys.append(raw)
    return tuple(keys)
