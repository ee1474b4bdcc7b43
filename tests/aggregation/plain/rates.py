"""Plain twin of the conversion: reweighted least squares by loops and Gaussian elimination."""

from __future__ import annotations

import math

from core.aggregation.estimates import LegReason
from core.aggregation.markets import STABLECOINS
from tests.aggregation.plain.window import PlainLeg


def solve_rates(legs: list[PlainLeg], judged: list[LegReason]) -> dict[str, float]:
    """Dollars per unit of every currency with a path, by reweighted least squares on the logs."""
    currencies = {"USD"} | {leg.quote for leg in legs} | {leg.base for leg in legs if leg.base in STABLECOINS}
    edges = []
    for leg, reason in zip(legs, judged, strict=True):
        if leg.base in currencies and reason == LegReason.USED:
            edges.append((leg.base, leg.quote, math.log(leg.price)))
    reached = {"USD"}
    for _ in currencies:
        for base, quote, _ in edges:
            if base in reached or quote in reached:
                reached |= {base, quote}
    unknown = sorted(reached - {"USD"})
    edges = [edge for edge in edges if edge[0] in reached]
    logs = dict.fromkeys(reached, 0.0)
    weights = [1.0 for _ in edges]
    for _ in range(7):
        logs = {"USD": 0.0, **_least_squares(unknown, edges, weights)}
        residuals = [abs(log - logs[base] + logs[quote]) for base, quote, log in edges]
        weights = [max(residual / 1e-4, 1.0) ** -1.5 for residual in residuals]
    return {currency: math.exp(log) for currency, log in logs.items()}


def _least_squares(
    unknown: list[str], edges: list[tuple[str, str, float]], weights: list[float]
) -> dict[str, float]:
    """Normal equations."""
    n = len(unknown)
    rows = [[0.0] * (n + 1) for _ in range(n)]
    for i in range(n):
        rows[i][i] = 1e-15
    for (base, quote, log), weight in zip(edges, weights, strict=True):
        signs = [(c == base) - (c == quote) for c in unknown]
        for i in range(n):
            for j in range(n):
                rows[i][j] += weight * signs[i] * signs[j]
            rows[i][n] += weight * signs[i] * log
    return dict(zip(unknown, eliminated(rows), strict=True))


def eliminated(rows: list[list[float]]) -> list[float]:
    """What solves n equations, each a row of n factors and the right side; the rows are used up."""
    n = len(rows)
    for i in range(n):
        pivot = max(range(i, n), key=lambda row: abs(rows[row][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(n):
            if k != i:
                factor = rows[k][i] / rows[i][i]
                rows[k] = [a - factor * b for a, b in zip(rows[k], rows[i], strict=True)]
    return [rows[i][n] / rows[i][i] for i in range(n)]
