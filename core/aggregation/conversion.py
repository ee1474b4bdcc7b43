"""What a unit of each quote currency is worth in dollars, from every live leg between two currencies.

Knows a graph: currencies are its nodes, legs such as USDT/USD, USDC/USDT or USDS/USD at any venue its edges.
Does not know a peg: nothing says that a stablecoin is worth a dollar, so a depeg to 0.87 is a price.

An edge says log(base) - log(quote) = log(price). All edges are fitted at once by least absolute deviations,
with the dollar held at 0: with three or more paths to a currency one wrong edge of any size does not move it
beyond the spread of the others, where a least-squares fit would follow it. (Two paths that disagree have no
majority: the rate lies between them.) The fit is by iteratively reweighted least squares: a fixed number of
weighted solves, each edge weighted by 1 / its last residual, floored at 0.1 bp; with no randomness and no
early stop, the same edges always give the same rates. A currency without a path to the dollar has no rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Markets

_ROUNDS: Final = 10
_RESIDUAL_MIN: Final = 1e-5
_RIDGE: Final = 1e-9  # keeps the solve regular for a currency without a path; its result is not used


@dataclass(frozen=True, slots=True)
class Graph:
    """The incidence of E edges on the N currencies but the dollar: +1 at the base, -1 at the quote.

    `outer` [E, N * N] has each row's product with itself, so that a solve's matrix is one product with the
    weights.
    """

    incidence: Floats
    outer: Floats
    links: Floats

    @classmethod
    def of(cls, markets: Markets) -> Graph:
        """The graph of a feed table's legs."""
        edges, currencies = len(markets.edge_slot), len(markets.currencies)
        incidence = np.zeros((edges, currencies))
        incidence[np.arange(edges), markets.edge_base] += 1
        incidence[np.arange(edges), markets.edge_quote] -= 1
        links = np.zeros((edges, currencies * currencies))
        links[np.arange(edges), markets.edge_base * currencies + markets.edge_quote] = 1
        links[np.arange(edges), markets.edge_quote * currencies + markets.edge_base] = 1
        free = incidence[:, 1:]
        return cls(free, (free[:, :, None] * free[:, None, :]).reshape(edges, -1), links)


def solve_rates(graph: Graph, price: Floats, weight: Floats) -> Floats:
    """Dollars per unit of each currency [N + 1], 1 for the dollar, NaN for a currency without a path.

    price and weight are [E]; an edge of weight 0 is out, whatever its price.
    """
    free = graph.incidence.shape[1]
    rates = np.ones(free + 1)
    live = weight > 0
    if not free or not live.any():
        rates[1:] = np.nan
        return rates
    edge = np.log(np.where(live, price, 1.0))
    ridge = np.eye(free) * _RIDGE
    weighted = weight
    for _ in range(_ROUNDS):
        matrix = (weighted @ graph.outer).reshape(free, free) + ridge
        logs = np.linalg.solve(matrix, (weighted * edge) @ graph.incidence)
        residual = np.abs(edge - graph.incidence @ logs)
        weighted = weight / np.maximum(residual, _RESIDUAL_MIN)
    rates[1:] = np.where(_reached(graph, live.astype(np.float64))[1:], np.exp(logs), np.nan)
    return rates


def _reached(graph: Graph, live: Floats) -> Floats:
    """Which currencies hang together with the dollar over live edges."""
    count = graph.incidence.shape[1] + 1
    step = (live @ graph.links).reshape(count, count) + np.eye(count)
    return np.asarray(np.linalg.matrix_power(step > 0, count)[0] > 0)
