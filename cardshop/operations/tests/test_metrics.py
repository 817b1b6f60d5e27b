"""/metrics: who may read it, what is in it, and that it answers whatever is away."""

import re

import pytest
import redis
from django.db import OperationalError
from django.test import Client
from django.urls import reverse
from prometheus_client.parser import text_string_to_metric_families

from cardshop.common.clock import db_now
from cardshop.operations import deploy_checks, standing
from cardshop.operations.management.commands.up import forget_counts
from cardshop.operations.metrics import SET_BY_PROXIES
from cardshop.outbox.models import OutboxMessage
from orders.services.transitions import ask_for_attention
from tests.factories import make_order, make_variant, pay_order
from tests.lines import click, make_sale, open_line, settle_all

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _unread(monkeypatch):
    monkeypatch.setattr(standing, "_last", None)


def scrape(client: Client | None = None) -> dict[tuple[str, frozenset], float]:
    answer = (client or Client()).get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def sample(seen: dict, name: str, **labels: str) -> float | None:
    return seen.get((name, frozenset(labels.items())))


# Who may


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.9", "fd00::7"])
def test_whoever_calls_directly_from_a_private_network_may_read(address):
    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 200


@pytest.mark.parametrize("address", ["203.0.114.9", "8.8.8.8", "2606:4700::1", ""])
def test_outsiders_find_nothing(address):
    assert Client(REMOTE_ADDR=address).get("/metrics").status_code == 404


@pytest.mark.parametrize("header", SET_BY_PROXIES)
def test_what_comes_through_a_proxy_is_not_taken_for_local(header):
    local = Client(REMOTE_ADDR="127.0.0.1")
    assert local.get("/metrics", headers={header: "10.0.0.1"}).status_code == 404


def test_with_a_token_it_alone_counts(settings):
    settings.METRICS_TOKEN = "of-prometheus"

    def status(address: str, authorization: str) -> int:
        asking = Client(REMOTE_ADDR=address, HTTP_AUTHORIZATION=authorization)
        return asking.get("/metrics").status_code

    assert status("8.8.8.8", "Bearer of-prometheus") == 200
    assert status("127.0.0.1", "Bearer of-somebody") == 404
    assert status("127.0.0.1", "Bearer \xfcnlike") == 404
    assert status("127.0.0.1", "") == 404


def test_nobody_keeps_it():
    assert "no-store" in Client().get("/metrics").headers["Cache-Control"]


# What


def test_requests_are_counted_by_route_and_never_by_path():
    client = Client()
    token = make_order(make_variant(keys=1)).token
    before = scrape(client)
    assert client.get(reverse("order", args=[token])).status_code == 200
    client.get("/there-is-nothing/called/so/")
    client.generic("BREW", "/healthz")

    text = client.get("/metrics").content.decode()

    assert token not in text
    assert "called" not in text
    assert "BREW" not in text
    after = scrape(client)
    health = {"pool": "web", "part": "page", "route": "healthz", "method": "other", "status": "4xx"}
    added = sample(after, "cardshop_http_requests_total", **health) or 0
    assert added - (sample(before, "cardshop_http_requests_total", **health) or 0) == 1


@pytest.mark.usefixtures("line")
def test_how_a_line_stands_is_read_when_it_is_asked_for():
    sale = make_sale(keys=1)
    allocator = open_line(sale)
    for _ in range(2):
        click(sale.variant)
    settle_all(allocator)

    seen = scrape()

    code = sale.variant.code
    assert sample(seen, "cardshop_line_tickets", variant=code) == 1
    assert sample(seen, "cardshop_stock_units", variant=code, state="held") == 1
    assert sample(seen, "cardshop_line_served", variant=code) == 0  # it steps, and holds no lease
    assert sample(seen, "cardshop_unpaid_orders") == 1


def test_a_paid_order_without_keys_shows_by_its_promise():
    order = make_order(make_variant(keys=1))
    pay_order(order)

    seen = scrape()

    assert sample(seen, "cardshop_outbox_open", task="orders.deliver") == 1
    assert sample(seen, "cardshop_outbox_age_seconds", task="orders.deliver") > 0
    assert sample(seen, "cardshop_outbox_given_up", task="orders.deliver") == 0


def test_what_waits_for_a_person_is_counted_by_kind():
    order = make_order(make_variant(keys=1))
    pay_order(order)
    ask_for_attention(order, "a test", now=db_now())
    OutboxMessage.objects.update(attention="a test")

    seen = scrape()

    assert sample(seen, "cardshop_attention", kind="orders") == 1
    assert sample(seen, "cardshop_attention", kind="refunds") == 0
    assert sample(seen, "cardshop_outbox_given_up", task="orders.deliver") == 1


# What is away


def test_without_postgresql_what_was_counted_is_still_told(monkeypatch):
    def gone(*_):
        raise OperationalError

    monkeypatch.setattr(standing, "_outbox", gone)

    seen = scrape()

    assert sample(seen, "cardshop_up", part="postgresql") == 0
    assert sample(seen, "cardshop_up", part="redis") == 1
    assert not any(name == "cardshop_attention" for name, _labels in seen)
    assert any(name == "cardshop_http_requests_total" for name, _labels in seen)


def test_without_redis_the_rows_are_still_told(monkeypatch):
    def gone():
        raise redis.ConnectionError

    monkeypatch.setattr(standing, "connect", gone)

    seen = scrape()

    assert sample(seen, "cardshop_up", part="redis") == 0
    assert sample(seen, "cardshop_up", part="postgresql") == 1
    assert sample(seen, "cardshop_attention", kind="orders") == 0


def test_who_hurries_is_told_what_was_read_a_moment_ago(django_assert_num_queries):
    scrape()

    with django_assert_num_queries(0):
        scrape()


def test_a_deployment_whose_processes_count_alone_is_told_so(monkeypatch):
    assert [caution.id for caution in deploy_checks.processes_count_together(None)] == ["cardshop.W001"]

    monkeypatch.setattr(deploy_checks, "FOLDER", "/run/cardshop/metrics")

    assert deploy_checks.processes_count_together(None) == []


def test_a_run_begins_without_the_counts_of_the_last(tmp_path):
    folder = tmp_path / "metrics"
    folder.mkdir()
    (folder / "counter_0.db").write_bytes(b"of another version")

    forget_counts(folder)

    assert list(folder.iterdir()) == []


def test_nothing_in_it_looks_like_a_secret():
    order = make_order(make_variant(keys=1))
    pay_order(order)

    said = {value for _name, labels in scrape() for _label, value in labels}

    assert [value for value in said if "@" in value or re.search(r"[\w-]{22}", value)] == []
