"""What the Worker tells of itself: one document, and the page that shows it to a person.

Knows words and numbers only. No address of the core, no secret and no host that is not public goes in here.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from chrono.feeds import FEEDS, LEGS
from chrono.venue_state import VenueReport
from station.backlog import Place
from station.config import Config
from station.cycle import Station, Usage

SUBREQUESTS_FREE: Final = 50
_DAY_S: Final = 86_400

Document = dict[str, Any]


def group_document(name: str, station: Station, config: Config, key_id: bytes, at: float) -> Document:
    """One group, as its own object sees it."""
    backlog, totals = station.backlog, station.backlog.totals
    last = backlog.last_batch
    return {
        "name": name,
        "venues": [_venue(report, station) for report in station.reports()],
        "assigned": list(station.venues),
        "paused": station.is_paused,
        "key_id": key_id.hex(),
        "cycles": station.cycles,
        "last_cycle_at": station.cycle_at,
        "silent_s": None if station.cycle_at is None else round(at - station.cycle_at, 3),
        "last_batch": None
        if last is None
        else {"sequence": last.sequence, "ticks": last.ticks, "delivered_at": last.at},
        "backlog": {
            "ticks": backlog.ticks,
            "in_memory": backlog.count(Place.MEMORY),
            "stored": backlog.count(Place.STORED),
            "stored_max": config.stored_max,
            "queued": backlog.count(Place.QUEUED),
            "queued_max": config.queued_max,
            "retry_at": backlog.retry_at,
        },
        "batches": {
            "delivered": totals.batches_delivered,
            "refused_by_core": totals.batches_refused,
            "dropped": totals.batches_dropped,
        },
        "ticks": {
            "collected": totals.ticks_collected + backlog.ticks_lost_before,
            "delivered": totals.ticks_delivered,
            "refused_by_core": totals.ticks_refused,
            "dropped": totals.ticks_dropped + backlog.ticks_lost_before,
        },
        "cycle": {"last": _usage(station.last), "most": _usage(station.most)},
        "refused_until": station.refused_places(),
    }


def status_document(config: Config, groups: Sequence[Document], at: float) -> Document:
    """The whole Worker. `groups` are those that answered."""
    cycles_a_day = round(_DAY_S / config.interval_s)
    return {
        "at": at,
        "feeds": len(FEEDS),
        "legs": len(LEGS),
        "interval_s": config.interval_s,
        "groups": list(groups),
        "silent_groups": sorted({group.name for group in config.groups} - {each["name"] for each in groups}),
        "quota": {
            "subrequests_max": SUBREQUESTS_FREE,
            "subrequests_most": max((each["cycle"]["most"]["subrequests"] for each in groups), default=0),
            "alarms_a_day": cycles_a_day * sum(bool(each["assigned"]) for each in groups),
            "work_ms_most": max((each["cycle"]["most"]["work_ms"] or 0.0 for each in groups), default=0.0)
            or None,
        },
    }


def status_page(document: Document) -> str:
    """A small page; every text in it is escaped."""
    rows = "".join(
        _row(
            group["name"], venue["venue"], venue["state"], venue["requests"], venue["failures"], venue["host"]
        )
        for group in document["groups"]
        for venue in group["venues"]
    )
    groups = "".join(
        _row(
            group["name"],
            "paused" if group["paused"] else "collecting" if group["assigned"] else "stands by",
            group["silent_s"],
            group["backlog"]["ticks"],
            group["ticks"]["delivered"],
            group["ticks"]["dropped"],
        )
        for group in document["groups"]
    )
    return _PAGE.format(
        groups=_table(
            ("group", "state", "s since its cycle", "ticks waiting", "ticks delivered", "dropped"), groups
        ),
        venues=_table(("group", "venue", "state", "requests", "failed", "host"), rows),
        silent=html.escape(", ".join(document["silent_groups"]) or "none"),
        interval=document["interval_s"],
        legs=document["legs"],
        feeds=document["feeds"],
    )


def refusals_of(groups: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """What the watchdog assigns by."""
    return {group["name"]: dict(group["refused_until"]) for group in groups}


def _venue(report: VenueReport, station: Station) -> Document:
    return report.told() | {
        "refused_rows": {str(reason): count for reason, count in report.refused.items()},
        "host": station.host(report.venue),
    }


def _usage(usage: Usage) -> Document:
    return {
        "subrequests": usage.subrequests,
        "posts": usage.posts,
        "bytes_in": usage.bytes_in,
        "bytes_out": usage.bytes_out,
        "ticks": usage.ticks,
        "wall_ms": round(usage.wall_ms, 1),
        "work_ms": round(usage.work_ms, 1) or None,  # None: the runtime's clock stands still while code runs
    }


def _table(heads: Sequence[str], rows: str) -> str:
    return "<table><tr>" + "".join(f"<th>{html.escape(head)}" for head in heads) + f"</tr>{rows}</table>"


def _row(*cells: object) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(str(cell))}" for cell in cells) + "</tr>"


_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="10"><title>Probe</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem;
  color-scheme: light dark }}
table {{ border-collapse: collapse; width: 100%; margin: 1rem 0 }}
td, th {{ text-align: left; padding: .25rem .5rem; border-bottom: 1px solid #8884 }}
</style>
<h1>Probe</h1>
<p>Collects {legs} legs of {feeds} feeds, a cycle each {interval} s. Groups that do not answer: {silent}.
The same as JSON: <a href="/status">/status</a>.</p>
{groups}
{venues}
"""
