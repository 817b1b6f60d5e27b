"""A buyer pays here, a partner's stock is sold there: once, whatever breaks in between."""

from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from cardshop.common.outgoing import NoAnswer
from orders.models import Order
from orders.services.fulfilling import fill_in, missing_slots, put_overdue_before_person
from payments.models import Refund
from resellers.tasks import fill_orders
from suppliers import forwarding
from suppliers.drivers import cardshop
from suppliers.models import SuppliedVariant, Supplier, SupplierOrder, new_idempotency_key
from suppliers.reconciling import reconcile
from suppliers.tests.partners import COSTS, PAID_IN, forward, keys_of, supply_of
from tests.factories import make_by_hand, stock_up
from tests.race.racing import broken_invariants, race_all

pytestmark = pytest.mark.django_db(transaction=True)


def status(order):
    order.refresh_from_db()
    return order.status


def keys_there():
    return [key for order in Order.objects.filter(shop__slug="there") for key in keys_of(order)]


def test_a_buyer_gets_the_partners_keys_and_the_partner_is_paid(partners):
    order = partners.sell(quantity=2)

    assert forward() == 1

    assert status(order) == "delivered"
    assert keys_of(order) == keys_there()
    assert len(keys_of(order)) == 2
    assert partners.balance == PAID_IN - 2 * COSTS
    row = supply_of(order)
    assert (row.status, row.cost_minor, row.next_at) == ("filled", 2 * COSTS, None)
    assert row.their_number == Order.objects.get(shop__slug="there").number
    assert forward() == 0
    assert broken_invariants() == []


class Killed(BaseException):
    """The process is gone: nothing of it is written any more."""


def dies_before(*_args, **_kwargs):
    raise Killed


def dies_after(act):
    def then_die(*args, **kwargs):
        act(*args, **kwargs)
        raise Killed

    return then_die


BEFORE, AFTER = "before", "after"


@pytest.mark.parametrize(
    ("where", "when"),
    [
        ("suppliers.drivers.cardshop.post", BEFORE),
        ("suppliers.drivers.cardshop.post", AFTER),
        ("suppliers.forwarding._note_bought", AFTER),
        ("suppliers.forwarding._hand_on", BEFORE),
        ("suppliers.forwarding.fill_in", AFTER),
        ("suppliers.forwarding._end", AFTER),
    ],
)
def test_killed_at_any_step_it_is_bought_once_and_delivered_once(partners, monkeypatch, where, when):
    order = partners.sell()
    with monkeypatch.context() as patch:
        act = _named(where)
        patch.setattr(where, dies_before if when == BEFORE else dies_after(act))
        with pytest.raises(Killed):
            forward()

    forward(seconds=61)  # the lease is over

    assert status(order) == "delivered"
    assert keys_of(order) == keys_there()
    assert supply_of(order).status == "filled"
    assert (partners.balance, partners.sold_there) == (PAID_IN - COSTS, 1)
    assert reconcile(partners.supplier, clock=db_now) == []
    assert broken_invariants() == []


def test_two_workers_at_one_order_buy_it_once_and_deliver_it_once(partners):
    """The first was held up for longer than its lease."""
    order = partners.sell()
    at_it = [forwarding._lease_one(db_now() + timedelta(seconds=61 * each), set()) for each in range(2)]

    outcomes = race_all(*[lambda row=row: forwarding._send(row, db_now) for row in at_it])

    assert outcomes == [None, None]
    assert (status(order), keys_of(order)) == ("delivered", keys_there())
    assert supply_of(order).status == "filled"
    assert (partners.balance, partners.sold_there) == (PAID_IN - COSTS, 1)
    assert broken_invariants() == []


def _named(where):
    module, _, name = where.rpartition(".")
    return getattr(cardshop if module.endswith("cardshop") else forwarding, name)


def lose_answers(monkeypatch, *, count=1):
    """The first posts are done there, and nobody hears of it."""
    post, left = cardshop.post, [count]

    def lost(*args, **kwargs):
        answer = post(*args, **kwargs)
        if left[0]:
            left[0] -= 1
            raise NoAnswer("no answer in time")
        return answer

    monkeypatch.setattr(cardshop, "post", lost)


