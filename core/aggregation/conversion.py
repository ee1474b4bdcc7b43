"""What a unit of each quote currency is worth in dollars, from every live leg between two currencies.

Knows a graph: currencies are its nodes, legs such as USDT/USD, USDC/USDT or USDS/USD at any venue its edges.
Does not know a peg: nothing says that a stablecoin is worth a dollar, so a depeg to 0.87 is a price.

An edge says log(base) - log(quote) = log(price). All edges are fitted together with the dollar held at 0,
by iteratively reweighted least squares: an edge weighs 1 / variance, and after each solve by 1 /
residual^1.5 of that, the residual counted in its own deviations and as at least one. Edges that agree to a
basis point are averaged; one that disagrees loses its say faster than its distance grows, so that with
three or more paths to a currency one wrong edge of any size moves it by less than half a basis point beyond
the others. (Two paths that disagree have no majority: the rate lies between them.) Plain least absolute
deviations, 1 / residual, is slower to let go: in trials ten rounds of it still left rates off by percents
where one edge was grossly wrong.

The deviation of an edge is 1 bp, and grows with how much its two currencies move and for how long its price
has stood. When USDC falls by tens of basis points a minute, its edges are of different moments and disagree:
in the triangle USDC/USD, USDC/USDT, USDT/USD that must not be put on USDT/USD, which hardly moves. What is
known of a single edge counts only in the last solve, among edges that agree by then; before it all edges of a
pair of currencies are alike. If it counted from the start, one venue that has just traded could outweigh
all others and be believed, whatever it says. The rounds are few and fixed, with no randomness and no early
stop: the same edges give the same rates. A currency without a path to the dollar has no rate.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from core.aggregation.estimates import Floats
from core.aggregation.markets import Bools, Markets
from core.aggregation.rules import Rules

_ROUNDS: Final = 6
_NOISE: Final = 1e-4
_RIDGE: Final = 1e-15  # keeps the solve regular for a currency without a path; its result is not used


@dataclass(frozen=True, slots=True)
class Graph:
    """E edges on N currencies and the dollar.

    `rows` [E, N + 1]: +1 at an edge's base and -1 at its quote among the currencies but the dollar; the last
    column is for its log price. `links` [E, (N + 1)^2] marks the two currencies of an edge in a flat matrix;
    `ridge` [N, N] is added to the matrix of every solve.
    """

    rows: Floats
    links: Floats
    ridge: Floats

    @classmethod
    def of(cls, markets: Markets) -> Graph:
        """The graph of a feed table's legs."""
        edges, currencies = len(markets.edge_slot), len(markets.currencies)
        each = np.arange(edges)
        rows = np.zeros((edges, currencies))
        rows[each, markets.edge_base] += 1
        rows[each, markets.edge_quote] -= 1
        links = np.zeros((edges, currencies * currencies))
        links[each, markets.edge_base * currencies + markets.edge_quote] = 1
        links[each, markets.edge_quote * currencies + markets.edge_base] = 1
        return cls(np.roll(rows, -1, axis=1), links, np.eye(currencies - 1) * _RIDGE)


def solve_rates(graph: Graph, price: Floats, live: Bools, pair: Floats, edge: Floats) -> Floats:
    """Dollars per unit of each currency [N + 1], 1 for the dollar, NaN for a currency without a path.

    price, live and two variances beyond the noise of a good edge are [E]: `pair`, the same for all edges of a
    pair of currencies, and `edge`, of each alone. An edge that is not live is out, whatever its price.
    """
    edges, count = graph.rows.shape
    rates = np.ones(count)
    if not edges or count == 1:
        rates[1:] = np.nan
        return rates
    logs = _fit(graph, np.log(np.where(live, price, 1.0)), live, _deviation(pair), _deviation(edge))
    rates[1:] = np.where(_reached(graph, live)[1:], np.exp(logs), np.nan)
    return rates


def edge_variances(markets: Markets, walk: Floats, stood_s: Floats, rules: Rules) -> tuple[Floats, Floats]:
    """How far the currencies of edges [E] may have moved, as variances: between venues, and of each edge.

    walk [N + 1] is a variance a second, stood_s [F, K] how long a leg's price has been what it is.
    """
    moves = walk.take(markets.edge_base) + walk.take(markets.edge_quote)
    late_s = np.minimum(stood_s.ravel()[markets.edge_slot], rules.told_s)
    return moves * rules.settle_s, moves * (late_s + rules.settle_s)


def _deviation(variance: Floats) -> Floats:
    return np.sqrt(_NOISE**2 + variance)


def _fit(graph: Graph, edge: Floats, live: Bools, alike: Floats, own: Floats) -> Floats:
    """The logs [N] that fit best. One product with the weights gives a solve's matrix and right side both."""
    rows, free = graph.rows.copy(), graph.rows.shape[1] - 1
    rows[:, free] = edge
    squares = (rows[:, :, None] * rows[:, None, :]).reshape(len(edge), -1)
    signs = np.full(free + 1, -1.0)
    known, last = live * (_NOISE / alike) ** 2, live * (_NOISE / own) ** 2
    weight = known
    for turn in range(_ROUNDS + 1):
        normal = (weight @ squares).reshape(free + 1, free + 1)
        signs[:free] = np.linalg.solve(normal[:free, :free] + graph.ridge, normal[:free, free])
        if turn == _ROUNDS - 1:
            known, alike = last, own
        far = np.maximum(np.abs(rows @ signs) / alike, 1.0)
        weight = known / (far * np.sqrt(far))
    return signs[:free]


def _reached(graph: Graph, live: Bools) -> Bools:
    """Which currencies hang together with the dollar over live edges."""
    count = graph.rows.shape[1]
    step = np.minimum(live @ graph.links, 1.0).reshape(count, count) + np.eye(count)
    for _ in range((count - 1).bit_length()):  # each squaring doubles the length of the paths that are seen
        step = np.minimum(step @ step, 1.0)
    return np.asarray(step[0] > 0)
