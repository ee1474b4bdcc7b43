"""What the twin is told when it is deployed: read from a mapping such as an environment, checked once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from chrono.errors import ChronoError
from core.snapshot.reader import Trust

_REQUIRED: Final = (
    "CHRONO_TWIN_CORE_URL",
    "CHRONO_TWIN_SIGNER",
    "CHRONO_SNAPSHOT_ENDPOINT",
    "CHRONO_SNAPSHOT_BUCKET",
    "CHRONO_SNAPSHOT_KEY_ID",
    "CHRONO_SNAPSHOT_SECRET",
)
_ADDRESS: Final = re.compile("0x[0-9a-fA-F]{40}")
AGE_S_MAX: Final = 900.0
CORE_S: Final = 1.0


class TwinMisconfigured(ChronoError):
    """A setting is missing or wrong; the text names it and shows no secret."""


@dataclass(frozen=True, slots=True)
class TwinSettings:
    """`core_s` bounds a question to the core; `core_api_key`, if any, is sent with it.

    Pages of `cors_origins` may read the answers.
    """

    core_url: str
    trust: Trust
    endpoint: str
    bucket: str
    key_id: str
    secret: str = field(repr=False)
    prefix: str = "prices/"
    core_s: float = CORE_S
    core_api_key: str = field(default="", repr=False)
    cors_origins: tuple[str, ...] = ("*",)


def read(variables: Mapping[str, str]) -> TwinSettings:
    """The settings of an environment; raises TwinMisconfigured."""
    missing = [name for name in _REQUIRED if not variables.get(name)]
    if missing:
        raise TwinMisconfigured(f"not set: {', '.join(missing)}")
    signer = variables["CHRONO_TWIN_SIGNER"]
    if not _ADDRESS.fullmatch(signer):
        raise TwinMisconfigured("CHRONO_TWIN_SIGNER is no address: 0x and 40 hexadecimal digits")
    for name in ("CHRONO_TWIN_CORE_URL", "CHRONO_SNAPSHOT_ENDPOINT"):
        if not variables[name].startswith(("https://", "http://")):
            raise TwinMisconfigured(f"{name} must begin with https://")
    chain_id = _number(variables, "CHRONO_TWIN_CHAIN_ID", 14, 1, 2**63)
    age_s_max = _number(variables, "CHRONO_TWIN_AGE_S_MAX", AGE_S_MAX, 1, 86_400)
    return TwinSettings(
        core_url=variables["CHRONO_TWIN_CORE_URL"],
        trust=Trust(signer.lower(), int(chain_id), age_s_max),
        endpoint=variables["CHRONO_SNAPSHOT_ENDPOINT"],
        bucket=variables["CHRONO_SNAPSHOT_BUCKET"],
        key_id=variables["CHRONO_SNAPSHOT_KEY_ID"],
        secret=variables["CHRONO_SNAPSHOT_SECRET"],
        prefix=variables.get("CHRONO_SNAPSHOT_PREFIX", "prices/"),
        core_s=_number(variables, "CHRONO_TWIN_CORE_S", CORE_S, 0.05, 10),
        core_api_key=variables.get("CHRONO_TWIN_CORE_API_KEY", ""),
        cors_origins=tuple(variables.get("CHRONO_CORS_ORIGINS", "*").replace(",", " ").split()),
    )


def _number(variables: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    text = variables.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise TwinMisconfigured(f"{name} is no number from {low:g} to {high:g}")
    return value
