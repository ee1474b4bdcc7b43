"""The venues: how each is asked, how its answers are read, what its refusals mean.

One module a venue; all are functions without memory. The formats are held to captured answers and to the
venues' documentation; the default addresses were never tried live from the machines that build Chrono.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from chrono.venues.adapter import VenueAdapter
from chrono.venues.binance import BINANCE
from chrono.venues.bybit import BYBIT
from chrono.venues.coinbase import COINBASE
from chrono.venues.dexscreener import DEXSCREENER
from chrono.venues.geckoterminal import GECKOTERMINAL
from chrono.venues.kraken import KRAKEN
from chrono.venues.okx import OKX

VENUE_ADAPTERS: Final[Mapping[str, VenueAdapter]] = {
    adapter.venue: adapter for adapter in (COINBASE, BINANCE, KRAKEN, BYBIT, OKX, GECKOTERMINAL, DEXSCREENER)
}
