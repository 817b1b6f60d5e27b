"""Buying by program: at once or with the next batch, paid from the account, once for each key."""

import json
from typing import Any

import pytest

from cardshop.common.clock import db_now
from inventory import picking
from inventory.errors import ShortPick
from inventory.models import CardKey, Product, Stock, Variant
from orders.models import DeliveredKey, Order
from orders.services import delivery
from orders.tasks import deliver
from payments.ledger.entries import credit
from payments.models import Balance, BalanceEntry, Receipt
from payments.services.refund_sending import send_refunds
from payments.services.refunds import request_refund
from resellers.models import Event, Reseller, ResellerOrder, Scope
from resellers.orders.filling import BUYER
from resellers.stock import OF_ALL
from resellers.tasks import fill_orders
from resellers.tests.calling import API, Program, make_program, make_reseller
from tests.factories import counters, make_by_hand, make_channel, make_reusable, make_variant, stock_up
from tests.lines import make_sale
from tests.race.racing import broken_invariants

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
ORDERS = f"{API}orders/"


def rich(amount_minor: int = 100_000, name: str = "Partner") -> Reseller:
    reseller = make_reseller(name)
    credit(reseller.balance, amount_minor=amount_minor, reason="paid in", actor="boss", now=db_now())
    return reseller


def order(program: Program, *lines: tuple[Variant, int], key: str = "first-key", **said: Any) -> Any:
    headers = {"Idempotency-Key": key, **said.pop("headers", {})}
    body = {"lines": [{"variant": variant.code, "quantity": n} for variant, n in lines], **said}
    return program.call(ORDERS, "POST", json.dumps(body).encode(), headers=headers)


def later(program: Program, *lines: tuple[Variant, int], **said: Any) -> Any:
    return order(program, *lines, headers={"Prefer": "respond-async"}, **said)


def cancel(program: Program, number: str, key: str) -> Any:
    return program.call(f"{ORDERS}{number}/cancel/", "POST", headers={"Idempotency-Key": key})


def left_on(reseller: Reseller) -> int:
    reseller.balance.refresh_from_db()
    return reseller.balance.amount_minor


def test_an_order_is_paid_and_answered_with_its_keys():
    few, many = make_variant(price_minor=500), make_variant(price_minor=300)
    mine = {few.code: stock_up(few, 2), many.code: stock_up(many, 5)}
    reseller = rich(10_000)
    program = make_program(reseller)

    answer = order(program, (few, 2), (many, 3), reference="PO 7")

    said = answer.json()
    assert answer.status_code == 201
    assert (said["status"], said["total_minor"], said["reference"]) == ("delivered", 1900, "PO 7")
    assert {line["variant"]: line["keys"] for line in said["lines"]} == {
        few.code: mine[few.code],
        many.code: mine[many.code][:3],
    }
    assert left_on(reseller) == 8100
    assert program.call(f"{ORDERS}{said['number']}/keys/").json() == said
    without = program.call(f"{ORDERS}{said['number']}/").json()
    assert [line.get("keys") for line in without["lines"]] == [None, None]
    assert program.call(f"{ORDERS}?reference=PO+7").json() == {"orders": [without], "next": None}
    assert broken_invariants() == []


def test_the_same_key_is_the_same_order_and_another_body_is_refused():
    variant, reseller = make_variant(keys=5), rich()
    program = make_program(reseller)

    answers = [order(program, (variant, 1), key="the-key-1") for _ in range(3)]
    other = order(program, (variant, 2), key="the-key-1")

    assert [answer.status_code for answer in answers] == [201] * 3
    assert len({answer.content for answer in answers}) == 1
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert left_on(reseller) == 100_000 - 990
    assert Order.objects.count() == 1


