"""What is forgotten, and when; and that the books, the limits and the lines do not notice."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event, Thread

import pytest
from axes.models import AccessAttempt, AccessLog
from django.conf import settings as shop_settings
from django.contrib.sessions.models import Session
from django.core import mail
from django.core.management import call_command
from django.db import connection, transaction

from cardshop.common import retention as rules
from cardshop.common.clock import db_now
from cardshop.common.locks import lock_rows
from cardshop.operations import verify as verifying
from cardshop.operations.retention import RETENTIONS, prune
from cardshop.operations.verify import verify
from cardshop.outbox.models import OutboxMessage
from orders.admission.opening import unsettled
from orders.errors import LimitReached
from orders.models import Order, Registration, Sale, Ticket
from orders.services.delivery import complete_delivered_orders, deliver_orders
from orders.services.mail import mail_delivered_orders
from orders.services.transitions import ask_for_attention
from payments.gateways.base import RawCall
from payments.models import PaymentAttempt, Receipt, Refund, RefusedNotice, WebhookEvent
from payments.services import retention as of_payments
from payments.services.evidence import OVER
from payments.services.notices import apply_notices, receive_notice
from payments.services.refunds import request_refund
from payments.states import EventOutcome
from tests.factories import (
    make_attempt,
    make_by_hand,
    make_channel,
    make_order,
    make_variant,
    notice_query,
    pay_order,
)
from tests.lines import click, make_sale, open_line, settle_all

pytestmark = pytest.mark.django_db(transaction=True)

LONG_AGO = timedelta(days=400)
LIN = "lin@example.org"


@pytest.fixture(autouse=True)
def _no_provider(monkeypatch):
    monkeypatch.setattr(verifying, "ledger_differences", lambda settled: iter(()))


def broken() -> dict[str, list[str]]:
    return {result.name: result.findings for result in verify(settled=True) if result.findings}


def completed(variant, **order: object) -> Order:
    """Bought, delivered and without complaint, all of it long ago."""
    made = make_order(variant, **order)
    pay_order(made)
    deliver_orders([made.pk], db_now())
    complete_delivered_orders(db_now() + timedelta(days=shop_settings.COMPLETE_AFTER_DAYS, minutes=1))
    OutboxMessage.objects.update(done_at=db_now())
    return aged(made)


def aged(order: Order, by: timedelta = LONG_AGO) -> Order:
    Order.objects.filter(pk=order.pk).update(placed_at=db_now() - by)
    order.refresh_from_db()
    return order


def knows(order: Order) -> bool:
    order.refresh_from_db()
    return bool(order.contact_email)


def test_an_order_of_long_ago_forgets_its_buyer_and_the_books_stay(settings):
    variant = make_variant(keys=3)
    old, young = completed(variant, contact_email=LIN), completed(variant)
    aged(young, timedelta(days=300))
    attempt = PaymentAttempt.objects.get(payment__order=old)
    PaymentAttempt.objects.filter(pk=attempt.pk).update(
        started_at=db_now() - LONG_AGO, app_call={"payer": "openid"}, next_query_at=None
    )
    before = list(Receipt.objects.order_by("pk").values())

    forgotten = prune(db_now())

    assert forgotten == {"buyers of orders that were paid": 1, "pages and calls to pay with": 1}
    assert (knows(old), knows(young)) == (False, True)
    assert (old.buyer_key, old.address_key) == (f"nobody:{old.pk}", "")
    attempt.refresh_from_db()
    assert (attempt.pay_url, attempt.app_call) == ("", {})
    assert list(Receipt.objects.order_by("pk").values()) == before
    assert broken() == {}
    assert prune(db_now()) == {}


def test_an_unpaid_one_forgets_sooner():
    variant = make_variant(keys=2)
    ended, waiting = make_order(variant), make_order(variant)
    with connection.cursor() as cursor:
        cursor.execute(
            """UPDATE orders_reservation SET status = 'released' WHERE item_id IN
                   (SELECT id FROM orders_orderitem WHERE order_id = %(order)s);
               UPDATE inventory_stock SET claimed = claimed - 1;
               UPDATE orders_order SET status = 'expired' WHERE id = %(order)s;
               INSERT INTO orders_orderevent (order_id, before, after, reason, actor, at)
               VALUES (%(order)s, 'pending', 'expired', '', '', now())""",
            {"order": ended.pk},
        )
    for order in (ended, waiting):
        aged(order, timedelta(days=100))
    assert broken() == {}

    assert prune(db_now()) == {"buyers of orders that were not": 1}

    assert (knows(ended), knows(waiting)) == (False, True)
    assert broken() == {}


def test_nothing_is_forgotten_that_still_concerns_the_buyer():
    variant = make_variant(keys=4)
    asked, surplus, returning, promised = (completed(variant) for _ in range(4))
    ask_for_attention(asked, "a test", now=db_now())
    Receipt.objects.filter(attempt__payment__order=surplus).update(attention=OVER)
    request_refund(
        Receipt.objects.get(attempt__payment__order=returning),
        amount_minor=1,
        reason="sorry",
        actor="boss",
        now=db_now(),
    )
    OutboxMessage.objects.create(
        shop=promised.shop,
        task="orders.mail_delivery",
        subject_id=promised.pk,
        due_at=db_now(),
        created_at=db_now(),
    )

    prune(db_now())

    assert all(knows(order) for order in (asked, surplus, returning, promised))


WAITS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'"""


