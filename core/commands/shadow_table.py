"""The shadow's live table and its summary, for a terminal."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group
from rich.table import Table
from rich.text import Text

from core.provider.shadow import FeedTally, Tally, farthest_first

NOTHING = "–"


def live_table(endpoint: str, counted: Tally, rows: int) -> Group:
    """The newest comparison and what it adds up to; at most so many rows, the farthest feeds first."""
    feeds = farthest_first(counted.feeds)
    left_out = len(feeds) - rows
    more = f"{left_out} nearer feeds are not shown" if left_out > 0 else ""
    return Group(Text(head(endpoint, counted)), _table(feeds[: max(1, rows)]), Text(more, style="dim"))


def summary(endpoint: str, counted: Tally) -> Group:
    """All feeds, and one sentence."""
    return Group(_table(farthest_first(counted.feeds)), Text(head(endpoint, counted)))


def head(endpoint: str, counted: Tally) -> str:
    """Counts in a sentence."""
    share = counted.share_in_secondary
    found = "nothing compared yet" if share is None else f"{share:.1%} of pairs in the secondary band"
    told = f"{endpoint}: {counted.comparisons} comparisons, {counted.failures} failed; {found}"
    if counted.last is None:
        return told
    when = datetime.fromtimestamp(counted.last.at, UTC).strftime("%H:%M:%S UTC")
    what = "now" if counted.last.voting_round is None else f"round {counted.last.voting_round}"
    failure = f"; the last failed: {counted.last.failure}" if counted.last.failure else ""
    return f"{told}; last at {when}, {what}{failure}"


def _table(feeds: list[FeedTally]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("feed")
    for name in ("ours", "theirs", "ppm", "mean", "mean |ppm|", "max", "our band", "secondary", "missing"):
        table.add_column(name, justify="right", no_wrap=True)
    for feed in feeds:
        table.add_row(*_cells(feed), style=_style(feed))
    return table


def _cells(feed: FeedTally) -> tuple[str, ...]:
    missing = [f"{count} {whose}" for count, whose in
               ((feed.missing_ours, "ours"), (feed.missing_theirs, "theirs")) if count]  # fmt: skip
    return (
        feed.feed,
        _price(feed.last.ours),
        _price(feed.last.theirs),
        _signed(feed.last.ppm),
        _signed(feed.ppm_mean),
        NOTHING if feed.ppm_abs_mean is None else f"{feed.ppm_abs_mean:,.0f}",
        f"{feed.ppm_abs_max:,.0f}" if feed.compared else NOTHING,
        _share(feed.in_our_band, feed.banded),
        _share(feed.in_secondary, feed.compared),
        ", ".join(missing),
    )


def _style(feed: FeedTally) -> str:
    if feed.last.ppm is None:
        return "dim"
    if not feed.last.in_secondary:
        return "red"
    return "yellow" if feed.last.in_our_band is False else ""


def _price(value: float | None) -> str:
    return NOTHING if value is None else f"{value:,.8g}"


def _signed(value: float | None) -> str:
    return NOTHING if value is None else f"{value:+,.0f}"


def _share(hits: int, of: int) -> str:
    return f"{hits / of:.0%}" if of else NOTHING
