"""Units in a pool of their own, and what becomes of them as keys come and go."""

import pytest
from django.db import transaction

from cardshop.outbox.models import OutboxMessage
from inventory import stock
from inventory.errors import NotSoManyFree, OutOfStock, Unlimited
from inventory.imports.undoing import begin_undo
from inventory.models import CardKey, Fulfilment, KeyBatch, Stock, Variant
from inventory.setting import set_free
from inventory.setting_aside import set_aside, take_back
from inventory.withdrawing import void_free_keys
from orders.errors import KindIsFixed
from orders.models import OrderItem, Reservation
from orders.services.delivery import DAMAGED, SHORT_OF_KEYS, deliver_orders
from orders.services.giving_back import begin_giving_back, finish_giving_back
from orders.services.kinds import change_kind
from orders.services.replacing import NoKeysLeft, replace_keys
from payments.services.shortage import cover_shortage
from tests.factories import NOON, counters, make_order, make_reusable, make_variant, pay_order, stock_up
from tests.race.racing import broken_invariants
from tests.uploads import let_workers_work

pytestmark = pytest.mark.django_db(transaction=True)
POOL = "reseller-7"


def aside(variant) -> tuple[int, int, int]:
    """(total, released, claimed) of the pool."""
    return Stock.objects.values_list("total", "released", "claimed").get(variant=variant, pool=POOL)


def short_of(variant) -> dict[str, int]:
    return dict(Stock.objects.filter(variant=variant, short__gt=0).values_list("pool", "short"))


def sold_from_the_pool(variant, quantity: int = 1):
    """A paid order, not delivered yet, of units that are set aside."""
    take_back(variant, pool=POOL, quantity=quantity)
    order = make_order(variant, quantity=quantity)
    pay_order(order)
    held = Reservation.objects.get(item__order=order)
    stock.release(stock_id=held.stock_id, quantity=quantity)
    set_aside(variant, pool=POOL, quantity=quantity)
    own = stock.claim(variant_id=variant.pk, quantity=quantity, pool=POOL)
    Reservation.objects.filter(pk=held.pk).update(stock_id=own)
    order.refresh_from_db()
    return order


def test_what_is_set_aside_is_for_nobody_else_and_comes_back():
    variant = make_variant(keys=5)

    set_aside(variant, pool=POOL, quantity=3)
    assert (counters(variant), aside(variant)) == ((2, 2, 0), (3, 3, 0))
    with pytest.raises(OutOfStock):
        stock.claim(variant_id=variant.pk, quantity=3)
    stock.claim(variant_id=variant.pk, quantity=1)
    stock.claim(variant_id=variant.pk, quantity=1, pool=POOL)
    with pytest.raises(NotSoManyFree, match="1"):
        set_aside(variant, pool=POOL, quantity=2)
    with pytest.raises(NotSoManyFree, match="2"):
        take_back(variant, pool=POOL, quantity=3)
    take_back(variant, pool=POOL, quantity=2)

    assert (counters(variant), aside(variant)) == ((4, 4, 1), (1, 1, 1))


def test_of_what_is_sold_in_waves_the_closed_part_is_set_aside_first_and_comes_back_closed():
    variant = make_variant(keys=2)
    Variant.objects.update(sells_in_waves=True)
    stock_up(variant, 3)

    set_aside(variant, pool=POOL, quantity=4)
    assert (counters(variant), aside(variant)) == ((1, 1, 0), (4, 4, 0))
    take_back(variant, pool=POOL, quantity=4)

    assert counters(variant) == (5, 1, 0)
    assert broken_invariants() == []


def test_of_what_has_no_end_nothing_is_set_aside_and_what_was_comes_back():
    variant = make_reusable(free=5)
    set_aside(variant, pool=POOL, quantity=2)
    set_free(variant, None)

    with pytest.raises(Unlimited):
        set_aside(variant, pool=POOL, quantity=1)
    take_back(variant, pool=POOL, quantity=2)

    assert (counters(variant), aside(variant)) == ((None, None, 0), (0, 0, 0))
    assert broken_invariants() == []


def test_of_withdrawn_keys_what_is_for_everybody_goes_first():
    variant = make_variant(keys=6)
    bad = KeyBatch.objects.get()
    stock_up(variant, 4)
    set_aside(variant, pool=POOL, quantity=7)

    assert void_free_keys(bad, NOON) == 6

    assert (counters(variant), aside(variant), short_of(variant)) == ((0, 0, 0), (4, 4, 0), {})
    assert broken_invariants() == []


