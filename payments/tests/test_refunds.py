"""Money going back: how it is asked for, let go, sent, and followed until it is known what came of it."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from inventory import stock
from orders.models import DeliveredKey, Order, OrderItem, Reservation
from orders.services.delivery import deliver_orders
from orders.services.fulfilling import fill_in, replace
from orders.states import OrderStatus
from orders.tasks import deliver
from payments.gateways.base import Ability, GatewayError, GatewayRefused, NotAsked, RefundState
from payments.models import PaymentChannel, Receipt, Refund
from payments.services import refund_sending
from payments.services.closing import begin_closing, finish_closing
from payments.services.evidence import LATE, SHORT, TWICE
from payments.services.refund_sending import (
    FIRST_LOOK,
    REFUSED,
    STUCK,
    UNKNOWN,
    finish,
    follow_refunds,
    send_again,
    send_refunds,
)
from payments.services.refunds import (
    NotRefundable,
    OwnRequest,
    TooMuch,
    approve_refund,
    decline_refund,
    request_refund,
)
from payments.services.resolving import resolve_order
from payments.tasks import send_refunds as send_refunds_task
from payments.tasks import settle_receipts
from payments.tests.refunder import refunding_channel
from tests.factories import (
    counters,
    make_attempt,
    make_by_hand,
    make_order,
    make_variant,
    paid_evidence,
    settle_evidence,
    the_shop,
)
from tests.race.racing import broken_invariants

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("refunder")]


def bought(variant=None, *, keys=1, quantity=1, delivered=False, **money):
    """A paid order, and the receipt of its money."""
    order = make_order(variant or make_variant(keys=keys), quantity=quantity)
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt, **money))
    if delivered:
        deliver_orders([order.pk], db_now())
    return Order.objects.get(pk=order.pk), Receipt.objects.get(pk=receipt.pk)


def ask(receipt, *, amount_minor=None, item=None, actor="lin", reason="as agreed"):
    return request_refund(
        receipt,
        amount_minor=receipt.amount_minor if amount_minor is None else amount_minor,
        item=item,
        reason=reason,
        actor=actor,
        now=db_now(),
    )


def line(order):
    return order.items.get()


def follow(after=FIRST_LOOK):
    follow_refunds(clock=lambda: db_now() + after)


def state_of(row):
    return type(row).objects.get(pk=row.pk).status


@pytest.fixture(autouse=True)
def _books_balance():
    yield
    assert broken_invariants() == []


def test_a_line_that_was_not_delivered_goes_back_and_its_key_is_for_others(refunder):
    order, receipt = bought()

    refund = ask(receipt, item=line(order))
    assert line(order).status == "refunding"
    send_refunds_task()

    assert (state_of(refund), line(order).status, state_of(order)) == ("done", "refunded", "refunded")
    assert refunder.refunds == {refund.out_refund_no: 990}
    assert counters(line(order).variant) == (1, 1, 0)


def test_a_delivered_line_goes_back_and_its_key_stays_sold(refunder):
    order, receipt = bought(delivered=True)

    ask(receipt, item=line(order))
    send_refunds_task()

    assert (line(order).status, state_of(order)) == ("refunded", "refunded")
    assert counters(line(order).variant) == (1, 1, 1)


def test_a_part_of_the_money_goes_back_and_the_order_stays_delivered(refunder):
    order, receipt = bought(delivered=True)

    ask(receipt, amount_minor=300)
    ask(receipt, amount_minor=690)
    send_refunds_task()

    assert sorted(refunder.refunds.values()) == [300, 690]
    assert (state_of(order), line(order).status) == ("delivered", "delivered")
    with pytest.raises(TooMuch):
        ask(receipt, amount_minor=1)


@pytest.mark.parametrize("amount", [0, -1, 991])
def test_no_amount_but_what_is_there_can_be_asked_for(amount):
    _order, receipt = bought(delivered=True)

    with pytest.raises(TooMuch):
        ask(receipt, amount_minor=amount)

    assert not Refund.objects.exists()


def test_while_keys_are_owed_money_goes_back_only_with_the_line_or_from_the_surplus(refunder):
    order, receipt = bought(amount_minor=1000)

    with pytest.raises(NotRefundable, match="按明细退款"):
        ask(receipt, amount_minor=11)
    ask(receipt, amount_minor=10)
    send_refunds_task()

    assert list(refunder.refunds.values()) == [10]
    with pytest.raises(NotRefundable):
        ask(receipt, amount_minor=1)
    assert state_of(order) == "paid"


def test_what_is_being_refunded_is_not_delivered_and_what_the_provider_refuses_is(refunder):
    order, receipt = bought()
    refunder.answers = [GatewayRefused("no money in the account")]
    refund = ask(receipt, item=line(order))

    deliver()
    assert state_of(order) == "paid"
    send_refunds_task()

    assert (state_of(refund), line(order).status) == ("failed", "open")
    assert Refund.objects.get().attention == REFUSED
    assert Receipt.objects.get().refunded_minor == 0
    deliver()
    assert state_of(order) == "delivered"


def test_a_refused_refund_of_a_delivered_line_leaves_it_delivered_and_may_be_asked_for_again(refunder):
    order, receipt = bought(delivered=True)
    refunder.answers = [GatewayRefused("not today")]
    ask(receipt, item=line(order))
    send_refunds_task()
    assert (line(order).status, state_of(order)) == ("delivered", "delivered")

    again = ask(receipt, item=line(order))
    send_refunds_task()

    assert (state_of(again), line(order).status) == ("done", "refunded")


def test_a_line_is_refunded_once(refunder):
    order, receipt = bought(delivered=True)
    ask(receipt, amount_minor=400, item=line(order))

    with pytest.raises(NotRefundable):
        ask(receipt, amount_minor=400, item=line(order))


def test_one_line_goes_back_and_the_rest_of_the_order_is_delivered():
    order, other = make_order(make_variant(keys=1)), make_variant(keys=1, price_minor=110)
    second = OrderItem.objects.create(
        order=order, variant=other, product_name="b", variant_name="b", unit_price_minor=110, quantity=1
    )
    held = stock.claim(variant_id=other.pk, quantity=1)
    Reservation.objects.create(item=second, stock_id=held, quantity=1)
    Order.objects.update(total_minor=1100)
    order.refresh_from_db()
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))

    ask(Receipt.objects.get(pk=receipt.pk), amount_minor=110, item=second)
    deliver()
    assert state_of(order) == "paid"
    send_refunds_task()
    deliver()

    assert state_of(order) == "delivered"
    assert sorted(order.items.values_list("unit_price_minor", "status")) == [
        (110, "refunded"),
        (990, "delivered"),
    ]
    assert counters(other) == (1, 1, 0)


# Who lets it go


def test_a_second_person_lets_it_go(refunder):
    shop = the_shop()
    type(shop).objects.update(refunds_need_two=True)
    order, receipt = bought(delivered=True)
    refund = ask(receipt, item=line(order), actor="lin")
    send_refunds_task()
    assert (state_of(refund), refunder.asked) == ("awaited", [])

    with pytest.raises(OwnRequest):
        approve_refund(refund, actor="lin", now=db_now())
    approve_refund(refund, actor="mei", now=db_now())
    send_refunds_task()

    assert (state_of(refund), line(order).status) == ("done", "refunded")
    with pytest.raises(NotRefundable):
        approve_refund(refund, actor="mei", now=db_now())


def test_a_declined_refund_puts_the_money_back(refunder):
    type(the_shop()).objects.update(refunds_need_two=True)
    order, receipt = bought(delivered=True)
    refund = ask(receipt, item=line(order))

    decline_refund(refund, actor="mei", now=db_now())
    send_refunds_task()

    assert (state_of(refund), refunder.asked, line(order).status) == ("declined", [], "delivered")
    assert Receipt.objects.get().refunded_minor == 0


def test_what_was_delivered_while_it_waited_for_the_second_person_is_not_let_go(refunder):
    type(the_shop()).objects.update(refunds_need_two=True)
    order, receipt = bought()
    refund = ask(receipt, item=line(order), actor="lin")
    deliver()

    with pytest.raises(NotRefundable):
        approve_refund(refund, actor="mei", now=db_now())
    send_refunds_task()

    assert (state_of(refund), line(order).status, refunder.asked) == ("awaited", "delivered", [])
    decline_refund(refund, actor="mei", now=db_now())
    again = ask(receipt, item=line(order), actor="lin")
    approve_refund(again, actor="mei", now=db_now())
    send_refunds_task()
    assert (state_of(again), line(order).status) == ("done", "refunded")


def test_what_was_delivered_meanwhile_is_seen_even_if_the_clocks_disagree(refunder):
    """A delivery reads its clock before it waits for the order's lock."""
    type(the_shop()).objects.update(refunds_need_two=True)
    order, receipt = bought()
    refund = ask(receipt, item=line(order), actor="lin")
    deliver_orders([order.pk], db_now() - timedelta(minutes=1))

    with pytest.raises(NotRefundable):
        approve_refund(refund, actor="mei", now=db_now())


