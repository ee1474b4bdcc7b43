"""The Worker's entry at Cloudflare's edge: the only file that imports `workers`.

Answers `GET /status` with what the kernel in its bundle knows: feeds, legs and venues.
"""

import json
from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint  # type: ignore[import-not-found]

from chrono.feeds import FEEDS, LEGS, VENUES

_JSON = {"content-type": "application/json"}


class Default(WorkerEntrypoint):  # type: ignore[misc]
    """The entry point that `wrangler.toml` names."""

    async def fetch(self, request: object) -> object:
        """The status document, or 404 for any other path."""
        path = urlsplit(request.url).path  # type: ignore[attr-defined]
        if path != "/status":
            return Response(json.dumps({"title": "Not found", "status": 404}), status=404, headers=_JSON)
        status = {"feeds": len(FEEDS), "legs": len(LEGS), "venues": list(VENUES)}
        return Response(json.dumps(status), headers=_JSON)
