"""Every kind of problem that the API tells: its status, and what to do about it.

A slug is for good: it is never used for something else. A test holds this table to the sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CATALOGUE: Final[Mapping[str, tuple[int, str]]] = MappingProxyType(
    {
        "invalid-request": (
            400,
            "A parameter or the body has a wrong form; `errors` says which. Correct it.",
        ),
        "unknown-parameter": (
            400,
            "A query parameter is misspelled or not known here; `parameters` names it.",
        ),
        "repeated-parameter": (400, "A query parameter is given more than once. Give it once."),
        "invalid-time": (400, "A time is neither Unix seconds nor ISO 8601 with an offset."),
        "empty-window": (400, "`from` is after `to`."),
        "range-too-large": (400, "More is asked for than is answered; `hint` says what to ask instead."),
        "malformed-json": (400, "A message of the stream is not JSON. The connection stays."),
        "malformed-message": (400, "A message of the stream lacks something. The connection stays."),
        "unknown-operation": (400, "`op` is not subscribe, unsubscribe or ping. The connection stays."),
        "body-cut-off": (400, "The connection ended before the body did. Send it again."),
        "bad-request": (400, "The request cannot be read."),
        "malformed-batch": (400, "Collectors: the bytes are no batch."),
        "key-required": (401, "This needs an API key: `Authorization: Bearer chr_...` or `X-API-Key`."),
        "key-refused": (401, "The API key is not accepted: misspelled, expired or revoked. Do not retry."),
        "unknown-key": (401, "Collectors: the key is not known to this core."),
        "revoked-key": (401, "Collectors: the key was revoked."),
        "bad-signature": (401, "Collectors: the signature does not fit the batch."),
        "scope-missing": (403, "The API key may not do this; `scope` says what it lacks."),
        "address-blocked": (
            403,
            "This address misbehaved (`reason`). Wait `retry_after_s`, or ask the operator.",
        ),
        "too-many-feeds": (403, "More feeds than the tier allows in one stream; `limit` says how many."),
        "not-found": (404, "There is no such route."),
        "unknown-feed": (404, "There is no such feed; /v1/feeds lists all."),
        "no-model": (404, "This process makes no estimates."),
        "no-signer": (404, "This core signs no prices."),
        "no-round": (404, "Nothing is known of this voting round."),
        "round-missed": (404, "No values were frozen for this voting round, and none will be."),
        "no-such": (404, "Administration: there is no key or block of that name."),
        "method-not-allowed": (405, "The route does not know this method."),
        "request-timeout": (408, "The body did not end in time. Send it again, faster."),
        "round-not-open": (409, "The voting round has not begun; `opens_at` says when it does."),
        "sequence-conflict": (409, "Collectors: the sequence was committed with other content."),
        "oversized-body": (
            413,
            "The body is larger than any request needs; `limit` says how large it may be.",
        ),
        "oversized-batch": (413, "Collectors: the batch is too large."),
        "unsupported-media-type": (415, "Collectors: a batch is sent as application/octet-stream."),
        "stale-batch": (422, "Collectors: the batch is too old, or the clock is wrong."),
        "rate-limited": (
            429,
            "Too fast. Wait `Retry-After` seconds; the RateLimit headers say what is left.",
        ),
        "quota-spent": (
            429,
            "The day's requests are used up. Wait until midnight UTC, or take a larger tier.",
        ),
        "too-many-streams": (429, "As many streams are open as the tier allows. Close one."),
        "internal-error": (500, "A fault of ours; it is in our log."),
        "service-unavailable": (503, "There are no prices yet. Try again after `Retry-After` seconds."),
        "store-unavailable": (503, "The database cannot answer now. Try again after `Retry-After` seconds."),
        "core-away": (503, "The core is away, and only it knows this. Prices go on, with their age."),
        "too-many-clients": (503, "The stream is full. Try again after `Retry-After` seconds."),
    }
)