def test_what_was_filled_in_or_replaced_by_hand_meanwhile_is_not_let_go(refunder):
    type(the_shop()).objects.update(refunds_need_two=True)
    order, receipt = bought(make_by_hand(), quantity=2)
    refund = ask(receipt, item=line(order), actor="lin")
    fill_in(order, {(line(order).pk, 0): "first"}, actor="wu", now=db_now())
    with pytest.raises(NotRefundable):
        approve_refund(refund, actor="mei", now=db_now())

    decline_refund(refund, actor="mei", now=db_now())
    fill_in(order, {(line(order).pk, 1): "wrong"}, actor="wu", now=db_now())
    again = ask(receipt, item=line(order), actor="lin", reason="one of them is wrong")
    replace(DeliveredKey.objects.get(slot=1), "right", actor="wu", now=db_now())
    with pytest.raises(NotRefundable):
        approve_refund(again, actor="mei", now=db_now())
    send_refunds_task()

    assert (state_of(again), line(order).status, refunder.asked) == ("awaited", "delivered", [])


# What comes of it


@pytest.mark.parametrize("can", [{Ability.ASK_REFUND}, {Ability.REPEAT_REFUND}])
def test_what_nobody_knows_is_found_out_and_refunded_once(refunder, can):
    refunder.can = frozenset({Ability.REFUND, *can})
    order, receipt = bought(delivered=True)
    refunder.answers = [GatewayError("no answer")]
    refund = ask(receipt, item=line(order))
    send_refunds_task()
    assert state_of(refund) == "sent"
    refunder.refunds[refund.out_refund_no] = 990  # it had come through

    follow()

    assert (state_of(refund), line(order).status) == ("done", "refunded")
    assert set(refunder.asked) == {refund.out_refund_no}
    assert len(refunder.asked) == (1 if can == {Ability.ASK_REFUND} else 2)


