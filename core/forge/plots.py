"""Pictures of a run: calibration, error by volatility, what each feed pays, attribution by venue.

Draws with matplotlib into files, without a display. Knows results; measures nothing itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from core.forge.arena import Plan, Result

_SHOWN: Final = 6
_BINS: Final = 8
_NARROW: Final = 20
"""More feeds than these need twice the width."""
_DPI: Final = 110


def draw_plots(folder: Path, plan: Plan, results: Sequence[Result]) -> list[Path]:
    """Draw all plots into a folder, which is made where it is missing; returns the files."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    folder.mkdir(parents=True, exist_ok=True)
    chosen = _best(plan, results)
    drawn = []
    for name, draw in (
        ("calibration", _calibration),
        ("error-by-volatility", _by_volatility),
        ("reward-by-feed", _by_feed),
        ("venues", _by_venue),
    ):
        wide = name == "reward-by-feed" and len(plan.feeds) > _NARROW
        figure = Figure(figsize=(16, 5) if wide else (8, 5), layout="constrained")
        FigureCanvasAgg(figure)
        draw(figure.add_subplot(), plan, results, chosen)
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=_DPI, metadata={"Software": None})
        drawn.append(path)
    return drawn


def _best(plan: Plan, results: Sequence[Result]) -> list[int]:
    """The entrants to show: the one in production, and those that earn most."""
    reward = np.concatenate([result.reward for result in results], axis=1).mean(axis=(1, 2))
    order = np.argsort(-reward).tolist()
    live = [place for place, name in enumerate(plan.entrants) if name == "chrono"]
    return list(dict.fromkeys([*live, *order]))[:_SHOWN]


def _calibration(axes: Any, plan: Plan, results: Sequence[Result], chosen: Sequence[int]) -> None:
    """How often the median lies within a multiple of the stated band, in all and by regime."""
    regime = np.array([name for result in results for name in result.regime])
    distance = np.concatenate([result.distance_ppm for result in results], axis=1)
    width = np.concatenate([result.width_ppm for result in results], axis=1) / 2
    kinds = sorted(set(regime.tolist()))
    for place in chosen:
        ratio = np.abs(distance[place]) / width[place]
        _draw_shares(axes, ratio, plan.entrants[place], linewidth=2.0)
        for kind in kinds if len(kinds) > 1 else ():
            _draw_shares(axes, ratio[regime == kind], f"{plan.entrants[place]}, {kind}", linewidth=0.9)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.axhline(0.9, color="grey", linewidth=0.8, linestyle="--")
    axes.set(xlabel="multiple of the stated half width", ylabel="share of medians within", ylim=(0, 1))
    axes.set_title("Calibration: a stated 90 % band crosses the dashed line at 1")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")


def _draw_shares(axes: Any, ratio: Any, label: str, linewidth: float) -> None:
    known = ratio[np.isfinite(ratio)]
    if known.size:
        factors = np.linspace(0, 3, 61)
        shares = [np.mean(known <= factor) for factor in factors]
        axes.plot(factors, shares, label=label, linewidth=linewidth)


def _by_volatility(axes: Any, plan: Plan, results: Sequence[Result], chosen: Sequence[int]) -> None:
    """The median distance to the median, by how far the median moved since the round before."""
    moved = np.concatenate([result.volatility_ppm for result in results])
    distance = np.abs(np.concatenate([result.distance_ppm for result in results], axis=1))
    edges = np.unique(np.percentile(moved, np.linspace(0, 100, _BINS + 1)))
    bins = np.clip(np.searchsorted(edges, moved, side="right") - 1, 0, len(edges) - 2)
    filled = np.unique(bins)
    middles = [np.median(moved[bins == each]) for each in filled]
    for place in chosen:
        errors = [_median(distance[place][bins == each]) for each in filled]
        axes.plot(middles, errors, marker="o", label=plan.entrants[place])
    axes.set(xlabel="move of the median since the round before, ppm", ylabel="median distance, ppm")
    axes.set_xscale("symlog", linthresh=10)
    axes.set_title("Error by volatility")
    axes.legend()


def _by_feed(axes: Any, plan: Plan, results: Sequence[Result], chosen: Sequence[int]) -> None:
    """Reward for each unit of weight, by feed."""
    reward = np.concatenate([result.reward for result in results], axis=1).mean(axis=1)
    feeds = np.arange(len(plan.feeds))
    width = 0.8 / len(chosen)
    for rank, place in enumerate(chosen):
        axes.bar(feeds + rank * width, reward[place], width, align="edge", label=plan.entrants[place])
    axes.axhline(1.0, color="grey", linewidth=0.8)
    axes.set_xticks(feeds + 0.4, [name.partition("/")[0] for name in plan.feeds], rotation=90)
    axes.set(ylabel="reward for each unit of weight", title="What each feed pays")
    axes.set(xlim=(-0.2, len(feeds)), ylim=(0, 1.2 * np.nanmax(reward[list(chosen)])))
    axes.legend(fontsize="small", loc="upper center", ncols=len(chosen))


def _by_venue(axes: Any, plan: Plan, results: Sequence[Result], chosen: Sequence[int]) -> None:
    """How far each venue was from the round's median, in feeds' middle distances: whom the median follows."""
    names = list(dict.fromkeys(name for result in results for name in result.venues))
    by_feed = np.array([_venue_errors(results, name, len(plan.feeds)) for name in names])
    middle = np.array([_median(errors) for errors in by_feed.T])
    relative = {name: _mean(errors / middle) for name, errors in zip(names, by_feed, strict=True)}
    known = sorted((name for name in names if relative[name] > 0), key=lambda name: -relative[name])
    axes.barh(known, [relative[name] for name in known], color="tab:blue")
    live = np.abs(np.concatenate([result.distance_ppm[chosen[0]] for result in results]))
    own = np.array([_median(errors) for errors in live.T])
    axes.axvline(_mean(own / middle), color="tab:red", label=plan.entrants[chosen[0]])
    axes.set(xlabel="distance to the round's median; 1 is the middle venue of each feed")
    axes.set_title("Attribution: whom the median follows")
    axes.legend()


def _venue_errors(results: Sequence[Result], name: str, feeds: int) -> Any:
    """The median distance of a venue by feed, NaN where it has no market."""
    parts = [
        np.abs(result.venue_distance_ppm[result.venues.index(name)])
        for result in results
        if name in result.venues
    ]
    joined = np.concatenate(parts)
    return np.array([_median(joined[:, feed]) for feed in range(feeds)])


def _median(values: Any) -> float:
    known = values[~np.isnan(values)]
    return float(np.median(known)) if known.size else float("nan")


def _mean(values: Any) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else float("nan")
