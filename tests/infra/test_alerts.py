"""The alerts ask for metrics and states that the code has. Prometheus' own syntax is promtool's to check."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from chrono.venue_state import VenueState

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "infra/alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
SUFFIX = re.compile(r"_(total|bucket|count|sum)$")


def exported() -> set[str]:
    """The names of metrics in the core's sources, as they are made."""
    sources = (path.read_text() for path in (ROOT / "core").rglob("*.py"))
    return {name for text in sources for name in re.findall(r'"(chrono_[a-z_]+)"', text)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_asks_only_for_metrics_that_are_exported(rule: dict[str, str]) -> None:
    asked = {SUFFIX.sub("", name) for name in re.findall(r"\bchrono_[a-z_]+", rule["expr"])}
    assert asked <= exported()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_happened_and_what_to_look_at(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert set(rule["annotations"]) == {"summary", "description"}


def test_the_states_that_alerts_count_on_have_their_numbers() -> None:
    refused = (VenueState.BANNED, VenueState.FORBIDDEN, VenueState.GEO_BLOCKED)
    assert [int(state) for state in refused] == [3, 4, 5]
    assert (VenueState.RATE_LIMITED, VenueState.FAILING) == (2, 6)


def test_prometheus_reads_the_alerts() -> None:
    config = yaml.safe_load((ROOT / "infra/prometheus.yml").read_text())
    assert config["rule_files"] == ["alerts.yml"]
    assert config["scrape_configs"][0]["job_name"] == "chrono"
