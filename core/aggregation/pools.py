"""How little aggregators of decentralized exchanges may say: confirmation, their share, and their pace.

A pool's price can be moved by one trade. So a leg at an aggregator (`chrono.feeds.DEX_VENUES`)

- counts only while another venue, of either kind, shows a price within `dex_agreement` of its own: two
  aggregators that disagree are both left out, and one alone is never enough;
- has with all other such legs at most `dex_share_max` of a feed's weight as long as an exchange has any, so
  the weighted median always lies at an exchange's price (an exchange alone beside them may then have more
  than a venue's share);
- moves a feed that rests on such legs alone by at most `dex_move_per_minute`, from its last live price on.

What this does not stop: a feed without any exchange follows, at that pace, whoever holds the pool that both
aggregators read. Pure; the plain twin of the first two rules is in the tests.
"""

from __future__ import annotations

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Markets
from core.aggregation.rules import Rules

_MINUTE_S = 60.0


def unconfirmed(markets: Markets, candidate: Bools, usd: Floats, rules: Rules) -> Bools:
    """Which candidates at aggregators no other venue confirms, [D, K] of the feeds in `dex_rows`."""
    rows = markets.dex_rows
    asked = candidate[rows]
    price = np.where(asked, usd[rows], np.nan)
    one, other = price[:, :, None], price[:, None, :]
    near = np.abs(one - other) <= rules.dex_agreement * np.maximum(one, other)
    venue = markets.venue[rows]
    near &= venue[:, :, None] != venue[:, None, :]
    return np.asarray(asked & markets.dex[rows] & ~near.any(axis=2))


def cap_dex(markets: Markets, weight: Floats, rules: Rules) -> Floats:
    """Weights [F, K] that sum to 1, with the aggregators' together within their share."""
    rows = markets.mixed_rows
    if len(rows):
        dex = markets.dex[rows]
        share = (weight[rows] * dex).sum(axis=1, keepdims=True)
        rest = (weight[rows] * ~dex).sum(axis=1, keepdims=True)
        over = (share > rules.dex_share_max) & (rest > 0)
        factor = np.where(dex, rules.dex_share_max / share, (1 - rules.dex_share_max) / rest)
        weight[rows] = np.where(over, weight[rows] * factor, weight[rows])
    return weight


def steadied(
    markets: Markets, price: Floats, used: Bools, *, before: Floats, since_s: Floats, rules: Rules
) -> Floats:
    """The prices [F], where only aggregators are used held near the last live ones, `before`.

    Those were `since_s` ago (NaN: never). However long that is, one step is at most that of a minute.
    """
    rows = markets.dex_rows
    if not len(rows):
        return price
    told, last = price[rows], before[rows]
    alone = ~(used[rows] & ~markets.dex[rows]).any(axis=1) & (last > 0)
    reach = last * rules.dex_move_per_minute * np.minimum(since_s[rows], _MINUTE_S) / _MINUTE_S
    held = price.copy()
    held[rows] = np.where(alone, np.minimum(np.maximum(told, last - reach), last + reach), told)
    return held