@contextmanager
def refunded_meanwhile(order: Order) -> Iterator[None]:
    """Whoever wants the order's lock within the block gets it once a refund has been asked for."""
    receipt = Receipt.objects.get(attempt__payment__order=order)
    has_lock = Event()

    def ask() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            lock_rows(Order.objects.filter(pk=order.pk))
            has_lock.set()
            for _try in range(200):
                cursor.execute(WAITS)
                if cursor.fetchone()[0]:
                    break
                time.sleep(0.01)
            Refund.objects.create(
                shop=order.shop,
                receipt=receipt,
                payment=receipt.attempt.payment,
                out_refund_no="R1",
                amount_minor=1,
                currency="CNY",
                requested_at=db_now(),
            )
        connection.close()

    asking = Thread(target=ask)
    asking.start()
    assert has_lock.wait(10)
    yield
    asking.join()


def test_what_comes_while_it_waits_for_the_lock_is_seen():
    order = completed(make_variant(keys=1))

    with refunded_meanwhile(order):
        assert prune(db_now()) == {"buyers of orders that were paid": 0}

    assert knows(order)


def test_control_without_the_second_look_it_is_not(monkeypatch):
    order = completed(make_variant(keys=1))

    def locked_only(rows):
        (locked,) = lock_rows(rows)
        return Order.objects.filter(pk__in=[row.pk for row in locked])

    monkeypatch.setattr(of_payments, "still_so", locked_only)

    with refunded_meanwhile(order):
        prune(db_now())

    assert not knows(order)


def test_who_has_had_his_share_has_had_it_for_ever():
    variant = make_variant(keys=3, per_buyer_limit=1)
    had = completed(variant, contact_email=LIN)

    prune(db_now())

    assert not knows(had)
    with pytest.raises(LimitReached):
        make_order(variant, contact_email=LIN)
    assert make_order(variant, contact_email="another@example.org")


def test_control_with_the_key_gone_the_limit_would_begin_anew():
    variant = make_variant(keys=3)
    completed(variant, contact_email=LIN)
    prune(db_now())  # while there is no limit, nobody needs the key

    variant.per_buyer_limit = 1
    variant.save()

    assert make_order(variant, contact_email=LIN)


def test_forgotten_buyers_are_not_one_buyer():
    variant = make_variant(keys=3)
    orders = [completed(variant, contact_email=LIN) for _ in range(2)]
    assert len({order.buyer_key for order in orders}) == 1

    prune(db_now())

    assert {Order.objects.get(pk=order.pk).buyer_key for order in orders} == {
        f"nobody:{order.pk}" for order in orders
    }


def test_what_the_buyer_answered_is_forgotten_too():
    variant = make_by_hand(asks=[{"name": "角色编号"}])
    order = make_order(variant, answers={str(variant.buyer_fields.get().pk): "1234"})
    OutboxMessage.objects.update(done_at=db_now())
    Order.objects.update(status="completed")  # as good as filled in
    aged(order)
    assert order.items.get().answers is not None

    assert prune(db_now()) == {"buyers of orders that were paid": 1}

    assert order.items.get().answers is None