def test_what_the_provider_has_never_heard_of_is_sent_again_where_it_keeps_the_number(refunder):
    order, receipt = bought(delivered=True)
    refunder.answers = [GatewayError("lost on the way")]
    refund = ask(receipt, item=line(order))
    send_refunds_task()

    follow()

    assert state_of(refund) == "done"
    assert refunder.asked == [refund.out_refund_no] * 2


def test_an_unknown_outcome_that_nobody_can_ask_about_goes_to_a_person_and_never_to_a_retry(refunder):
    refunder.can = frozenset({Ability.REFUND})
    order, receipt = bought(delivered=True)
    refunder.answers = [GatewayError("no answer")]
    refund = ask(receipt, item=line(order))

    send_refunds_task()
    follow(timedelta(days=1))

    assert len(refunder.asked) == 1
    assert (state_of(refund), Refund.objects.get().attention) == ("sent", UNKNOWN)
    assert line(order).status == "refunding"


@pytest.mark.parametrize("came_through", [True, False])
def test_a_person_says_what_came_of_it(refunder, came_through):
    refunder.can = frozenset({Ability.REFUND})
    order, receipt = bought(delivered=True)
    refunder.answers = [GatewayError("no answer")]
    refund = ask(receipt, item=line(order))
    send_refunds_task()

    if came_through:
        assert finish(refund, actor="lin", now=db_now())
    else:
        send_again(refund, actor="lin", now=db_now())
        send_refunds_task()

    assert (state_of(refund), line(order).status) == ("done", "refunded")
    assert len(refunder.asked) == (1 if came_through else 2)
    assert not finish(refund, actor="lin", now=db_now())
    with pytest.raises(NotRefundable):
        send_again(refund, actor="lin", now=db_now())