def test_accepted_orders_are_filled_together_and_those_that_cannot_be_say_why(django_assert_max_num_queries):
    variant = make_variant(keys=10, price_minor=1000)
    reseller = rich(4500)
    program = make_program(reseller)
    numbers = [later(program, (variant, 1), key=f"the-key-{n}").json()["number"] for n in range(6)]
    elsewhere = make_variant(keys=1, code="taken-off")
    gone = later(program, (elsewhere, 1), key="gone-by-then").json()["number"]
    Product.objects.filter(variants=elsewhere).update(is_listed=False)

    with django_assert_max_num_queries(40):  # however many there are
        fill_orders()

    said = [program.call(f"{ORDERS}{number}/").json() for number in [*numbers, gone]]
    assert [one["status"] for one in said] == ["delivered"] * 4 + ["refused"] * 3
    assert [one["problem"] for one in said[4:]] == [
        {
            "code": "not_enough_balance",
            "needed_minor": 1000,
            "balance_minor": 500,
            "spendable_minor": 500,
        }
    ] * 2 + [{"code": "not_for_sale"}]
    assert (left_on(reseller), counters(variant)) == (500, (10, 10, 4))
    assert sorted(Event.objects.filter(kind="order.refused").values_list("subject", flat=True)) == sorted(
        [*numbers[4:], gone]
    )
    assert broken_invariants() == []
    fill_orders()
    assert Order.objects.count() == 4


