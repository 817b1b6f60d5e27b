"""A person has dealt with it: it no longer waits, and its history says what was done."""

import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection

from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.transitions import ask_for_attention
from orders.states import OrderStatus
from payments.checkout.cancelling import cancel_order
from payments.gateways.base import Evidence
from payments.models import Receipt
from payments.selectors import WAITS_FOR_PERSON
from payments.services.evidence import (
    CONTRADICTS,
    LATE,
    SHORT,
    TWICE,
    UNKNOWN,
    settle_receipt,
)
from payments.services.resolving import DEALT_WITH, WHAT_MAX, NothingWaits, resolve_order, resolve_receipt
from tests.factories import (
    make_attempt,
    make_channel,
    make_order,
    make_variant,
    paid_evidence,
    pay_order,
    settle_evidence,
)
from tests.race.racing import broken_invariants, race
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

ORDERS, RECEIPTS = "/admin/orders/order/", "/admin/payments/receipt/"
ALARM = '<div data-state="bad">'  # of a figure on the first page


def short_order() -> Order:
    order = make_order(make_variant(keys=1))
    pay_order(order, txn="SHORT", amount_minor=1)
    order.refresh_from_db()
    assert order.attention == SHORT
    return order


def late_order() -> Order:
    """Its money came when the hold had ended and the last key was gone."""
    variant = make_variant(keys=1)
    order = make_order(variant)
    cancel_order(order, now=db_now())
    attempt = make_attempt(order)
    make_order(variant)
    settle_evidence(attempt.channel, paid_evidence(attempt))
    order.refresh_from_db()
    assert (order.status, order.attention) == (OrderStatus.CANCELLED, LATE)
    return order


def paid_twice() -> Receipt:
    order = make_order(make_variant(keys=1))
    pay_order(order)
    pay_order(order, txn="DOUBLE")
    receipt = Receipt.objects.get(provider_txn_id="DOUBLE")
    assert receipt.attention == TWICE
    return receipt


def unknown_money() -> Receipt:
    channel = make_channel()
    evidence = Evidence(
        out_trade_no="nobody's", provider_txn_id="STRAY", paid=True, amount_minor=990, currency="CNY"
    )
    settle_evidence(channel, evidence, source="notice")
    receipt = Receipt.objects.get()
    assert receipt.attention == UNKNOWN
    return receipt


def waiting() -> int:
    return Receipt.objects.filter(WAITS_FOR_PERSON).count()


def press(client, address: str, pk: int, what: str = "refunded by hand", **changes: str):
    """Fill in the form that is on the page, as a person does."""
    page = client.get(f"{address}{pk}/change/").content.decode()
    form = re.search(r'<form[^>]*action="([^"]*dealt-with/)".*?</form>', page, re.DOTALL)
    assert form, "no such button"
    why = re.search(r'name="why" value="([^"]*)"', form[0])
    said = {"why": unescape(why[1]), "what": what, **changes}
    return client.post(form[1], said, follow=True)


@pytest.fixture
def boss():
    return logged_in(make_boss())


@pytest.mark.parametrize("make", [short_order, late_order])
def test_an_order_dealt_with_waits_no_more_and_neither_does_its_money(boss, make):
    order = make()
    receipt = Receipt.objects.get()
    before = receipt.status, receipt.attention

    page = press(boss, ORDERS, order.pk).content.decode()

    status = order.status
    order.refresh_from_db()
    receipt.refresh_from_db()
    assert (order.status, order.attention) == (status, "")
    assert (receipt.status, receipt.attention, receipt.resolved_by) == (*before, "boss")
    assert waiting() == 0
    event = order.events.last()
    assert (event.reason, event.actor) == ("dealt with: refunded by hand", "boss")
    assert event.before == event.after == status
    assert "dealt with: refunded by hand" in page
    assert 'id="dealt-with-form"' not in page


def test_money_of_a_delivered_order_goes_into_the_orders_history(boss):
    receipt = paid_twice()

    press(boss, RECEIPTS, receipt.pk)

    receipt.refresh_from_db()
    assert (receipt.status, receipt.attention, receipt.resolved_by) == ("attention", TWICE, "boss")
    assert Order.objects.get().events.last().reason == "dealt with: refunded by hand"
    assert broken_invariants() == []


def test_money_without_an_order_goes_into_the_log(boss):
    receipt = unknown_money()

    press(boss, RECEIPTS, receipt.pk, "given to Lin")

    assert waiting() == 0
    assert LogEntry.objects.get().change_message == "dealt with: given to Lin"
    assert "given to Lin" in boss.get(f"{RECEIPTS}{receipt.pk}/history/").content.decode()


