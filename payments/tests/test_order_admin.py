"""The merchant's page of an order."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from inventory.card_keys import reveal
from inventory.models import CardKey
from orders.models import Order
from orders.services.delivery import complete_delivered_orders, deliver_orders
from orders.services.transitions import ask_for_attention
from orders.states import PAID_FOR, OrderStatus
from payments.checkout.cancelling import cancel_order
from payments.models import PaymentChannel, Receipt
from payments.services.attempts import MOST_ATTEMPTS
from payments.services.closing import begin_closing, finish_closing
from payments.services.refunds import request_refund
from payments.tasks import send_refunds
from tests.factories import SECRET, make_attempt, make_order, make_variant, pay_order
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/admin/orders/order/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


def page_of(order: Order) -> str:
    return f"{LIST}{order.pk}/change/"


def order_in(status: str) -> Order:
    order, now = make_order(make_variant(keys=2), contact_email="lin@example.org"), db_now()
    if status in PAID_FOR | {OrderStatus.REFUNDED}:
        pay_order(order)
    if status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED):
        deliver_orders([order.pk], now)
    if status == OrderStatus.COMPLETED:
        Order.objects.update(delivered_at="2020-01-01T00:00Z")
        complete_delivered_orders(now)
    if status == OrderStatus.REFUNDED:
        refund_order(order)
    if status == OrderStatus.CANCELLED:
        cancel_order(order, now=now)
    if status in (OrderStatus.CLOSING, OrderStatus.EXPIRED):
        begin_closing(order, OrderStatus.EXPIRED, reason="not paid in time", actor="system", now=now)
    if status == OrderStatus.EXPIRED:
        finish_closing([order.pk], now)
    order.refresh_from_db()
    assert order.status == status
    return order


def refund_order(order: Order) -> None:
    PaymentChannel.objects.update(driver="refunder")
    receipt = Receipt.objects.get(attempt__payment__order=order)
    request_refund(
        receipt, amount_minor=990, item=order.items.get(), reason="as agreed", actor="lin", now=db_now()
    )
    send_refunds()


@pytest.mark.usefixtures("refunder")
@pytest.mark.parametrize("status", OrderStatus.values)
def test_the_page_tells_every_order_and_shows_no_key(boss, status):
    order = order_in(status)
    page = boss.get(page_of(order))
    assert page.status_code == 200
    text = page.content.decode()
    assert order.number in text
    assert "lin@example.org" in text
    assert "¥9.90" in text
    for secret in [order.token, SECRET, *map(reveal, CardKey.objects.all())]:
        assert secret not in text
    assert ("Keys handed over" in text) == (status in (OrderStatus.DELIVERED, OrderStatus.COMPLETED))


def test_nobody_edits_or_deletes_an_order(boss):
    order = order_in(OrderStatus.PAID)
    assert boss.post(page_of(order), {"status": "delivered"}).status_code == 403
    assert boss.get(f"{LIST}{order.pk}/delete/").status_code == 403
    assert boss.get(f"{LIST}add/").status_code == 403


@pytest.mark.parametrize("what", ["number", "contact_email", "out_trade_no", "provider_txn_id"])
def test_orders_are_found_by_what_people_have_at_hand(boss, what):
    order, other = order_in(OrderStatus.PAID), order_in(OrderStatus.PENDING)
    Order.objects.filter(pk=other.pk).update(contact_email="wang@example.org")
    attempt = order.payment.attempts.get()
    known = {
        "number": order.number,
        "contact_email": order.contact_email,
        "out_trade_no": attempt.out_trade_no,
        "provider_txn_id": attempt.receipts.get().provider_txn_id,
    }
    page = boss.get(LIST, {"q": known[what]}).content.decode()
    assert order.number in page
    assert other.number not in page


def test_the_list_takes_the_same_queries_however_long_it_is(boss, django_assert_num_queries):
    order_in(OrderStatus.PAID)
    boss.get(LIST)
    with CaptureQueriesContext(connection) as few:
        boss.get(LIST)
    for _ in range(4):
        order_in(OrderStatus.PAID)
    with django_assert_num_queries(len(few)):
        boss.get(LIST)


def test_deliver_again_clears_the_flag_and_promises_delivery(boss):
    order = order_in(OrderStatus.PAID)
    assert "Deliver again" not in boss.get(page_of(order)).content.decode()
    ask_for_attention(order, "fewer keys than promised", now=db_now())
    OutboxMessage.objects.all().delete()
    assert "Deliver again" in boss.get(page_of(order)).content.decode()
    assert boss.post(f"{LIST}{order.pk}/help/deliver/").status_code == 302
    order.refresh_from_db()
    assert (order.status, order.attention) == (OrderStatus.PAID, "")
    message = OutboxMessage.objects.get()
    assert (message.task, message.subject_id, message.done_at) == ("orders.deliver", order.pk, None)
    assert order.events.last().actor == "boss"
    assert order.events.last().reason == "delivery asked for again"


def test_the_mail_can_be_sent_again_once_there_is_something_to_mail(boss):
    unpaid, delivered = order_in(OrderStatus.PENDING), order_in(OrderStatus.DELIVERED)
    OutboxMessage.objects.all().delete()
    boss.post(f"{LIST}{unpaid.pk}/help/mail/")
    assert not OutboxMessage.objects.exists()
    boss.post(f"{LIST}{delivered.pk}/help/mail/")
    assert OutboxMessage.objects.get().task == "orders.mail_delivery"


def test_the_provider_is_asked_now_where_it_is_still_polled(boss):
    order = order_in(OrderStatus.PENDING)
    attempt = make_attempt(order)
    attempt.next_query_at = "2099-01-01T00:00Z"
    attempt.save()
    boss.post(f"{LIST}{order.pk}/help/ask/")
    attempt.refresh_from_db()
    assert attempt.next_query_at <= db_now()
    attempt.next_query_at = None
    attempt.save()
    page = boss.post(f"{LIST}{order.pk}/help/ask/", follow=True)
    assert "nothing to do" in page.content.decode()
    attempt.refresh_from_db()
    assert attempt.next_query_at is None


def test_helping_takes_a_post_a_permission_and_a_known_button(boss):
    order = order_in(OrderStatus.DELIVERED)
    OutboxMessage.objects.all().delete()
    assert boss.get(f"{LIST}{order.pk}/help/mail/").status_code == 405
    boss.post(f"{LIST}{order.pk}/help/refund-everything/")
    looker = logged_in(make_clerk("orders.view_order"))
    assert "Mail the keys again" not in looker.get(page_of(order)).content.decode()
    looker.post(f"{LIST}{order.pk}/help/mail/")
    assert not OutboxMessage.objects.exists()
    strict = logged_in(make_boss("strict"))
    strict.handler.enforce_csrf_checks = True
    assert strict.post(f"{LIST}{order.pk}/help/mail/").status_code == 403


def test_notices_are_looked_for_by_the_last_attempts_only(boss):
    order = make_order(make_variant(keys=1))
    for _ in range(MOST_ATTEMPTS + 5):
        make_attempt(order)

    with CaptureQueriesContext(connection) as asked:
        assert boss.get(page_of(order)).status_code == 200

    (looked,) = [
        query["sql"] for query in asked if " LIKE " in query["sql"] and "webhookevent" in query["sql"]
    ]
    assert looked.count(" LIKE ") == 2 * MOST_ATTEMPTS