def test_many_orders_are_accepted_with_one_request_and_each_has_its_own_end():
    variant = make_variant(keys=5, price_minor=1000)
    program = make_program(rich(2500))
    order(program, (variant, 1), key="the-key-9")
    orders = [
        {"idempotency_key": f"the-key-{n}", "lines": [{"variant": variant.code, "quantity": 1 + n // 9}]}
        for n in range(7, 10)
    ]

    answers = [
        program.call(f"{ORDERS}batch/", "POST", json.dumps({"orders": orders}).encode()) for _ in range(2)
    ]
    fill_orders()

    first, again = (answer.json()["orders"] for answer in answers)
    assert [answer.status_code for answer in answers] == [202, 202]
    assert [each["order"] and each["order"]["status"] for each in first] == ["accepted", "accepted", None]
    assert first[2]["problem"] == {"code": "idempotency_key_reused"}
    assert [each["order"] and each["order"]["number"] for each in again] == [
        each["order"] and each["order"]["number"] for each in first
    ]
    ends = [program.call(f"{ORDERS}{each['order']['number']}/").json()["status"] for each in first[:2]]
    assert ends == ["delivered", "refused"]
    twice = program.call(f"{ORDERS}batch/", "POST", json.dumps({"orders": orders[:1] * 2}).encode())
    assert (twice.status_code, list(twice.json()["fields"])) == (400, ["orders"])
    assert broken_invariants() == []


def test_what_is_large_is_accepted_and_filled_later():
    variant = make_variant(keys=101, price_minor=1)
    program = make_program(rich())

    answer = order(program, (variant, 101))
    fill_orders()

    keys = program.call(f"{ORDERS}{answer.json()['number']}/keys/").json()
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert (keys["status"], len(set(keys["lines"][0]["keys"]))) == ("delivered", 101)


def test_an_accepted_order_can_be_cancelled_until_it_is_filled():
    variant = make_variant(keys=2)
    program = make_program(rich())
    number = later(program, (variant, 1), key="to-be-cancelled").json()["number"]

    cancelled = [cancel(program, number, key) for key in ("cancel-it", "cancel-it", "and-again")]
    filled = order(program, (variant, 1)).json()["number"]
    fill_orders()

    assert [(answer.status_code, answer.json()["status"]) for answer in cancelled] == [(200, "cancelled")] * 3
    too_late = cancel(program, filled, "too-late-1")
    assert cancel(program, filled, "cancel-it").json()["code"] == "idempotency_key_reused"
    assert cancel(program, filled, "").json()["code"] == "idempotency_key_missing"
    assert (too_late.status_code, too_late.json()["code"]) == (409, "not_cancellable")
    assert counters(variant) == (2, 2, 1)


def on_sale_later(variant: Variant) -> None:
    Variant.objects.filter(pk=variant.pk).update(on_sale_from="2100-01-01T00:00Z")


def in_dollars(variant: Variant) -> None:
    Variant.objects.filter(pk=variant.pk).update(currency="USD")


def through_a_line(variant: Variant) -> None:
    Variant.objects.filter(pk=variant.pk).update(selling="queued")


def of_another_shop(variant: Variant) -> None:
    Variant.objects.filter(pk=variant.pk).update(is_active=False)


def sold_out(variant: Variant) -> None:
    Stock.objects.filter(variant=variant).update(released=1)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (on_sale_later, "not_open"),
        (in_dollars, "not_buyable"),
        (through_a_line, "sold_through_line"),
        (of_another_shop, "not_for_sale"),
        (sold_out, "out_of_stock"),
    ],
)
def test_what_cannot_be_had_is_refused_and_leaves_nothing_behind(change, code):
    variant, other = make_variant(keys=2), make_variant(keys=2)
    reseller = rich()
    change(variant)

    answer = order(make_program(reseller), (other, 1), (variant, 2))

    assert answer.json()["code"] == code
    assert (left_on(reseller), counters(other)[2]) == (100_000, 0)
    assert not Order.objects.exists()
    assert not ResellerOrder.objects.exists()
    assert broken_invariants() == []


def test_too_little_money_and_a_risen_price_are_told_with_the_figures():
    variant = make_variant(keys=2, price_minor=1000)
    program = make_program(rich(1500))

    poor, dear = order(program, (variant, 2)), order(program, (variant, 1), most_minor=999)

    assert (poor.status_code, poor.json()["code"], poor.json()["needed_minor"]) == (
        409,
        "not_enough_balance",
        2000,
    )
    assert (dear.status_code, dear.json()["code"], dear.json()["total_minor"]) == (409, "price_rose", 1000)
    assert order(program, (variant, 1), most_minor=1000).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"lines": []}', "lines"),
        (b'{"lines": [{"variant": "a", "quantity": 501}]}', "lines.0.quantity"),
        (b'{"lines": [{"variant": "a", "quantity": 1}, {"variant": "a", "quantity": 1}]}', "lines"),
        (b'{"lines": [{"variant": "a", "quantity": 1}], "price": 1}', "price"),
        (b'{"lines": [{"variant": "a", "quantity": 1}], "reference": "a\\nb"}', "reference"),
        (b"[]", "non_field_errors"),
    ],
)
def test_what_cannot_be_an_order_is_refused(body, field):
    answer = make_program().call(ORDERS, "POST", body, headers={"Idempotency-Key": "the-key-1"})

    assert (answer.status_code, answer.json()["code"], list(answer.json()["fields"])) == (
        400,
        "invalid",
        [field],
    )


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "short"}, {"Idempotency-Key": "x" * 65}])
def test_without_a_key_nothing_is_ordered(headers):
    answer = make_program().call(ORDERS, "POST", b"{}", headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")


def test_whoever_may_not_read_keys_buys_without_seeing_them():
    variant = make_variant(keys=1)
    reseller = rich()
    buying = make_program(reseller, scopes=[Scope.BUY, Scope.ORDERS])

    said = order(buying, (variant, 1)).json()

    assert "keys" not in said["lines"][0]
    assert buying.call(f"{ORDERS}{said['number']}/keys/").status_code == 403


def test_orders_of_others_are_not_there():
    variant = make_variant(keys=1)
    number = order(make_program(rich()), (variant, 1)).json()["number"]
    stranger = make_program(make_reseller("Other"))

    assert stranger.call(f"{ORDERS}{number}/").status_code == 404
    assert stranger.call(f"{ORDERS}{number}/keys/").status_code == 404
    assert cancel(stranger, number, "cancel-theirs").status_code == 404
    assert stranger.call(ORDERS).json()["orders"] == []


def test_what_a_person_fills_in_is_paid_and_waits_and_one_text_for_all_is_there_at_once():
    by_hand, reusable = make_by_hand(price_minor=100), make_reusable("the link", price_minor=100)
    program = make_program(rich())

    waits, there = order(program, (by_hand, 1), key="by-hand-1"), order(program, (reusable, 2))

    assert (waits.json()["status"], waits.json()["lines"][0]["keys"]) == ("paid", [])
    assert there.json()["lines"][0]["keys"] == ["the link"] * 2
    assert broken_invariants() == []


def test_where_something_has_to_be_asked_it_cannot_be_bought_by_program():
    asking = make_by_hand(asks=[{"name": "账号", "kind": "text"}])

    assert order(make_program(rich()), (asking, 1)).json()["code"] == "not_buyable"


def test_while_others_hold_the_keys_it_is_paid_and_delivered_by_a_worker(monkeypatch):
    variant = make_variant(keys=1)
    program = make_program(rich())

    def short(**_: object) -> list[int]:
        raise ShortPick("others hold them")

    with monkeypatch.context() as patched:
        patched.setattr(delivery, "pick_keys", short)
        said = order(program, (variant, 1)).json()
    deliver()

    assert (said["status"], said["lines"][0]["keys"]) == ("paid", [])
    after = program.call(f"{ORDERS}{said['number']}/keys/").json()
    assert (after["status"], len(after["lines"][0]["keys"])) == ("delivered", 1)
    assert picking.opens(CardKey.objects.get())
    assert broken_invariants() == []


def test_of_a_line_with_people_in_it_only_what_was_set_aside_can_be_had():
    sale = make_sale(keys=3)
    reseller = rich()
    program = make_program(reseller)
    public = Stock.objects.get(variant=sale.variant)
    Stock.objects.create(
        shop=sale.shop, variant=sale.variant, pool=f"{BUYER}{reseller.pk}", total=2, released=2
    )
    Stock.objects.filter(pk=public.pk).update(total=1, released=1)

    too_many, mine = order(program, (sale.variant, 3)), order(program, (sale.variant, 2))

    assert (too_many.status_code, too_many.json()["code"]) == (409, "sold_through_line")
    assert (mine.status_code, len(mine.json()["lines"][0]["keys"])) == (201, 2)
    assert broken_invariants() == []


def test_of_a_line_resellers_share_what_was_set_aside_for_all_of_them():
    sale = make_sale(keys=3)
    Stock.objects.filter(variant=sale.variant).update(total=1, released=1)
    Stock.objects.create(shop=sale.shop, variant=sale.variant, pool=OF_ALL, total=2, released=2)
    one, other = make_program(rich()), make_program(rich(name="Other"))

    buying = [(one, "first-key"), (other, "first-key"), (one, "second-key")]
    answers = [order(program, (sale.variant, 1), key=key) for program, key in buying]

    assert [answer.status_code for answer in answers] == [201, 201, 409]
    assert answers[-1].json()["code"] == "sold_through_line"
    assert counters(sale.variant) == (1, 1, 0)
    assert broken_invariants() == []


def test_what_was_set_aside_goes_first_and_the_rest_is_taken_from_what_all_may_buy():
    variant, reseller = make_variant(keys=5), rich()
    Stock.objects.filter(variant=variant).update(total=3, released=3)
    Stock.objects.create(
        shop=variant.shop, variant=variant, pool=f"{BUYER}{reseller.pk}", total=2, released=2
    )

    said = order(make_program(reseller), (variant, 4)).json()

    assert [(line["quantity"], len(line["keys"])) for line in said["lines"]] == [(2, 2), (2, 2)]
    assert len({key for line in said["lines"] for key in line["keys"]}) == 4
    assert counters(variant) == (3, 3, 2)
    assert broken_invariants() == []


def test_a_refund_goes_back_to_the_account():
    variant, reseller = make_variant(keys=1), rich()
    number = order(make_program(reseller), (variant, 1)).json()["number"]
    item = Order.objects.get(number=number).items.get()

    refund = request_refund(
        Receipt.objects.get(), amount_minor=990, item=item, reason="dead", actor="boss", now=db_now()
    )
    send_refunds([refund.pk], db_now())

    assert left_on(reseller) == 100_000
    assert [entry.kind for entry in BalanceEntry.objects.order_by("pk")] == ["credit", "payment", "refund"]
    assert make_program(reseller).call(f"{ORDERS}{number}/").json()["status"] == "refunded"
    assert DeliveredKey.objects.count() == 1
    assert broken_invariants() == []


def test_a_frozen_account_pays_for_nothing_and_a_channel_of_its_name_takes_no_money_for_it():
    variant, reseller = make_variant(keys=2), rich()
    make_channel(slug="accounts")
    Balance.objects.filter(pk=reseller.balance_id).update(is_frozen=True)
    frozen = order(make_program(reseller), (variant, 1))
    Balance.objects.filter(pk=reseller.balance_id).update(is_frozen=False)

    said = order(make_program(reseller), (variant, 1)).json()

    assert (frozen.status_code, frozen.json()["code"]) == (403, "suspended")
    assert said["status"] == "delivered"
    assert Receipt.objects.get().channel.driver == "balance"


def test_the_suspended_get_nothing_more_of_what_was_accepted():
    variant, reseller = make_variant(keys=1), rich()
    program = make_program(reseller)
    number = later(program, (variant, 1)).json()["number"]

    Reseller.objects.update(is_suspended=True)
    fill_orders()
    Reseller.objects.update(is_suspended=False)

    assert program.call(f"{ORDERS}{number}/").json()["problem"] == {"code": "suspended"}
    assert (left_on(reseller), counters(variant)[2]) == (100_000, 0)