def test_an_answer_that_is_lost_costs_nothing_twice(partners, monkeypatch):
    order = partners.sell()
    lose_answers(monkeypatch)

    forward()
    assert (status(order), supply_of(order).last_error) == ("paid", "no answer in time")
    forward(seconds=6)

    assert status(order) == "delivered"
    assert partners.balance == PAID_IN - COSTS


def test_control_with_a_new_key_for_every_try_it_is_charged_twice(partners, monkeypatch):
    order = partners.sell()
    lose_answers(monkeypatch)

    forward()
    SupplierOrder.objects.update(idempotency_key=new_idempotency_key())
    forward(seconds=6)

    assert status(order) == "delivered"
    assert partners.balance == PAID_IN - 2 * COSTS
    (difference,) = reconcile(partners.supplier, clock=db_now)
    assert "nothing by our books, 700 paid by theirs" in difference


def test_what_is_not_to_be_had_is_refunded_and_it_is_said_why(partners):
    order = partners.sell(quantity=6)  # of five

    assert forward() == 2  # asked for, and given back

    row = supply_of(order)
    assert (row.status, row.problem, row.next_at) == ("failed", "out_of_stock", None)
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.item, refund.status) == (
        order.total_minor,
        order.items.get(),
        "requested",
    )
    assert refund.reason == "Partner: out_of_stock"
    assert partners.balance == PAID_IN
    assert forward(hours=1) == 0


def test_no_more_is_paid_than_may_be(partners):
    SuppliedVariant.objects.update(most_minor=COSTS - 1)
    order = partners.sell()

    forward()

    assert supply_of(order).problem == "price_rose"
    assert (partners.balance, Refund.objects.count()) == (PAID_IN, 1)


def test_where_two_have_to_agree_the_refund_waits_for_the_second(partners):
    shop = partners.goods.shop
    shop.refunds_need_two = True
    shop.save()
    order = partners.sell(quantity=6)

    forward()

    assert Refund.objects.get().status == "awaited"
    assert (status(order), order.attention) == ("paid", "")


def test_where_nothing_can_be_refunded_a_person_is_told(partners, refunder):
    refunder.can = frozenset()
    order = partners.sell(quantity=6)

    forward()

    assert (status(order), order.attention) == ("paid", forwarding.NO_REFUND)
    assert not Refund.objects.exists()


def hold_back_the_first(monkeypatch):
    """It is lost on its way; what is returned lets it arrive late."""
    post, held = cardshop.post, []

    def holding(*args, **kwargs):
        if held:
            return post(*args, **kwargs)
        held.append(lambda: post(*args, **kwargs))
        raise NoAnswer("no answer in time")

    monkeypatch.setattr(cardshop, "post", holding)
    return lambda: held[0]()


def arrives_late(partners, monkeypatch):
    """What is refused while there is nothing left is sold when there is, since the first try arrives then."""
    order = partners.sell(quantity=6)  # of five
    let_it_arrive = hold_back_the_first(monkeypatch)
    forward()
    forward(seconds=6)
    stock_up(partners.source, 1)
    assert let_it_arrive().status == 201
    forward(minutes=11)
    return order


def test_a_no_counts_only_when_nothing_sent_before_can_still_arrive(partners, monkeypatch):
    order = arrives_late(partners, monkeypatch)

    assert (status(order), len(keys_of(order))) == ("delivered", 6)
    assert (partners.balance, partners.sold_there) == (PAID_IN - 6 * COSTS, 1)
    assert not Refund.objects.exists()


def test_control_a_no_that_is_believed_at_once_refunds_what_is_bought_then(partners, monkeypatch):
    def believe(row, code, _sent_before, now, **_more):
        forwarding._fail(row, code, now)

    monkeypatch.setattr(forwarding, "_heard_no", believe)

    arrives_late(partners, monkeypatch)

    assert partners.balance == PAID_IN - 6 * COSTS
    assert Refund.objects.count() == 1


def test_when_nothing_can_arrive_any_more_it_is_refunded(partners, monkeypatch):
    order = partners.sell(quantity=6)
    hold_back_the_first(monkeypatch)

    forward()
    forward(seconds=6)
    row = supply_of(order)
    assert (row.status, row.last_error, Refund.objects.count()) == ("to_send", "out_of_stock", 0)

    forward(minutes=11)
    assert (supply_of(order).status, Refund.objects.count()) == ("failed", 1)