def test_list_filter_and_first_page_count_it_as_done(boss):
    receipt = paid_twice()
    order = short_order()
    assert boss.get("/admin/").content.decode().count(ALARM) == 2
    press(boss, RECEIPTS, receipt.pk)
    press(boss, ORDERS, order.pk)

    assert ALARM not in boss.get("/admin/").content.decode()
    assert "DOUBLE" not in boss.get(f"{RECEIPTS}?attention=yes").content.decode()
    done = boss.get(f"{RECEIPTS}?attention=no").content.decode()
    assert "DOUBLE" in done
    assert f"{TWICE} (dealt with)" in done
    latest = Receipt.objects.first()
    assert Receipt.objects.filter(attention="").first() not in (latest, receipt)
    everything = boss.get(RECEIPTS).content.decode()
    assert everything.index(latest.provider_txn_id) < everything.index("DOUBLE")  # by age again


def test_it_takes_a_post_a_token_a_permission_and_a_note(boss):
    order, receipt = short_order(), Receipt.objects.get()
    looker = logged_in(make_clerk("orders.view_order", "payments.view_receipt"))
    strict = logged_in(make_boss("strict"))
    strict.handler.enforce_csrf_checks = True
    said = {"why": SHORT, "what": "refunded"}
    for address in (f"{ORDERS}{order.pk}/", f"{RECEIPTS}{receipt.pk}/"):
        assert "dealt-with" not in looker.get(f"{address}change/").content.decode()
        looker.post(f"{address}dealt-with/", said)
        assert boss.get(f"{address}dealt-with/").status_code == 405
        assert strict.post(f"{address}dealt-with/", said).status_code == 403
        for what in ("", "  ", "x" * (WHAT_MAX + 1), "a\0b"):
            page = boss.post(f"{address}dealt-with/", {"why": SHORT, "what": what}, follow=True)
            assert "Say in a few words" in page.content.decode()
    order.refresh_from_db()
    assert (order.attention, waiting()) == (SHORT, 1)
    press(boss, ORDERS, order.pk, "x" * WHAT_MAX)
    assert order.events.last().reason == f"{DEALT_WITH}: {'x' * WHAT_MAX}"


def test_a_reason_that_nobody_saw_is_not_dismissed(boss):
    order = short_order()
    page = press(boss, ORDERS, order.pk, why=LATE)
    order.refresh_from_db()
    assert "nothing to do" in page.content.decode()
    assert (order.attention, waiting()) == (SHORT, 1)


def test_a_paid_order_waits_for_its_keys_and_not_for_words(boss):
    order = make_order(make_variant(keys=1))
    pay_order(order)
    ask_for_attention(order, "no keys", now=db_now())
    assert "dealt-with" not in boss.get(f"{ORDERS}{order.pk}/change/").content.decode()
    with pytest.raises(NothingWaits):
        resolve_order(order, why="no keys", what="?", actor="boss", now=db_now())
    order.refresh_from_db()
    assert order.attention == "no keys"


def test_what_does_not_wait_cannot_be_dealt_with():
    order = make_order(make_variant(keys=1))
    receipt = pay_order(order).receipts.get()
    with pytest.raises(NothingWaits):
        resolve_order(order, why="", what="?", actor="boss", now=db_now())
    with pytest.raises(NothingWaits):
        resolve_receipt(receipt, why="", what="?", actor="boss", now=db_now())


@pytest.mark.parametrize(("make", "resolve"), [(short_order, resolve_order), (paid_twice, resolve_receipt)])
def test_of_many_at_once_one_has_dealt_with_it(make, resolve):
    row = make()
    order = Order.objects.get()
    events = order.events.count()

    outcomes = race(6, lambda: resolve(row, why=row.attention, what="refunded", actor="boss", now=db_now()))

    assert [isinstance(outcome, NothingWaits) for outcome in outcomes].count(False) == 1
    assert order.events.count() == events + 1


def test_news_opens_again_what_was_dealt_with_and_old_news_does_not():
    receipt = paid_twice()
    resolve_receipt(receipt, why=TWICE, what="refunded", actor="boss", now=db_now())
    other = paid_evidence(receipt.attempt, txn="DOUBLE", amount_minor=1)

    settle_evidence(receipt.channel, other)

    receipt.refresh_from_db()
    assert (receipt.attention, receipt.resolved_at, receipt.resolved_by) == (CONTRADICTS, None, "")
    resolve_receipt(receipt, why=CONTRADICTS, what="asked them", actor="boss", now=db_now())
    settle_evidence(receipt.channel, other)
    assert waiting() == 0


def test_a_reason_found_at_settling_opens_again():
    receipt = unknown_money()
    resolve_receipt(receipt, why=UNKNOWN, what="seen", actor="boss", now=db_now())
    with connection.cursor() as cursor:  # as if contradicted, and dealt with, before it was settled
        cursor.execute("UPDATE payments_receipt SET status = 'recorded'")

    settle_receipt(receipt.pk, now=db_now())
    assert waiting() == 1