def test_a_mail_to_nobody_is_not_tried():
    order = completed(make_variant(keys=1))
    prune(db_now())

    assert mail_delivered_orders([order.pk], db_now()) == {}

    assert mail.outbox == []


# Lines


def sale_of_long_ago() -> tuple[Sale, datetime]:
    """One came by registration and had the only unit, one was turned away, one is still waiting."""
    sale, now = make_sale(keys=1, line_cap=1), db_now()
    sale.registration_opens_at, sale.opens_at = now - timedelta(minutes=1), now + timedelta(minutes=10)
    sale.save()
    allocator = open_line(sale)
    click(sale.variant, email=LIN)
    Sale.objects.update(opens_at=now - timedelta(minutes=1), registration_opens_at=None)
    for _step in range(3):
        settle_all(allocator)
    click(sale.variant)
    settle_all(allocator)
    Ticket.objects.filter(status="waiting").update(status="refused", reason="sold_out", ended_at=now)
    Sale.objects.update(registered_let_in=True)
    return Sale.objects.get(), now


def later(now: datetime) -> datetime:
    return now + timedelta(days=shop_settings.RETAIN_LINE_DAYS, hours=1)


@pytest.mark.usefixtures("line")
def test_a_line_that_is_over_is_forgotten_and_nobody_is_let_in_again():
    sale, now = sale_of_long_ago()
    assert (Registration.objects.count(), Ticket.objects.count()) == (1, 1)
    assert prune(now).get("tickets of lines") is None

    forgotten = prune(later(now))

    assert (forgotten["registrations"], forgotten["tickets of lines"]) == (1, 1)
    assert not unsettled(sale).exists()
    assert not Ticket.objects.exists()
    assert Order.objects.get().contact_email == LIN  # it is still to be paid


@pytest.mark.usefixtures("line")
def test_tickets_of_who_is_still_registered_stay():
    """Without them, whoever was turned away would be let in once more."""
    sale, now = make_sale(keys=1), db_now()
    Sale.objects.update(opens_at=now + timedelta(days=60), registration_opens_at=now - timedelta(minutes=1))
    open_line(sale)
    click(sale.variant, email=LIN)
    registration = Registration.objects.get()
    Ticket.objects.create(
        **{
            name: getattr(registration, name)
            for name in ("ticket_id", "buyer_key", "address_key", "contact_email", "language", "quantity")
        },
        shop=sale.shop,
        variant=sale.variant,
        place=1,
        status="refused",
        settled_at=now,
        ended_at=now,
    )

    prune(later(now))

    assert Ticket.objects.exists()
    assert not unsettled(Sale.objects.get()).exists()
    Ticket.objects.all().delete()  # the control
    assert unsettled(Sale.objects.get()).exists()


# Notices, promises, log-ins


def test_a_notice_forgets_what_it_said_and_is_still_known(provider):
    channel = make_channel()
    attempt = make_attempt(make_order(make_variant(keys=1)), channel)
    provider.knows(attempt)
    call = RawCall("GET", notice_query(attempt), "", {})
    receive_notice(channel, call, now=db_now())
    apply_notices(list(WebhookEvent.objects.values_list("pk", flat=True)), db_now())
    waiting = WebhookEvent.objects.create(
        shop=channel.shop,
        channel=channel,
        digest="d",
        method="GET",
        query="a=1",
        body="b",
        received_at=db_now(),
    )
    RefusedNotice.objects.create(
        channel=channel, at=db_now(), why="", method="GET", size=1, address="203.0.113.9"
    )
    now = db_now() + timedelta(days=shop_settings.RETAIN_NOTICES_DAYS, hours=1)

    forgotten = prune(now)

    assert forgotten["what providers' notices said"] == forgotten["notices that were refused"] == 1
    event = WebhookEvent.objects.exclude(pk=waiting.pk).get()
    assert (event.query, event.body, event.headers, event.outcome) == ("", "", {}, EventOutcome.APPLIED)
    waiting.refresh_from_db()
    assert waiting.query == "a=1"  # nobody has read it yet
    receive_notice(channel, call, now=now)
    assert WebhookEvent.objects.count() == 2
    assert Receipt.objects.count() == 1


