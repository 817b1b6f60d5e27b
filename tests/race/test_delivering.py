"""Deliveries against each other, imports against each other, a correction against a delivery."""

import time
from collections import Counter

import pytest
from django.db import IntegrityError, transaction

from cardshop.common.clock import db_now
from cardshop.outbox.services import drain
from cardshop.shops.models import Shop
from inventory import picking
from inventory.card_keys import BlindIndex, keyring, locked_blind_index
from inventory.imports import import_keys, small
from inventory.models import CardKey, IndexKey, Variant
from inventory.picking import pick_keys
from orders.models import DeliveredKey, Order
from orders.services import contact, delivery
from orders.services.contact import correct_contact
from orders.services.delivery import deliver_orders
from tests.factories import NOON, counters, make_order, make_variant, pay_order, stock_up
from tests.race.racing import (
    broken_invariants,
    cut,
    linger,
    race,
    race_all,
    read_unlocked,
    rounds,
    without_constraint,
)

pytestmark = pytest.mark.django_db(transaction=True)


def make_paid_orders(count: int) -> Variant:
    """`count` paid orders of one, two, three, one, two, three … keys, and exactly the keys for them."""
    quantities = [number % 3 + 1 for number in range(count)]
    variant = make_variant(keys=sum(quantities))
    for quantity in quantities:
        pay_order(make_order(variant, quantity=quantity))
    return variant


def drain_deliveries() -> int:
    """In batches of five, so that eight drains have something to share."""
    return drain("orders.deliver", deliver_orders, clock=db_now, batch=5)


def assert_everybody_has_their_own_keys(variant: Variant) -> None:
    keys = variant.card_keys.count()
    assert set(Order.objects.values_list("status", "attention")) == {("delivered", "")}
    assert DeliveredKey.objects.count() == CardKey.objects.filter(status="sold").count() == keys
    assert counters(variant) == (keys, keys, keys)
    assert broken_invariants() == []


def test_eight_drains_at_once_hand_over_each_key_once():
    variant = make_paid_orders(60)

    drained = race(8, drain_deliveries)

    assert sum(drained) == 60
    assert_everybody_has_their_own_keys(variant)


def test_the_same_orders_delivered_eight_times_at_once_get_their_keys_once():
    """As when leases ran out and every worker believes that the orders are its own."""
    variant = make_paid_orders(30)
    ids = list(Order.objects.values_list("pk", flat=True))

    outcomes = race(8, lambda: deliver_orders(ids, db_now()))

    assert outcomes == [None] * 8
    assert_everybody_has_their_own_keys(variant)


def keys_handed_over_twice() -> int:
    times = Counter(DeliveredKey.objects.values_list("card_key", flat=True))
    return sum(count > 1 for count in times.values())


def test_control_without_lock_and_constraint_a_key_is_handed_over_twice(monkeypatch):
    monkeypatch.setattr(picking, "PICK", cut(picking.PICK, "FOR UPDATE {skip_locked}"))

    with without_constraint(DeliveredKey, "key_delivered_once"):
        make_paid_orders(60)
        race(8, drain_deliveries)

        assert keys_handed_over_twice() > 0
        assert any("sold_keys_are_delivered" in finding for finding in broken_invariants())


def deliver_twelve_orders_at_once() -> list[object]:
    make_paid_orders(12)
    ids = list(Order.objects.order_by("pk").values_list("pk", flat=True))
    return race_all(*[lambda pk=pk: deliver_orders([pk], db_now()) for pk in ids])


def test_twelve_deliveries_at_once_never_reach_for_the_same_key():
    assert deliver_twelve_orders_at_once() == [None] * 12
    assert Order.objects.filter(status="delivered", attention="").count() == 12


def test_where_the_pick_forgets_its_lock_the_constraint_still_refuses(monkeypatch):
    monkeypatch.setattr(picking, "PICK", cut(picking.PICK, "FOR UPDATE {skip_locked}"))

    outcomes = deliver_twelve_orders_at_once()

    assert any(isinstance(outcome, IntegrityError) for outcome in outcomes)
    assert keys_handed_over_twice() == 0


def test_control_without_the_orders_lock_the_same_order_is_handed_over_twice(monkeypatch):
    monkeypatch.setattr(delivery, "lock_rows", read_unlocked)
    linger(monkeypatch, "orders.services.delivery.hand_over")
    variant = make_variant(keys=8)
    order = make_order(variant)
    pay_order(order)

    with without_constraint(DeliveredKey, "one_current_key_per_slot"):
        race(8, lambda: deliver_orders([order.pk], db_now()))

        assert DeliveredKey.objects.count() > 1
        assert any("delivered_as_ordered" in finding for finding in broken_invariants())


def test_two_deliveries_of_the_last_keys_never_need_a_person():
    variant = make_variant(keys=120)
    orders = [make_order(variant, quantity=2) for _ in range(60)]
    for order in orders:
        pay_order(order)

    left, right = rounds(
        30,
        lambda number: deliver_orders([orders[2 * number].pk], db_now()),
        lambda number: deliver_orders([orders[2 * number + 1].pk], db_now()),
    )

    assert left == right == [None] * 30
    assert_everybody_has_their_own_keys(variant)


