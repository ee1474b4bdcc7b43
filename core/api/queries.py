"""Reading query strings strictly: a parameter that is misspelled is told, not ignored.

Knows names, feeds and times. Does not know what is asked for.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Final

from fastapi import Depends, Request

from chrono.feeds import FEED_BY_NAME
from core.api.problems import bad_request, unknown_feed
from core.api.rules import PARAMETERS_MAX

TIME_MAX: Final = 4_102_444_800.0
"""The year 2100."""

_UNIX: Final = re.compile(r"[0-9]{1,10}(\.[0-9]{1,9})?")
_ISO: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
)
TIME_PATTERN: Final = f"^({_UNIX.pattern}|{_ISO.pattern})$"


def only(*names: str) -> Any:
    """A dependency that refuses every query parameter but these, and these given twice."""

    async def check(request: Request) -> None:  # a plain function would be sent to a thread
        if request.scope["query_string"].count(b"&") >= PARAMETERS_MAX:
            raise bad_request("unknown-parameter", f"more than {PARAMETERS_MAX} query parameters")
        given = [name for name, _ in request.query_params.multi_items()]
        unknown = sorted({name[:40] for name in given if name not in names})
        if unknown:
            known = f"known here: {', '.join(names)}" if names else "none is known here"
            detail = f"unknown query parameter {', '.join(unknown[:10])}; {known}"
            raise bad_request("unknown-parameter", detail, parameters=unknown[:10])
        if len(given) > len(set(given)):
            raise bad_request("repeated-parameter", "a query parameter is given more than once")

    return Depends(check)


def known_feeds(names: tuple[str, ...]) -> tuple[str, ...]:
    """The names, each once, in their order; raises a 404 that names those that are no feeds."""
    unknown = [name for name in names if name not in FEED_BY_NAME]
    if unknown:
        raise unknown_feed(*unknown)
    return tuple(dict.fromkeys(names))


def instant(name: str, text: str) -> float:
    """Unix seconds from Unix seconds or ISO 8601 with its offset; raises a 400 that says what is wrong."""
    if _UNIX.fullmatch(text):
        at = float(text)
    elif _ISO.fullmatch(text):
        try:
            at = datetime.fromisoformat(text).timestamp()
        except ValueError as error:
            raise bad_request("invalid-time", f"{name}: {error}", parameter=name) from None
    else:
        detail = f"{name} is neither Unix seconds nor ISO 8601 with an offset (a + is written %2B)"
        raise bad_request("invalid-time", detail, parameter=name, given=text[:40])
    if not 0 <= at <= TIME_MAX:
        raise bad_request("invalid-time", f"{name} is not between 1970 and 2100", parameter=name)
    return at
