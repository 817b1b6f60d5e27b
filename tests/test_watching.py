"""Dashboard, alerts and documentation speak of the metrics that exist, and of all of them."""

import json
import re

import promql_parser
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

import cardshop.outbox.metrics
import cardshop.traffic.metrics
import orders.metrics
import payments.metrics
import resellers.metrics
from cardshop.operations.metrics import GAUGES
from tests.stack import REPOSITORY

APPS = (
    cardshop.traffic.metrics,
    cardshop.outbox.metrics,
    orders.metrics,
    payments.metrics,
    resellers.metrics,
)
SUFFIXES = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}
DASHBOARD = json.loads((REPOSITORY / "deploy/grafana/cardshop.json").read_text())
ALERTS = yaml.safe_load((REPOSITORY / "deploy/prometheus/alerts.yml").read_text())
RULES = [rule for group in ALERTS["groups"] for rule in group["rules"]]
TARGETS = [target for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
# Prometheus' own.
OF_PROMETHEUS = {"up": {"job", "instance"}}


def counted() -> list[MetricWrapperBase]:
    return [each for app in APPS for each in vars(app).values() if isinstance(each, MetricWrapperBase)]


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    """What is said of each metric, and its labels, by its name as Prometheus has it."""
    ours = {
        each._name + ("_total" if each._type == "counter" else ""): (each._documentation, each._labelnames)
        for each in counted()
    }
    return ours | GAUGES


def labels_by_series() -> dict[str, set[str]]:
    """The labels of every series that can be asked for."""
    series = {name: set(labels) for name, (_text, labels) in GAUGES.items()} | OF_PROMETHEUS
    for each in counted():
        for suffix in SUFFIXES[each._type]:
            series[each._name + suffix] = {*each._labelnames, *(["le"] if suffix == "_bucket" else [])}
    return series


def parts(expression: promql_parser.Expr) -> list[promql_parser.Expr]:
    """The expression, and all that it is made of."""
    found: list[promql_parser.Expr] = []
    promql_parser.walk(expression, found.append)
    return found


def selectors(expression: promql_parser.Expr) -> list[promql_parser.VectorSelector]:
    return [part for part in parts(expression) if isinstance(part, promql_parser.VectorSelector)]


def wrongs(text: str) -> list[str]:
    """What the expression asks for that there is not. Raises ValueError for what is none."""
    expression, known, found = promql_parser.parse(text), labels_by_series(), []
    for part in parts(expression):
        if isinstance(part, promql_parser.VectorSelector):
            if part.name not in known:
                found.append(f"there is no {part.name}")
                continue
            asked = {matcher.name for matcher in part.matchers.matchers}
            found += [f"{part.name} has no {label}" for label in asked - known[part.name]]
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier:
            for selector in selectors(part.expr):
                missing = set(part.modifier.labels) - known.get(selector.name, set())
                found += [f"{selector.name} has no {label}" for label in missing]
    return found


def labels_left(text: str) -> set[str]:
    """Of what the expression results in."""
    expression = promql_parser.parse(text)
    grouped = [
        set(part.modifier.labels)
        for part in parts(expression)
        if isinstance(part, promql_parser.AggregateExpr) and part.modifier
    ]
    if grouped:
        return set.intersection(*grouped)
    return set.intersection(*(labels_by_series()[one.name] for one in selectors(expression)))


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_what_there_is(rule):
    assert wrongs(rule["expr"]) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_is_wrong_and_what_to_do(rule):
    summary, description = rule["annotations"]["summary"], rule["annotations"]["description"]

    assert summary.endswith(".")
    assert description.endswith(".")
    assert len(description) > len(summary) / 2
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(re.findall(r"\$labels\.(\w+)", summary + description)) <= labels_left(rule["expr"])


def test_alerts_have_names_of_their_own():
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"])
def test_the_dashboard_asks_for_what_there_is(target):
    assert wrongs(target["expr"]) == []
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= labels_left(target["expr"])


def test_the_dashboard_shows_every_metric():
    asked = {one.name for target in TARGETS for one in selectors(promql_parser.parse(target["expr"]))}
    shown = {re.sub("_(bucket|count|sum)$", "", name) for name in asked}

    assert documented().keys() - shown == set()


def test_panels_have_numbers_and_places_of_their_own():
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)


def test_the_example_reads_the_alerts():
    example = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yml").read_text())
    assert example["rule_files"] == ["alerts.yml"]
    assert [job["job_name"] for job in example["scrape_configs"]] == ["cardshop"]


def test_the_documentation_has_every_metric_as_it_is():
    text = (REPOSITORY / "docs/metrics.md").read_text()
    in_table = [line for line in text.splitlines() if line.startswith("| `cardshop_")]

    assert in_table == [
        f"| `{name}` | {', '.join(labels)} | {said} |"
        for name, (said, labels) in sorted(documented().items())
    ]


def test_every_metric_is_ours_by_name():
    assert [name for name in documented() if not name.startswith("cardshop_")] == []


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("cardshop_nothing > 1", "there is no cardshop_nothing"),
        ('rate(cardshop_mails_total{shop="x"}[1m])', "cardshop_mails_total has no shop"),
        ("sum by (shop) (cardshop_attention)", "cardshop_attention has no shop"),
    ],
)
def test_control_what_is_not_there_is_found(expression, wrong):
    assert wrongs(expression) == [wrong]
