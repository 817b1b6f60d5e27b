"""What buyers are asked: taken from the page and the API, sealed, shown to the merchant, and nothing odd."""

import json

import pytest
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.common.crypto import CannotOpen
from cardshop.traffic.passes import mint_pass
from inventory.models import Selling
from orders.answers import Answer, opened_answers
from orders.errors import IdempotencyConflict
from orders.models import Order, OrderItem
from tests.factories import counters, make_buyer, make_by_hand, make_order, make_variant
from tests.staff import logged_in, make_boss, make_clerk

pytestmark = pytest.mark.django_db

ASKS = [
    {"name": "角色编号", "name_en": "Character number", "kind": "number", "max_length": 12},
    {"name": "备注", "name_en": "Note", "is_required": False, "max_length": 20},
    {"name": "账号邮箱", "name_en": "Account e-mail", "kind": "email", "is_required": False},
]
HOSTILE = ["<script>alert(1)</script>12", "a\0b", "x" * 10_240, "two\nlines", "\u202egnp", "٣٣", "1.5"]


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.fixture
def variant():
    return make_by_hand(free=5, code="coins", asks=ASKS)


@pytest.fixture
def ids(variant):
    return [str(field.pk) for field in variant.buyer_fields.all()]


def form(**changes):
    return {
        "pass": mint_pass(variant_code="coins", now=db_now()),
        "idempotency_key": "k" * 22,
        "quantity": "1",
        "contact_email": "lin@example.org",
        **changes,
    }


def by_page(client, answers, lang="/en"):
    named = {f"answers.{field}": value for field, value in answers.items()}
    return client.post(f"{lang}/buy/coins/", form(**named))


def by_api(client, answers, address="/api/v1/orders/"):
    body = json.dumps({"variant": "coins", **form(answers=answers)})
    return client.post(address, body, content_type="application/json")


def by_ticket(client, answers):
    return by_api(client, answers, "/api/v1/tickets/")


WAYS = pytest.mark.parametrize("send", [by_page, by_api, by_ticket])


@WAYS
def test_answers_come_with_the_order_and_are_sealed(client, ids, send):
    answer = send(client, {ids[0]: " 0071 ", ids[1]: "", ids[2]: "mei@example.org"})

    assert answer.status_code in (201, 202, 303), answer.content
    order = Order.objects.get()
    item = order.items.get()
    assert opened_answers(order, item) == [
        Answer(ids[0], "角色编号", "Character number", "0071"),
        Answer(ids[2], "账号邮箱", "Account e-mail", "mei@example.org"),
    ]
    assert b"0071" not in bytes(item.answers)


@WAYS
@pytest.mark.parametrize("bad", HOSTILE)
def test_nothing_odd_is_taken(client, variant, ids, send, bad):
    answer = send(client, {ids[0]: bad})

    assert answer.status_code == 400, answer.content[:300]
    assert not Order.objects.exists()
    assert counters(variant) == (5, 5, 0)
    assert b"<script>alert" not in answer.content


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [],
        "text",
        7,
        {"0": "x"},
        {"1": ["x"]},
        {"1": {"a": "b"}},
        {"1": True},
        {"1": "\ud800"},
        {"\ud800": "x"},
    ],
)
def test_no_other_shape_is_taken(client, ids, bad):
    if isinstance(bad, dict):
        bad = {ids[0] if name == "1" else name: value for name, value in bad.items()}

    answer = by_api(client, bad)

    assert answer.status_code == 400
    assert all(isinstance(said, list) for said in answer.json()["fields"].values())
    assert not Order.objects.exists()


@WAYS
def test_what_is_required_and_missing_is_named(client, ids, send):
    answer = send(client, {ids[1]: "hello", ids[2]: "nobody"})

    assert answer.status_code == 400
    if send is by_page:
        page = answer.content.decode()
        assert "Please fill this in." in page
        assert "Enter a valid email address." in page
        assert 'value="hello"' in page  # what was right stands there still
    else:
        assert answer.json()["fields"].keys() == {f"answers.{ids[0]}", f"answers.{ids[2]}"}


@WAYS
def test_who_is_asked_nothing_answers_nothing(client, send):
    make_variant(keys=1, code="coins")

    assert send(client, {"1": "x"}).status_code == 400
    assert send(client, {}).status_code in (201, 202, 303)


def test_questions_are_listed_with_the_product(client, variant, ids):
    (offered,) = client.get(f"/api/v1/products/{variant.product.slug}/").json()["variants"]

    assert (offered["fulfilment"], offered["fulfil_within_hours"]) == ("manual", 12)
    assert offered["buyer_fields"][0] == {
        "id": ids[0],
        "name": "角色编号",
        "kind": "number",
        "is_required": True,
        "max_length": 12,
    }
    assert "within 12 hours" in client.get(f"/en/p/{variant.product.slug}/").content.decode()
    page = client.get("/en/buy/coins/").content.decode()
    assert f'name="answers.{ids[0]}"' in page
    assert "Character number" in page


def test_in_a_line_nobody_is_asked(client, variant, ids):
    variant.selling = Selling.QUEUED
    variant.save()

    assert f'name="answers.{ids[0]}"' not in client.get("/en/buy/coins/").content.decode()
    assert by_ticket(client, {ids[0]: "1"}).status_code == 400


def test_the_same_form_with_another_answer_is_another_request(variant, ids):
    buyer = make_buyer(variant)

    def order(answer):
        return make_order(variant, buyer=buyer, idempotency_key="k" * 22, answers={ids[0]: answer})

    assert order("1") == order(" 1 ")
    with pytest.raises(IdempotencyConflict):
        order("2")


def test_answers_open_in_their_own_order_only(variant, ids):
    first, second = (make_order(variant, answers={ids[0]: number}) for number in ("1", "2"))
    OrderItem.objects.filter(order=second).update(answers=first.items.get().answers)

    with pytest.raises(CannotOpen):
        opened_answers(second, second.items.get())
    page = logged_in(make_boss()).get(f"/admin/orders/order/{second.pk}/change/")
    assert "cannot be opened" in page.content.decode()


def test_the_merchant_reads_them_and_who_may_not_see_orders_does_not(variant, ids):
    order = make_order(variant, answers={ids[0]: "0071", ids[1]: "<b>bold</b>"})
    address = f"/admin/orders/order/{order.pk}/change/"

    page = logged_in(make_boss()).get(address).content.decode()

    assert "0071" in page
    assert "&lt;b&gt;bold" in page
    assert "<b>bold" not in page
    assert logged_in(make_clerk("inventory.view_product")).get(address).status_code in (302, 403)
