"""The page for three in the morning: who sees it, and what it says when something is wrong."""

from datetime import timedelta

import pytest
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.operations import standing
from cardshop.outbox.models import OutboxMessage
from orders.services.transitions import ask_for_attention
from payments.gateways import guard
from payments.gateways.base import NotAsked, Unreachable
from tests.factories import make_channel, make_order, make_shop, make_variant, pay_order
from tests.lines import click, make_sale, open_line, settle_all
from tests.staff import logged_in, make_boss, make_member

pytestmark = pytest.mark.django_db(transaction=True)

PAGE, NUMBERS = "/admin/operations/", "/admin/operations/numbers/"


@pytest.fixture(autouse=True)
def _unread(monkeypatch):
    monkeypatch.setattr(standing, "_last", None)


@pytest.fixture
def boss() -> Client:
    return logged_in(make_boss())


def told(client: Client) -> dict:
    answer = client.get(NUMBERS)
    assert answer.status_code == 200
    assert "no-store" in answer.headers["Cache-Control"]
    return answer.json()


@pytest.mark.usefixtures("line")
def test_all_is_well_and_said_so(boss):
    seen = told(boss)

    assert (seen["state"], seen["words"], seen["alarms"]) == ("", "All is well", [])
    assert "Nothing waits to be done." in seen["figures"]
    assert b"All is well" in boss.get(PAGE).content


@pytest.mark.parametrize("address", [PAGE, NUMBERS])
def test_it_is_for_those_who_run_the_installation(boss, address):
    assert boss.get(address).status_code == 200
    assert logged_in(make_member(make_shop())).get(address).status_code == 403
    assert Client().get(address).status_code == 302


def test_the_sidebar_lists_it_for_them_alone(boss):
    assert PAGE.encode() in boss.get("/admin/").content
    assert PAGE.encode() not in logged_in(make_member(make_shop())).get("/admin/").content


def test_ways_to_pay_are_told_of(boss):
    make_channel()

    assert "Ways to pay" in told(boss)["figures"]


def test_who_has_paid_and_waits_for_two_minutes_is_an_alarm(boss):
    pay_order(make_order(make_variant(keys=1)))
    OutboxMessage.objects.update(created_at=db_now() - timedelta(seconds=121))

    seen = told(boss)

    assert seen["state"] == "bad"
    assert seen["alarms"] == [
        "Somebody has paid and has no key for more than two minutes: see that the workers run."
    ]
    assert "the oldest for 2 minutes" in seen["figures"]


def test_what_waits_for_a_person_asks_for_a_look(boss):
    order = make_order(make_variant(keys=1))
    ask_for_attention(order, "a test", now=db_now())

    assert told(boss)["state"] == "look"


@pytest.mark.usefixtures("line")
def test_a_line_that_nobody_serves_is_an_alarm(boss):
    sale = make_sale(keys=1)
    allocator = open_line(sale)
    click(sale.variant)
    settle_all(allocator)

    (alarm,) = told(boss)["alarms"]

    assert sale.variant.code in alarm


@pytest.mark.usefixtures("line")
def test_a_method_none_of_whose_channels_answers_is_an_alarm(boss):
    channel = make_channel()
    for _ in range(5):
        with pytest.raises((Unreachable, NotAsked)), guard(f"channel:{channel.pk}", "create", slug="x"):
            raise Unreachable("a test")

    assert ["No channel takes" in alarm for alarm in told(boss)["alarms"]] == [True]


def test_without_postgresql_it_says_so(boss, monkeypatch):
    away = standing.Standing(has_postgresql=False, has_redis=True)
    monkeypatch.setattr(standing, "_read", lambda: away)

    seen = told(boss)

    assert seen["state"] == "bad"
    assert seen["alarms"][0].startswith("PostgreSQL does not answer")


def test_in_chinese(boss):
    page = boss.get(PAGE, headers={"accept-language": "zh-hans"}).content.decode()

    assert "此刻" in page
    assert "一切正常" in page


def test_requests_are_told_by_pool(boss):
    boss.get(PAGE)

    (web,) = told(boss)["pools"].values()

    assert web["requests"] >= web["errors"] >= 0
    assert web["within"]["+Inf"] == web["requests"]
