"""The portal: static files that the API serves at `/`. No build step, no outside resource.

Knows where the files lie. Serving them is the API's affair; what they ask of the API is in `static/*.js`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

STATIC: Final = Path(__file__).parent / "static"
"""The directory of index.html and everything it asks for, by relative URL."""