def _never_arrives(*_args, **_kwargs):
    raise NoAnswer("no answer in time")


def test_while_nobody_knows_nothing_is_refunded_and_in_the_end_a_person_is_told(partners, monkeypatch):
    order = partners.sell()
    lose_answers(monkeypatch, count=100)

    forward()
    for hours in (1, 2, 13):
        put_overdue_before_person(db_now() + timedelta(hours=hours))
        forward(hours=hours)

    assert (status(order), order.attention) == ("paid", forwarding.SILENT)
    assert supply_of(order).status == "to_send"
    assert not Refund.objects.exists()

    monkeypatch.undo()
    forward(hours=14)
    assert (status(order), order.attention) == ("delivered", "")
    assert partners.balance == PAID_IN - COSTS


def test_who_does_not_answer_keeps_nobody_waiting_but_once(partners, monkeypatch):
    """One time-out for all that is due there, and what comes of the others goes on."""
    for _ in range(3):
        partners.sell()
    calls = []
    monkeypatch.setattr(cardshop, "post", lambda *_args, **_more: calls.append(1) or _never_arrives())

    forward()
    forward(seconds=4)
    assert len(calls) == 1

    monkeypatch.undo()
    forward(seconds=31)
    assert set(SupplierOrder.objects.values_list("status", flat=True)) == {"filled"}


def fill_in_by_hand(order):
    ((line, slots),) = missing_slots(order).items()
    fill_in(order, {(line, slot): "typed" for slot in slots}, actor="lin", now=db_now())


def test_what_a_person_has_filled_in_is_not_bought(partners):
    order = partners.sell()
    fill_in_by_hand(order)

    forward()

    assert supply_of(order).status == "not_needed"
    assert (partners.sold_there, keys_of(order)) == (0, ["typed"])


def test_what_was_bought_and_filled_in_by_a_person_meanwhile_is_told(partners, monkeypatch):
    order = partners.sell()
    lose_answers(monkeypatch)
    forward()
    fill_in_by_hand(order)

    forward(seconds=6)

    row = supply_of(order)
    assert (row.status, row.cost_minor) == ("left_over", COSTS)
    assert (status(order), order.attention) == ("delivered", forwarding.LEFT_OVER)
    assert keys_of(order) == ["typed"]


def test_what_a_person_fills_in_there_is_waited_for(partners):
    by_hand = make_by_hand(shop=partners.source.shop, code="slow", price_minor=COSTS)
    SuppliedVariant.objects.update(their_code="slow")
    order = partners.sell()

    forward()
    assert (status(order), supply_of(order).status) == ("paid", "asked")

    there = Order.objects.get(shop=by_hand.shop)
    fill_in_by_hand(there)
    forward(seconds=6)
    assert (status(order), keys_of(order)) == ("delivered", ["typed"])


def test_what_is_accepted_for_later_is_waited_for_and_may_still_come_to_nothing(partners, monkeypatch):
    monkeypatch.setattr("resellers.api.orders.MOST_AT_ONCE", 0)
    served, refused = partners.sell(quantity=4), partners.sell(quantity=2)  # of five

    forward()
    assert {supply_of(order).status for order in (served, refused)} == {"asked"}
    assert partners.balance == PAID_IN
    fill_orders()
    forward(seconds=6)

    assert (status(served), len(keys_of(served)), supply_of(served).cost_minor) == ("delivered", 4, 4 * COSTS)
    assert (supply_of(refused).status, supply_of(refused).problem) == ("failed", "out_of_stock")
    assert Refund.objects.get().item == refused.items.get()
    assert partners.balance == PAID_IN - 4 * COSTS
    assert reconcile(partners.supplier, clock=db_now) == []


def test_a_secret_that_is_refused_is_no_no(partners):
    order = partners.sell()
    supplier = Supplier.objects.get()
    supplier.seal_secret("another")
    supplier.save()

    forward()

    row = supply_of(order)
    assert (row.status, row.unanswered_at) == ("to_send", None)
    assert row.last_error == "it answered 401 not_authenticated"
    assert not Refund.objects.exists()
