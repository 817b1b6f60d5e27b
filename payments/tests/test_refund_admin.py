"""The merchant's pages of money that goes back, and the page of all that waits for a person."""

from dataclasses import replace

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import translation

from cardshop.common.clock import db_now
from orders.models import Order
from orders.selectors import revealed_keys
from orders.services.delivery import deliver_orders
from payments.gateways.base import Ability, GatewayError, GatewayRefused
from payments.models import Receipt, Refund
from payments.services.closing import begin_closing, finish_closing
from payments.services.refund_sending import FIRST_LOOK, LOOKS_IN_HOURS, finish, follow_refunds
from payments.tasks import mail_refunds, send_refunds
from payments.tests.refunder import refunding_channel
from tests.factories import (
    make_attempt,
    make_order,
    make_variant,
    paid_evidence,
    settle_evidence,
    the_shop,
)
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]
ATTENTION = "/admin/orders/order/attention/"


@pytest.fixture
def boss():
    return logged_in(make_boss())


def bought(*, keys_to_follow=False, **money):
    order = make_order(make_variant(keys=1), contact_email="lin@example.org")
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt, **money))
    if not keys_to_follow:
        deliver_orders([order.pk], db_now())
    order.refresh_from_db()
    return order


def page_of(order):
    return f"/admin/orders/order/{order.pk}/change/"


def order_page(order):
    with translation.override("en"):
        return reverse("order", args=[order.token])


def ask(client, order, **form):
    what = f"item:{order.items.get().pk}"
    url = f"/admin/orders/order/{order.pk}/refund/"
    return client.post(url, {"what": what, "amount": "", "reason": "broken", **form}, follow=True)


def press(client, row, remedy):
    kind = row._meta.model_name
    return client.post(f"{ATTENTION}{kind}/{row.pk}/{remedy}/", follow=True).content.decode()


def test_a_line_is_refunded_from_the_page_of_its_order(boss, refunder):
    order = bought()
    assert 'id="refund-form"' in boss.get(page_of(order)).content.decode()

    assert "¥9.90 is being refunded" in ask(boss, order).content.decode()
    send_refunds()

    order.refresh_from_db()
    page = boss.get(page_of(order)).content.decode()
    assert order.status == "refunded"
    assert refunder.refunds[Refund.objects.get().out_refund_no] == 990
    assert "broken" in page
    assert 'id="refund-form"' not in page


def test_the_buyer_is_told_by_page_and_by_mail(boss, client):
    order = bought()
    ask(boss, order)
    send_refunds()

    mail_refunds()

    (said,) = mail.outbox
    assert said.to == ["lin@example.org"]
    assert "¥9.90" in said.subject
    page = client.get(order_page(order)).content.decode()
    assert "Your money has been refunded" in page


@pytest.mark.parametrize("amount", ["", "3.00"])
def test_keys_that_were_handed_over_stay_with_the_buyer(boss, client, amount):
    order = bought()
    ((_line, (key,)),) = revealed_keys(order)

    ask(boss, order, amount=amount)
    send_refunds()

    page = client.get(order_page(order)).content.decode()
    assert f"We have refunded ¥{amount or '9.90'}." in page
    assert key in page


def test_the_page_of_an_order_that_ended_tells_of_its_money(boss, client, refunder):
    order = make_order(make_variant(keys=1))
    begin_closing(order, "expired", reason="not paid in time", actor="system", now=db_now())
    finish_closing([order.pk], db_now())
    make_order(order.items.get().variant)
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    type(the_shop()).objects.update(refunds_need_two=True)
    refunder.answers = [GatewayError("no answer")]

    def told():
        page = client.get(order_page(order)).content.decode()
        state = client.get(f"/api/v1/orders/{order.token}/").json()
        headings = ("no payment", "Your money has arrived", "is being refunded", "has been refunded")
        (heading,) = (heading for heading in headings if heading in page)
        return heading, state["money_received"], state["is_refunding"], state["is_refunded"]

    press(boss, receipt, "refund")
    assert told() == ("Your money has arrived", True, False, False)
    press(logged_in(make_boss("mei")), Refund.objects.get(), "approve")
    assert told() == ("is being refunded", False, True, False)
    send_refunds()
    assert told() == ("is being refunded", False, True, False)
    finish(Refund.objects.get(), actor="boss", now=db_now())
    assert told() == ("has been refunded", False, False, True)
    assert "We have refunded ¥9.90." in client.get(order_page(order)).content.decode()


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"amount": "9,90"}, "Enter an amount"),
        ({"amount": "9.901"}, "Enter an amount"),
        ({"amount": "9.91"}, "more than is left"),
        ({"amount": "0"}, "more than is left"),
        ({"reason": ""}, "This field is required"),
        ({"what": "item:999999"}, "valid choice"),
    ],
)
def test_what_cannot_be_refunded_is_said_and_nothing_changes(boss, form, why):
    assert why in ask(boss, bought(), **form).content.decode()
    assert not Refund.objects.exists()


def test_a_line_that_was_not_delivered_goes_back_for_all_of_its_price(boss):
    order = bought(keys_to_follow=True)

    assert "goes all of ¥9.90" in ask(boss, order, amount="1.00").content.decode()
    assert not Refund.objects.exists()
    assert order.items.get().status == "open"

    assert "¥9.90 is being refunded" in ask(boss, order, amount="9.90").content.decode()


