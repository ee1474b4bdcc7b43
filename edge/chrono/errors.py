"""The errors of the kernel. Attributes hold the evidence; texts are for people.

ChronoError
├── MalformedValue          a text that is no price, size or time in bounds
├── UnreadableAnswer        a venue's answer is not the JSON agreed on (chrono.venues.rows)
├── BadRow                  one row of an answer is no observation (chrono.venues.rows)
└── BatchError              a batch that is refused whole
    ├── OversizedBatch      more bytes or ticks than the format allows
    ├── MalformedBatch      the bytes are no batch of a known version
    ├── UnknownKey          no such key id
    ├── RevokedKey          the key was revoked
    ├── BadSignature        the signature does not fit the bytes
    └── StaleBatch          sent too long ago, or dated in the future
"""


class ChronoError(Exception):
    """Root of every error that Chrono raises on purpose."""


class MalformedValue(ChronoError):
    """A venue's text is no number in the bounds of a price, a size or a time."""

    def __init__(self, field: str, text: object) -> None:
        self.field = field
        self.text = repr(text)[:60]
        super().__init__(f"{field} is not a valid value: {self.text}")


class BatchError(ChronoError):
    """A batch is refused whole. `reason` is the metric label and the problem document's slug."""

    reason = "batch-error"


class OversizedBatch(BatchError):
    """The batch has more bytes or ticks than the format allows."""

    reason = "oversized-batch"

    def __init__(self, size: int, limit: int, unit: str = "bytes") -> None:
        self.size, self.limit, self.unit = size, limit, unit
        super().__init__(f"batch of {size} {unit} is over the limit of {limit}")


class MalformedBatch(BatchError):
    """The bytes are no batch of a version that is known here."""

    reason = "malformed-batch"


class UnknownKey(BatchError):
    """The batch names a key that this core was never given."""

    reason = "unknown-key"

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"key {key_id} is not known here")


class RevokedKey(BatchError):
    """The batch is signed by a key that was revoked."""

    reason = "revoked-key"

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"key {key_id} is revoked")


class BadSignature(BatchError):
    """The signature does not fit the bytes and the key."""

    reason = "bad-signature"

    def __init__(self, key_id: str) -> None:
        self.key_id = key_id
        super().__init__(f"the signature does not fit the batch and key {key_id}")


class StaleBatch(BatchError):
    """The batch was sent too long ago, or claims to come from the future (a negative age)."""

    reason = "stale-batch"

    def __init__(self, age_s: float, limit_s: float) -> None:
        self.age_s, self.limit_s = age_s, limit_s
        super().__init__(f"the batch is {age_s:.1f} s old; accepted within {limit_s:.0f} s of now")