def test_what_is_done_and_who_logged_in():
    now = db_now()
    shop = make_variant().shop
    for done_at in (now - timedelta(days=31), now - timedelta(days=29), None):
        OutboxMessage.objects.create(
            shop=shop,
            task="t",
            subject_id=1,
            due_at=now,
            created_at=now - timedelta(days=99),
            done_at=done_at,
        )
    Session.objects.create(session_key="old", session_data="", expire_date=now - timedelta(days=31))
    Session.objects.create(session_key="new", session_data="", expire_date=now)
    AccessLog.objects.create(username="boss", ip_address="203.0.113.9")
    AccessAttempt.objects.create(username="boss", failures_since_start=1)
    for table in (AccessLog, AccessAttempt):
        table.objects.update(attempt_time=now - timedelta(days=31))

    forgotten = prune(now)

    assert set(forgotten.values()) == {1}
    assert len(forgotten) == 4
    assert set(OutboxMessage.objects.values_list("done_at", flat=True)) == {now - timedelta(days=29), None}
    assert [session.pk for session in Session.objects.all()] == ["new"]


# How it goes about it


@pytest.fixture
def five_old_orders(monkeypatch) -> list[Order]:
    monkeypatch.setattr(rules, "BATCH", 2)
    variant = make_variant(keys=5)
    return [completed(variant) for _ in range(5)]


def test_a_rule_that_fails_keeps_no_other_from_being_followed(monkeypatch):
    def fail(rows):
        raise ZeroDivisionError

    broken_rule = replace(RETENTIONS[0], find=lambda moment: Session.objects.all(), forget=fail)
    monkeypatch.setattr("cardshop.operations.retention.RETENTIONS", [broken_rule, *RETENTIONS])
    Session.objects.create(session_key="k", session_data="", expire_date=db_now() - LONG_AGO)

    with pytest.raises(ExceptionGroup) as failed:
        prune(db_now())

    assert [type(error) for error in failed.value.exceptions] == [ZeroDivisionError]
    assert not Session.objects.exists()


def test_a_run_ends_in_time_and_the_next_goes_on(five_old_orders):
    ticks = iter(range(100))

    assert prune(db_now(), run=1, clock=lambda: float(next(ticks))) == {"buyers of orders that were paid": 2}
    assert [knows(order) for order in five_old_orders] == [False, False, True, True, True]

    assert prune(db_now()) == {"buyers of orders that were paid": 3}


def test_what_was_forgotten_before_a_crash_stays_forgotten(five_old_orders, monkeypatch):
    forget, calls = of_payments.still_so, []

    def crash(rows):
        calls.append(1)
        if len(calls) == 2:
            forget(rows).update(contact_email="")
            raise KeyboardInterrupt
        return forget(rows)

    with monkeypatch.context() as patch:
        patch.setattr(of_payments, "still_so", crash)
        with pytest.raises(KeyboardInterrupt):
            prune(db_now())
    assert [knows(order) for order in five_old_orders] == [False, False, True, True, True]

    prune(db_now())

    assert not any(knows(order) for order in five_old_orders)


def test_a_dry_run_only_says_so(five_old_orders, settings):
    out = io.StringIO()

    call_command("prune", "--dry-run", stdout=out)
    assert "       5  buyers of orders that were paid (365 days)" in out.getvalue()
    assert all(knows(order) for order in five_old_orders)

    settings.RETAIN_BUYERS_DAYS = 0
    call_command("prune")
    assert all(knows(order) for order in five_old_orders)  # 0: for ever

    settings.RETAIN_BUYERS_DAYS = 30
    call_command("prune")
    assert not any(knows(order) for order in five_old_orders)


def test_each_rule_has_its_setting_and_beat_does_it():
    for retention in RETENTIONS:
        assert getattr(shop_settings, retention.setting) >= 0
    assert "operations.prune" in shop_settings.CELERY_BEAT_SCHEDULE
