"""What becomes of a line that is being refunded, of the others, and of what their buyer may have."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import translation

from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from inventory import stock
from inventory.models import CardKey
from orders.errors import LimitReached
from orders.models import DeliveredKey, Order, OrderItem, Reservation
from orders.services import delivery as subject
from orders.services.contact import correct_contact
from orders.services.delivery import SHORT_OF_KEYS, complete_delivered_orders, deliver_orders
from orders.tasks import deliver
from payments.checkout.cancelling import cancel_order
from payments.gateways.base import GatewayRefused, RefundState
from payments.models import Receipt
from payments.services.closing import finish_closing
from payments.services.refund_sending import finish
from payments.services.refunds import request_refund
from payments.tasks import send_refunds
from payments.tests.refunder import refunding_channel
from tests.factories import counters, make_attempt, make_order, make_variant, paid_evidence, settle_evidence
from tests.race.racing import broken_invariants, race_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]


@pytest.fixture(autouse=True)
def _books_balance():
    yield
    assert broken_invariants() == []


@pytest.fixture
def order():
    """Paid, with a line of 9.90 and one of 1.10, and a key for each."""
    order, other = make_order(make_variant(keys=1)), make_variant(keys=1, price_minor=110)
    second = OrderItem.objects.create(
        order=order, variant=other, product_name="b", variant_name="b", unit_price_minor=110, quantity=1
    )
    held = stock.claim(variant_id=other.pk, quantity=1)
    Reservation.objects.create(item=second, stock_id=held, quantity=1)
    Order.objects.update(total_minor=1100)
    order.refresh_from_db()
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt))
    return order


def lines(order):
    """The states of both lines, and whether they have a key."""
    keys = set(DeliveredKey.objects.values_list("item", flat=True))
    return [(item.status, item.pk in keys) for item in order.items.order_by("pk")]


def status(order):
    order.refresh_from_db()
    return order.status


def ask(item):
    return request_refund(
        Receipt.objects.get(),
        amount_minor=item.unit_price_minor,
        item=item,
        reason="as agreed",
        actor="lin",
        now=db_now(),
    )


def mails(order):
    return OutboxMessage.objects.filter(task="orders.mail_delivery", subject_id=order.pk).count()


def page_of(order, client):
    with translation.override("en"):
        link = reverse("order", args=[order.token])
    return client.get(link).content.decode()


KEPT, GIVEN, UNDER_WAY = ("delivered", True), ("refunded", False), ("refunding", False)


def test_the_other_line_does_not_wait_for_the_bank(order, refunder, client):
    refunder.answers = [RefundState.UNDER_WAY]
    second = order.items.last()
    refund = ask(second)
    send_refunds()

    deliver()
    deliver_orders([order.pk], db_now())

    assert (status(order), lines(order)) == ("paid", [KEPT, UNDER_WAY])
    assert [event.reason for event in order.events.all()].count("keys handed over") == 1
    assert mails(order) == 1
    page = page_of(order, client)
    assert page.count('class="key"') == 1
    assert "The money for the rest of your order is being refunded." in page
    assert client.get(f"/api/v1/orders/{order.token}/").json()["next_look"] == 15
    assert complete_delivered_orders(db_now() + timedelta(days=365)) == 0
    correct_contact(order, contact_email="right@example.org", now=db_now())
    assert mails(order) == 2

    finish(refund, actor="lin", now=db_now())
    deliver()

    assert (status(order), lines(order)) == ("delivered", [KEPT, GIVEN])
    assert counters(second.variant) == (1, 1, 0)
    assert mails(order) == 2


def test_a_line_that_is_kept_after_all_is_delivered_after_the_other(order, refunder, client):
    refunder.answers = [GatewayRefused("no money in the account")]
    ask(order.items.last())
    deliver()
    assert (status(order), lines(order)) == ("paid", [KEPT, UNDER_WAY])

    send_refunds()
    assert (status(order), lines(order)) == ("paid", [KEPT, ("open", False)])
    assert "The other keys are being fetched." in page_of(order, client)
    deliver()

    assert (status(order), lines(order)) == ("delivered", [KEPT, KEPT])
    assert mails(order) == 2


def test_a_refund_that_ends_before_the_delivery(order):
    ask(order.items.last())
    send_refunds()
    assert (status(order), lines(order)) == ("paid", [("open", False), GIVEN])

    deliver()

    assert (status(order), lines(order)) == ("delivered", [KEPT, GIVEN])


def test_a_refund_that_comes_to_nothing_before_the_delivery(order, refunder):
    refunder.answers = [GatewayRefused("no money in the account")]
    ask(order.items.last())
    send_refunds()

    deliver()

    assert (status(order), lines(order)) == ("delivered", [KEPT, KEPT])
    assert mails(order) == 1


def test_a_refund_after_the_delivery_takes_no_key_back(order):
    deliver()
    ask(order.items.last())
    send_refunds()

    assert (status(order), lines(order)) == ("delivered", [KEPT, ("refunded", True)])


def test_the_delivered_line_goes_back_too_while_the_other_is_under_way(order, refunder):
    first, second = order.items.order_by("pk")
    refunder.answers = [RefundState.UNDER_WAY]
    under_way = ask(second)
    send_refunds()
    deliver()

    ask(first)
    send_refunds()
    deliver()
    assert (status(order), lines(order)) == ("paid", [("refunded", True), UNDER_WAY])
    finish(under_way, actor="lin", now=db_now())

    assert (status(order), lines(order)) == ("refunded", [("refunded", True), GIVEN])


def test_nobody_is_asked_for_keys_that_were_found_while_the_other_line_goes_back(order):
    ask(order.items.last())
    deliver()

    subject._put_before_person(order.pk, SHORT_OF_KEYS, db_now())

    assert (status(order), order.attention) == ("paid", "")


def test_keys_that_come_after_all_end_the_shortage_while_the_other_line_goes_back(order):
    first, second = order.items.order_by("pk")
    short = CardKey.objects.filter(variant=first.variant)
    short.update(status="void")
    ask(second)
    deliver()
    assert (status(order), order.attention) == ("paid", SHORT_OF_KEYS)
    assert lines(order) == [("open", False), UNDER_WAY]

    short.update(status="available")
    deliver_orders([order.pk], db_now())

    assert (status(order), order.attention) == ("paid", "")
    assert lines(order) == [KEPT, UNDER_WAY]


@pytest.mark.parametrize("refuses", [False, True], ids=["refunded", "refused"])
def test_deliveries_and_the_refund_at_once(order, refunder, refuses):
    if refuses:
        refunder.answers = [GatewayRefused("no money in the account")]
    second = order.items.last()
    acts = [lambda: deliver_orders([order.pk], db_now())] * 3 + [lambda: ask(second) and send_refunds()]

    outcomes = race_all(*acts)
    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    deliver()

    assert status(order) == "delivered"
    assert lines(order)[0] == KEPT
    if refuses:
        assert lines(order)[1] == KEPT
    elif lines(order)[1] != GIVEN:
        told = [event.reason for event in order.events.order_by("pk")]
        asked = next(at for at, reason in enumerate(told) if reason.startswith("refund asked for"))
        assert told.index("keys handed over") < asked


# What the buyer may have of a variant


def bought(variant):
    """A paid order of the one buyer that these tests are about."""
    order = make_order(variant, contact_email="lin@example.org")
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    return order, receipt


def give_back(order, receipt):
    refund = request_refund(
        receipt, amount_minor=990, item=order.items.get(), reason="", actor="lin", now=db_now()
    )
    send_refunds()
    return refund


def test_who_was_refunded_before_the_delivery_may_buy_again():
    variant = make_variant(keys=3, per_buyer_limit=1)
    order, receipt = bought(variant)

    give_back(order, receipt)

    assert status(order) == "refunded"
    assert bought(variant)
    with pytest.raises(LimitReached):
        bought(variant)


def test_late_money_is_accepted_of_who_was_refunded(refunder):
    refunder.closing = True
    variant = make_variant(keys=3, per_buyer_limit=1)
    late = make_order(variant, contact_email="lin@example.org")
    attempt = make_attempt(late, refunding_channel())
    cancel_order(late, now=db_now())
    finish_closing([late.pk], db_now())
    assert status(late) == "cancelled"
    give_back(*bought(variant))

    settle_evidence(attempt.channel, paid_evidence(attempt))

    assert status(late) == "paid"


def test_while_the_refund_is_under_way_the_line_counts(refunder):
    variant = make_variant(keys=3, per_buyer_limit=1)
    refunder.answers = [RefundState.UNDER_WAY]
    give_back(*bought(variant))

    with pytest.raises(LimitReached):
        bought(variant)


def test_keys_that_went_out_count_though_the_money_went_back():
    variant = make_variant(keys=3, per_buyer_limit=1)
    order, receipt = bought(variant)
    deliver()

    give_back(order, receipt)

    assert status(order) == "refunded"
    with pytest.raises(LimitReached):
        bought(variant)
