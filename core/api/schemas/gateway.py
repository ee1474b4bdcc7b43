"""The shapes of usage and administration."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.api.schemas.common import Seconds, Shape

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$")]


class UsageEntry(Shape):
    account: str
    key: Annotated[str, Field(description="The key's prefix")]
    endpoint: str
    day: date
    requests: int


class UsageList(Shape):
    """Requests that were answered below 500, stored so far; `from` and `to` are included."""

    start: Annotated[date, Field(alias="from")]
    end: Annotated[date, Field(alias="to")]
    requests: int
    usage: list[UsageEntry]


class KeyDocument(Shape):
    """A key without its secret, which nobody keeps."""

    prefix: Annotated[str, Field(examples=["4f7k2m9x0a1b"])]
    account: str
    tier: Literal["free", "developer", "premium", "internal"]
    name: str
    scopes: list[str]
    created_at: Seconds
    expires_at: Seconds | None
    revoked_at: Seconds | None


class NewKeyDocument(KeyDocument):
    """A key just made. `key` is shown this once."""

    key: Annotated[str, Field(pattern="^chr_[0-9a-z]{12}_[0-9A-Za-z]{43}$")]


class KeyList(Shape):
    keys: list[KeyDocument]


class KeyOrder(BaseModel):
    """A key that is to be made; its account gets the tier if it has another."""

    model_config = ConfigDict(extra="forbid")

    account: Annotated[_Word, Field(examples=["acme"])]
    tier: Literal["free", "developer", "premium", "internal"] = "free"
    name: Annotated[_Word, Field(examples=["server"])] = "key"
    scopes: Annotated[
        list[Literal["prices", "history", "stream", "admin"]], Field(min_length=1, max_length=4)
    ] = ["prices", "history", "stream"]
    expires_in_days: Annotated[int | None, Field(ge=1, le=3_650)] = None


class KeyRotation(BaseModel):
    """For so long the old key counts beside the new one."""

    model_config = ConfigDict(extra="forbid")

    overlap_s: Annotated[int, Field(ge=0, le=90 * 86_400)] = 86_400


class BlockEntry(Shape):
    address: str
    reason: str
    since: Seconds
    until: Seconds


class BlockList(Shape):
    blocks: list[BlockEntry]