def deliver_beside_one_that_fails() -> Order:
    """The last two keys are in another delivery's hands, which in the end puts them back."""
    variant = make_variant(keys=2)
    order = make_order(variant, quantity=2)
    pay_order(order)

    class Failed(Exception):
        pass

    def fail() -> None:
        with transaction.atomic():
            pick_keys(variant_id=variant.pk, quantity=2, now=db_now())
            time.sleep(0.4)
            raise Failed

    def deliver() -> None:
        time.sleep(0.2)  # by now the other one has them
        deliver_orders([order.pk], db_now())

    failed, delivered = race_all(fail, deliver)

    assert isinstance(failed, Failed)
    assert delivered is None
    order.refresh_from_db()
    return order


def test_keys_in_another_deliverys_hands_are_waited_for():
    order = deliver_beside_one_that_fails()

    assert (order.status, order.attention) == ("delivered", "")
    assert broken_invariants() == []


def test_control_without_waiting_a_moments_shortage_goes_to_a_person(monkeypatch):
    monkeypatch.setattr(picking, "PICK", cut(picking.PICK, "{skip_locked}", "SKIP LOCKED"))

    order = deliver_beside_one_that_fails()

    assert (order.status, order.attention) == ("paid", delivery.SHORT_OF_KEYS)


SECRETS = [f"SAME-KEY-{number:04d}" for number in range(300)]


def import_the_same_keys_twice_at_once() -> list[object]:
    """Into two variants of one shop, whose index key exists already."""
    variants = [make_variant(keys=1), make_variant(keys=1)]
    return race_all(
        *[
            lambda variant=variant: import_keys(variant=variant, lines=SECRETS, imported_by="test", now=NOON)[
                1
            ]
            for variant in variants
        ]
    )


def test_the_same_keys_imported_twice_at_once_are_there_once():
    reports = import_the_same_keys_twice_at_once()

    assert sorted(report.imported for report in reports) == [0, 300]
    assert sorted(len(report.duplicate_lines) for report in reports) == [0, 300]
    assert CardKey.objects.count() == 302
    assert broken_invariants() == []


def blind_index_unlocked(shop: Shop) -> BlindIndex:
    row = IndexKey.objects.filter(shop=shop).first()
    if row is None:
        return locked_blind_index(shop)
    return BlindIndex(keyring().open(bytes(row.sealed), b"index-key:%d" % shop.pk))


def test_where_the_import_forgets_its_lock_the_constraint_still_refuses(monkeypatch):
    monkeypatch.setattr(small, "locked_blind_index", blind_index_unlocked)
    linger(monkeypatch, "inventory.imports.storing.keyring", 0.3)

    outcomes = import_the_same_keys_twice_at_once()

    assert sum(isinstance(outcome, IntegrityError) for outcome in outcomes) == 1
    assert CardKey.objects.count() == 302
    assert broken_invariants() == []


def test_control_without_lock_and_constraint_every_key_is_for_sale_twice(monkeypatch):
    monkeypatch.setattr(small, "locked_blind_index", blind_index_unlocked)
    linger(monkeypatch, "inventory.imports.storing.keyring", 0.3)

    with without_constraint(CardKey, "cardkey_once_per_shop"):
        import_the_same_keys_twice_at_once()

        fingerprints = Counter(map(bytes, CardKey.objects.values_list("fingerprint", flat=True)))
        assert sum(count > 1 for count in fingerprints.values()) > 0


def test_the_very_first_imports_of_a_shop_agree_on_one_index_key():
    variants = [make_variant() for _ in range(4)]

    race_all(*[lambda variant=variant: stock_up(variant, 5) for variant in variants])
    reports = [
        import_keys(variant=variants[0], lines=["ONE-SECRET"], imported_by="test", now=NOON)[1],
        import_keys(variant=variants[1], lines=["ONE-SECRET"], imported_by="test", now=NOON)[1],
    ]

    assert IndexKey.objects.count() == 1
    assert [report.imported for report in reports] == [1, 0]
    assert CardKey.objects.count() == 21


def addresses_missed(monkeypatch: pytest.MonkeyPatch) -> int:
    """Orders whose address was corrected while they were delivered, and who were mailed only before."""
    mailed: dict[int, set[str]] = {}

    def mail(order_ids: list[int], now: object) -> None:
        for order in Order.objects.filter(pk__in=order_ids):
            mailed.setdefault(order.pk, set()).add(order.contact_email)

    linger(monkeypatch, "orders.services.contact.note", 0.01)
    variant = make_variant(keys=30)
    orders = [make_order(variant) for _ in range(30)]
    for order in orders:
        pay_order(order)

    rounds(
        30,
        lambda number: (
            deliver_orders([orders[number].pk], db_now()),
            drain("orders.mail_delivery", mail, clock=db_now, batch=10),
        ),
        lambda number: correct_contact(orders[number], contact_email="right@example.org", now=db_now()),
        jitter=0.01,
    )
    drain("orders.mail_delivery", mail, clock=db_now, batch=10)
    return sum("right@example.org" not in mailed[order.pk] for order in orders)


def test_an_address_corrected_during_delivery_gets_its_mail(monkeypatch):
    assert addresses_missed(monkeypatch) == 0


def test_control_without_the_lock_the_corrected_address_hears_nothing(monkeypatch):
    monkeypatch.setattr(contact, "lock_rows", read_unlocked)

    assert addresses_missed(monkeypatch) > 0