def test_where_claims_of_the_pool_lost_their_keys_nobody_buys_before_they_have_them():
    variant = make_variant(keys=3)
    set_aside(variant, pool=POOL, quantity=2)
    order = sold_from_the_pool(variant, 2)

    void_free_keys(KeyBatch.objects.get(), NOON)

    assert (counters(variant), aside(variant), short_of(variant)) == ((0, 0, 0), (2, 2, 2), {"public": 2})
    assert broken_invariants() == []
    deliver_orders([order.pk], NOON)
    order.refresh_from_db()
    assert order.attention == SHORT_OF_KEYS
    stock_up(variant, 3)
    assert (counters(variant), short_of(variant)) == ((1, 1, 0), {})
    assert OutboxMessage.objects.filter(task="orders.serve_waiting").exists()
    deliver_orders([order.pk], NOON)
    order.refresh_from_db()
    assert order.status == "delivered"
    assert broken_invariants() == []


def test_what_comes_back_into_the_pool_is_for_whoever_is_short():
    variant = make_variant(keys=1)
    bad = KeyBatch.objects.get()
    stock_up(variant, 1)
    set_aside(variant, pool=POOL, quantity=1)
    theirs, waiting = sold_from_the_pool(variant), make_order(variant)
    pay_order(waiting)
    void_free_keys(bad, NOON)
    assert short_of(variant) == {"public": 1}

    item = OrderItem.objects.get(order=theirs)
    with transaction.atomic():
        begin_giving_back(item)
        finish_giving_back(theirs, item, actor="boss", now=NOON)

    assert (counters(variant), aside(variant), short_of(variant)) == ((1, 1, 1), (0, 0, 0), {})
    deliver_orders([waiting.pk], NOON)
    waiting.refresh_from_db()
    assert waiting.status == "delivered"
    assert [said for said in broken_invariants() if not said.startswith("payments.")] == []  # no money moved


def test_an_unpaid_order_makes_way_for_one_that_is_paid_out_of_the_pool():
    variant = make_variant(keys=1)
    bad = KeyBatch.objects.get()
    stock_up(variant, 1)
    set_aside(variant, pool=POOL, quantity=1)
    sold_from_the_pool(variant)
    unpaid = make_order(variant)
    void_free_keys(bad, NOON)

    cover_shortage([Stock.objects.get(pool="public").pk], NOON)

    unpaid.refresh_from_db()
    assert unpaid.status == "closing"


def test_a_damaged_key_found_by_a_delivery_is_taken_from_what_is_for_everybody():
    variant = make_variant(keys=4)
    set_aside(variant, pool=POOL, quantity=2)
    order = sold_from_the_pool(variant)
    first = CardKey.objects.earliest("pk")
    CardKey.objects.filter(pk=first.pk).update(sealed=bytes(first.sealed)[:-1] + b"x")

    deliver_orders([order.pk], NOON)

    order.refresh_from_db()
    assert (order.status, order.attention) == ("delivered", DAMAGED)
    assert (counters(variant), aside(variant)) == ((1, 1, 0), (2, 2, 1))
    assert broken_invariants() == []


def test_an_import_is_taken_back_as_far_as_it_is_for_everybody():
    variant = make_variant(keys=5)
    set_aside(variant, pool=POOL, quantity=2)

    begin_undo(KeyBatch.objects.get(), now=NOON)
    let_workers_work()

    assert (counters(variant), aside(variant)) == ((0, 0, 0), (2, 2, 0))
    assert broken_invariants() == []


def test_a_bad_key_is_not_replaced_out_of_what_is_set_aside():
    variant = make_variant(keys=2)
    order = make_order(variant)
    pay_order(order)
    deliver_orders([order.pk], NOON)
    set_aside(variant, pool=POOL, quantity=1)
    item = order.items.get()
    bad = item.delivered_keys.values_list("card_key", flat=True)

    with pytest.raises(NoKeysLeft):
        replace_keys(item, bad=list(bad), reason="bad", actor="boss", now=NOON)

    assert (counters(variant), aside(variant)) == ((1, 1, 1), (1, 1, 0))


def test_what_buyers_get_is_not_changed_while_some_of_it_is_set_aside():
    variant = make_reusable(free=2)
    set_aside(variant, pool=POOL, quantity=1)
    set_free(variant, 0)

    with pytest.raises(KindIsFixed, match="预留"):
        change_kind(variant, Fulfilment.CARD_KEY)
    take_back(variant, pool=POOL, quantity=1)
    set_free(variant, 0)
    change_kind(variant, Fulfilment.CARD_KEY)

    assert broken_invariants() == []