def test_what_was_not_even_asked_is_sent_another_time(refunder):
    refunder.can = frozenset({Ability.REFUND})
    _order, receipt = bought(delivered=True)
    refunder.answers = [NotAsked("left alone for 5 s")]
    refund = ask(receipt)

    send_refunds_task()
    assert (state_of(refund), Refund.objects.get().last_error) == ("requested", "left alone for 5 s")
    follow()

    assert (state_of(refund), len(refunder.asked)) == ("done", 2)


def look_for_hours(hours=6):
    """Every look that the sweep would take in that time."""
    until = db_now() + timedelta(hours=hours)
    while (refund := Refund.objects.get()).next_query_at and refund.next_query_at < until:
        follow_refunds(clock=lambda at=refund.next_query_at: at)


def test_what_cannot_be_asked_for_hours_is_put_before_a_person_and_sent_when_it_can_be(refunder):
    order, receipt = bought()
    refund = ask(receipt, item=line(order))
    channel = receipt.channel
    PaymentChannel.objects.update(base_url="https://moved.example/")  # its secret opens for the old one only
    send_refunds_task()

    look_for_hours(3)
    assert Refund.objects.get().attention == ""
    look_for_hours(6)

    waits = Refund.objects.get()
    assert (waits.status, waits.attention) == ("requested", STUCK)
    assert "cannot be opened" in waits.last_error
    assert [event.reason for event in order.events.all()].count(STUCK) == 1
    PaymentChannel.objects.update(base_url=channel.base_url)
    follow(timedelta(hours=7))
    assert (state_of(refund), Refund.objects.get().attention) == ("done", "")
    assert refunder.refunds == {refund.out_refund_no: 990}


def test_what_was_sent_and_is_never_answered_for_is_put_before_a_person_and_asked_about_for_ever(
    refunder, monkeypatch
):
    monkeypatch.setattr(
        refund_sending, "gateway_for", lambda channel: refunder
    )  # no breaker, whose time is real
    order, receipt = bought()
    refunder.can = frozenset({Ability.REFUND, Ability.ASK_REFUND})
    refunder.answers = [GatewayError("no answer")]
    refunder.asking = GatewayError("answered code 40301")
    refund = ask(receipt, item=line(order))
    send_refunds_task()

    look_for_hours(6)

    waits = Refund.objects.get()
    assert (waits.status, waits.attention, waits.last_error) == ("sent", STUCK, "answered code 40301")
    assert [event.reason for event in order.events.all()].count(STUCK) == 1
    refunder.asking, refunder.refunds[refund.out_refund_no] = None, 990
    follow(timedelta(hours=7))
    assert (state_of(refund), Refund.objects.get().attention) == ("done", "")


@pytest.fixture
def slow_platform(refunder):
    """It tells of what it has booked, and would refund again what it has not."""
    refunder.can = frozenset({Ability.REFUND, Ability.ASK_REFUND})
    refunder.answers = [GatewayError("timed out")]
    return refunder


def test_a_slow_platform_is_given_minutes_before_a_person_is_told(slow_platform):
    _order, receipt = bought(delivered=True)
    refund = ask(receipt)
    send_refunds_task()

    look_for_hours(5 / 60)
    assert (state_of(refund), Refund.objects.get().attention) == ("sent", "")
    slow_platform.refunds[refund.out_refund_no] = 990
    look_for_hours(1)

    assert (state_of(refund), len(slow_platform.asked)) == ("done", 1)


def test_a_platform_that_has_booked_nothing_for_minutes_is_asked_on_after_a_person_was_told(slow_platform):
    order, receipt = bought(delivered=True)
    refund = ask(receipt)
    send_refunds_task()

    look_for_hours(1 / 4)
    assert (state_of(refund), Refund.objects.get().attention) == ("sent", UNKNOWN)
    look_for_hours(6)
    assert (state_of(refund), Refund.objects.get().attention) == ("sent", UNKNOWN)
    assert [event.reason for event in order.events.all()].count(UNKNOWN) == 1
    slow_platform.refunds[refund.out_refund_no] = 990
    look_for_hours(8)

    assert (state_of(refund), Refund.objects.get().attention) == ("done", "")
    assert len(slow_platform.asked) == 1


@pytest.mark.parametrize("has_booked", [True, False])
def test_what_a_person_sends_again_is_asked_about_first_and_made_once(slow_platform, has_booked):
    _order, receipt = bought(delivered=True)
    refund = ask(receipt)
    send_refunds_task()
    look_for_hours(1 / 4)
    if has_booked:
        slow_platform.refunds[refund.out_refund_no] = 990

    send_again(refund, actor="mei", now=db_now())
    send_refunds_task()

    assert state_of(refund) == "done"
    assert len(slow_platform.asked) == (1 if has_booked else 2)