def test_refunding_takes_a_post_and_a_permission(boss):
    order = bought()
    clerk = logged_in(make_clerk("orders.view_order", "orders.change_order"))

    assert 'id="refund-form"' not in clerk.get(page_of(order)).content.decode()
    assert "may not" in ask(clerk, order).content.decode()
    assert boss.get(f"/admin/orders/order/{order.pk}/refund/").status_code == 405
    assert not Refund.objects.exists()


def test_a_second_person_approves_on_the_page_of_what_waits(boss):
    type(the_shop()).objects.update(refunds_need_two=True)
    order = bought()
    ask(boss, order)
    refund = Refund.objects.get()

    assert "Somebody else" in press(boss, refund, "approve")
    other = logged_in(make_boss("mei"))
    assert "broken" in other.get(ATTENTION).content.decode()
    assert "Done: Approve" in press(other, refund, "approve")
    send_refunds()

    refund.refresh_from_db()
    assert (refund.status, refund.requested_by, refund.approved_by) == ("done", "boss", "mei")


def test_a_second_payment_waits_with_its_refund_on_a_button_that_works_once(boss, refunder):
    order = bought()
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2"))
    assert "Refund ¥9.90" in boss.get(ATTENTION).content.decode()

    assert "Done" in press(boss, receipt, "refund")
    assert "nothing to do" in press(boss, receipt, "refund")
    send_refunds()

    assert list(refunder.refunds.values()) == [990]
    assert "Nothing waits for you" in boss.get(ATTENTION).content.decode()


def test_only_the_surplus_is_proposed(boss, refunder):
    bought(amount_minor=1000)

    press(boss, Receipt.objects.get(), "refund")
    send_refunds()

    assert list(refunder.refunds.values()) == [10]


@pytest.mark.parametrize("remedy", ["came-through", "again"])
def test_what_nobody_knows_waits_for_somebody_who_has_looked(boss, refunder, remedy):
    refunder.can = frozenset({Ability.REFUND})
    refunder.answers = [GatewayError("no answer")]
    order = bought()
    ask(boss, order)
    send_refunds()
    assert "It was refunded" in boss.get(ATTENTION).content.decode()

    press(boss, Refund.objects.get(), remedy)
    send_refunds()

    assert Refund.objects.get().status == "done"
    assert len(refunder.asked) == (1 if remedy == "came-through" else 2)


def test_what_comes_to_no_end_waits_for_somebody_who_may_say_that_it_was_refunded(boss, refunder):
    refunder.can = frozenset({Ability.REFUND, Ability.ASK_REFUND})
    refunder.answers, refunder.asking = [GatewayError("no answer")], GatewayError("unknown merchant")
    ask(boss, bought())
    send_refunds()
    Refund.objects.update(queries=LOOKS_IN_HOURS)
    follow_refunds(clock=lambda: db_now() + FIRST_LOOK)

    page = boss.get(ATTENTION).content.decode()
    assert "come to no end for hours" in page
    assert "send it again" not in page
    assert "Done" in press(boss, Refund.objects.get(), "came-through")
    assert Refund.objects.get().status == "done"


def test_a_refused_refund_waits_until_somebody_says_what_was_done(boss, refunder):
    refunder.answers = [GatewayRefused("not enough money in the account")]
    order = bought()
    ask(boss, order)
    send_refunds()
    refund = Refund.objects.get()
    page = f"/admin/payments/refund/{refund.pk}/change/"
    assert "not enough money" in boss.get(page).content.decode()

    form = {"why": refund.attention, "what": "sent by hand"}
    boss.post(f"/admin/payments/refund/{refund.pk}/dealt-with/", form)

    refund.refresh_from_db()
    assert (refund.resolved_by, refund.status) == ("boss", "failed")
    assert "sent by hand" in order.events.last().reason
    assert "Nothing waits for you" in boss.get(ATTENTION).content.decode()


def test_money_without_an_order_can_be_sent_back_again_after_a_refusal(boss, refunder):
    channel = refunding_channel()
    evidence = paid_evidence(make_attempt(make_order(make_variant(keys=1)), channel), txn="T9")
    receipt = settle_evidence(channel, replace(evidence, out_trade_no="unknown"))
    refunder.answers = [GatewayRefused("not enough money in the account")]
    press(boss, receipt, "refund")
    send_refunds()
    assert "Refund ¥9.90" in boss.get(ATTENTION).content.decode()

    assert "Done" in press(boss, receipt, "refund")
    send_refunds()

    assert list(refunder.refunds.values()) == [990]
    assert "Nothing waits for you" in boss.get(ATTENTION).content.decode()


def test_a_clerk_sees_and_does_only_what_is_allowed():
    order = bought()
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2"))
    blind = logged_in(make_clerk("orders.view_order"))
    looker = logged_in(make_clerk("payments.view_receipt", username="looker"))

    assert "Nothing waits" in blind.get(ATTENTION).content.decode()
    assert "Refund ¥9.90" not in looker.get(ATTENTION).content.decode()
    assert "may not" in press(looker, receipt, "refund")
    assert not Refund.objects.exists()
    assert Order.objects.get(pk=order.pk).status == "delivered"