def test_what_a_person_sends_again_is_not_sent_while_the_platform_does_not_tell(slow_platform):
    _order, receipt = bought(delivered=True)
    refund = ask(receipt)
    send_refunds_task()
    look_for_hours(1 / 4)
    slow_platform.asking = NotAsked("left alone for 5 s")

    send_again(refund, actor="mei", now=db_now())
    send_refunds_task()
    assert (state_of(refund), len(slow_platform.asked)) == ("requested", 1)
    slow_platform.asking, slow_platform.refunds[refund.out_refund_no] = None, 990
    follow()

    assert (state_of(refund), len(slow_platform.asked)) == ("done", 1)


def test_who_looked_before_it_was_sent_again_says_nothing_of_it(slow_platform):
    _order, receipt = bought(delivered=True)
    refund = ask(receipt)
    send_refunds_task()
    look_for_hours(1 / 4)
    seen = Refund.objects.get()
    send_again(refund, actor="mei", now=db_now())

    refund_sending._look_again(seen, db_now(), error="answered late")

    again = Refund.objects.get()
    assert (again.next_query_at, again.attention) == (None, "")


def test_what_the_provider_is_at_waits_for_nobody_else(refunder):
    _order, receipt = bought(delivered=True)
    refunder.answers = [RefundState.UNDER_WAY] * 30
    ask(receipt)
    send_refunds_task()

    look_for_hours(6)

    assert Refund.objects.get().attention == ""


def test_what_is_under_way_is_followed_to_its_end(refunder):
    order, receipt = bought(delivered=True)
    refunder.answers = [RefundState.UNDER_WAY]
    refund = ask(receipt, item=line(order))
    send_refunds_task()
    assert (state_of(refund), line(order).status) == ("sent", "refunding")

    refunder.refunds[refund.out_refund_no] = 990
    follow()

    assert (state_of(refund), line(order).status) == ("done", "refunded")


def test_what_was_accepted_may_still_come_to_nothing(refunder):
    order, receipt = bought(delivered=True)
    refunder.answers = [RefundState.FAILED]
    refund = ask(receipt, item=line(order))

    send_refunds_task()

    assert (state_of(refund), line(order).status) == ("failed", "delivered")


def test_sending_twice_asks_once(refunder):
    _order, receipt = bought(delivered=True)
    refund = ask(receipt)

    send_refunds([refund.pk, refund.pk], db_now())

    assert len(refunder.asked) == 1


# Money that waits for a person


def test_a_second_payment_goes_back_and_waits_for_nobody_any_more(refunder):
    order, _receipt = bought(delivered=True)
    attempt = make_attempt(order, refunding_channel())
    twice = settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2"))

    ask(twice)
    send_refunds_task()

    twice.refresh_from_db()
    assert (twice.status, twice.resolved_by, twice.refunded_minor) == ("attention", "lin", 990)
    assert state_of(order) == "delivered"


def test_a_part_that_goes_back_pays_for_nothing_any_more(refunder):
    order, receipt = bought(amount_minor=400)
    assert order.attention
    ask(receipt)
    send_refunds_task()

    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2", amount_minor=590))

    assert state_of(order) == "pending"


def came_late():
    """Money of an order whose hold had ended and whose key is another's by then."""
    order = make_order(make_variant(keys=1))
    begin_closing(order, OrderStatus.EXPIRED, reason="not paid in time", actor="system", now=db_now())
    finish_closing([order.pk], db_now())
    make_order(order.items.get().variant)
    attempt = make_attempt(order, refunding_channel())
    receipt = settle_evidence(attempt.channel, paid_evidence(attempt))
    return order, Receipt.objects.get(pk=receipt.pk)


def end_in_vain(refunder, how, receipt, **wanted):
    """A refund that is asked for, and comes to nothing."""
    if how == "declined":
        type(the_shop()).objects.update(refunds_need_two=True)
        decline_refund(ask(receipt, **wanted), actor="mei", now=db_now())
        type(the_shop()).objects.update(refunds_need_two=False)
    else:
        refunder.answers = [GatewayRefused("no money in the account")]
        ask(receipt, **wanted)
        send_refunds_task()
    settle_receipts()


def what_waits(order, receipt):
    order, receipt = Order.objects.get(pk=order.pk), Receipt.objects.get(pk=receipt.pk)
    waits = receipt.attention if receipt.resolved_at is None else ""
    return receipt.refunded_minor, waits, order.attention


in_vain = pytest.mark.parametrize("how", ["declined", "refused"])


@in_vain
def test_late_money_waits_again_when_its_refund_comes_to_nothing(refunder, how):
    order, receipt = came_late()
    assert what_waits(order, receipt) == (0, LATE, LATE)

    end_in_vain(refunder, how, receipt)

    assert what_waits(order, receipt) == (0, LATE, LATE)
    ask(receipt)
    send_refunds_task()
    assert what_waits(order, receipt) == (990, "", "")


@in_vain
def test_of_late_money_only_what_did_not_go_back_waits_again(refunder, how):
    order, receipt = came_late()
    ask(receipt, amount_minor=300)
    send_refunds_task()

    end_in_vain(refunder, how, receipt, amount_minor=690)

    assert what_waits(order, receipt) == (300, LATE, LATE)


@in_vain
def test_a_part_pays_again_when_its_refund_comes_to_nothing(refunder, how):
    order, receipt = bought(amount_minor=400)

    end_in_vain(refunder, how, receipt)

    assert what_waits(order, receipt) == (0, SHORT, SHORT)
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2", amount_minor=590))
    assert (state_of(order), what_waits(order, receipt)) == ("paid", (0, "", ""))


@pytest.mark.parametrize(("then", "why"), [(590, ""), (990, TWICE)])
def test_a_part_meets_what_came_while_its_refund_was_waiting(refunder, then, why):
    type(the_shop()).objects.update(refunds_need_two=True)
    order, receipt = bought(amount_minor=400)
    refund = ask(receipt)
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2", amount_minor=then))

    decline_refund(refund, actor="mei", now=db_now())
    settle_receipts()

    assert (state_of(order), what_waits(order, receipt)) == ("paid", (0, why, ""))


@in_vain
def test_a_part_of_which_some_went_back_waits_and_pays_for_nothing(refunder, how):
    order, receipt = bought(amount_minor=400)
    ask(receipt, amount_minor=100)
    send_refunds_task()

    end_in_vain(refunder, how, receipt, amount_minor=300)

    assert what_waits(order, receipt) == (100, SHORT, SHORT)
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2", amount_minor=590))
    assert state_of(order) == "pending"


@in_vain
def test_what_a_person_had_dealt_with_before_stays_dealt_with(refunder, how):
    order, receipt = came_late()
    resolve_order(order, why=LATE, what="they want a voucher", actor="lin", now=db_now())

    end_in_vain(refunder, how, receipt)

    assert what_waits(order, receipt) == (0, "", "")


@in_vain
def test_a_second_payment_waits_again_and_its_order_does_not(refunder, how):
    order, _receipt = bought(delivered=True)
    attempt = make_attempt(order, refunding_channel())
    twice = settle_evidence(attempt.channel, paid_evidence(attempt, txn="T2"))

    end_in_vain(refunder, how, twice)

    assert what_waits(order, twice) == (0, TWICE, "")


def test_asking_again_deals_with_the_refund_that_was_refused(refunder):
    _order, receipt = came_late()
    end_in_vain(refunder, "refused", receipt)
    assert Refund.objects.get().resolved_at is None

    ask(receipt, actor="mei")

    assert Refund.objects.get(status="failed").resolved_by == "mei"


def test_money_from_nowhere_goes_back(refunder):
    channel = refunding_channel()
    make_variant()
    evidence = paid_evidence(make_attempt(make_order(make_variant(keys=1)), channel), txn="T9")
    evidence = type(evidence)(**{**vars(evidence), "out_trade_no": "unknown"})
    foreign = settle_evidence(channel, evidence)

    refund = ask(Receipt.objects.get(pk=foreign.pk))
    send_refunds_task()

    assert (state_of(refund), Refund.objects.get().payment) == ("done", None)


def test_a_provider_that_cannot_refund_is_not_asked_to(refunder):
    refunder.can = frozenset()
    _order, receipt = bought(delivered=True)

    with pytest.raises(NotRefundable, match="手动退回"):
        ask(receipt)
