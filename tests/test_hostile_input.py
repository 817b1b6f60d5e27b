"""Bad input, from clumsy to hostile: a clear 4xx in the buyer's language, and nothing changed."""

import re

import pytest
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.traffic.passes import mint_pass
from inventory.models import Product
from orders.models import Order
from tests.factories import counters, make_channel, make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db

QUANTITIES = ["0", "-1", "1.5", str(2**63), str(2**64), "٣", "１", "1e3", " ", "", "1_0", "0x1", "NaN"]
EMAILS = [
    "",
    "nobody",
    "a@b",
    "lin@example.org\r\nBcc: all@example.org",
    "lin@example.org\nX: y",
    "lin@exam\0ple.org",
    "a" * 250 + "@example.org",
    "<script>alert(1)</script>@example.org",
]


@pytest.fixture
def client():
    """Bugs of ours come back as they would to a buyer, as a 500, instead of raising here."""
    return Client(raise_request_exception=False)


@pytest.fixture
def variant():
    return make_variant(keys=5, code="coins")


def form(**changes):
    body = {
        "pass": mint_pass(variant_code="coins", now=db_now()),
        "idempotency_key": "k" * 22,
        "quantity": "1",
        "contact_email": "lin@example.org",
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def by_page(client, lang="", **changes):
    return client.post(f"{lang}/buy/coins/", form(**changes))


def by_api(client, **changes):
    body = {"variant": "coins", **form(**changes)}
    return client.post("/api/v1/orders/", body, content_type="application/json")


def assert_refused(response, variant, status=(400,)):
    assert response.status_code in status, response.content[:300]
    assert b"Traceback" not in response.content
    assert not Order.objects.exists()
    assert counters(variant) == (5, 5, 0)


@pytest.mark.parametrize("send", [by_page, by_api])
def test_an_honest_form_is_an_order(client, variant, send):
    assert send(client).status_code in (201, 303)
    assert counters(variant) == (5, 5, 1)


@pytest.mark.parametrize("send", [by_page, by_api])
@pytest.mark.parametrize("quantity", QUANTITIES)
def test_no_quantity_but_a_whole_number_in_bounds(client, variant, send, quantity):
    assert_refused(send(client, quantity=quantity), variant)


@pytest.mark.parametrize("quantity", [1.0, 1.5, True, None, [1], {"a": 1}, 10**400, -1])
def test_no_json_value_but_a_whole_number_in_bounds(client, variant, quantity):
    body = {"variant": "coins", **form(), "quantity": quantity}

    assert_refused(client.post("/api/v1/orders/", body, content_type="application/json"), variant)


@pytest.mark.parametrize("send", [by_page, by_api])
@pytest.mark.parametrize("email", EMAILS)
def test_no_contact_that_mail_could_not_reach(client, variant, send, email):
    assert_refused(send(client, contact_email=email), variant)


@pytest.mark.parametrize("send", [by_page, by_api])
@pytest.mark.parametrize("foreign", ["price_minor", "status", "total_minor", "next"])
def test_a_foreign_field_is_named_and_refused(client, variant, send, foreign):
    response = send(client, **{foreign: "1"})

    assert_refused(response, variant)
    if send is by_api:
        assert list(response.json()["fields"]) == [foreign]


@pytest.mark.parametrize("send", [by_page, by_api])
@pytest.mark.parametrize("bad", ["", "x", "v1.a.b.c.d", "v1." + "A" * 22 + ".coins.9999999999." + "A" * 43])
def test_a_forged_pass_admits_nobody(client, variant, send, bad):
    assert_refused(send(client, **{"pass": bad}), variant, status=(400, 403))


@pytest.mark.parametrize("send", [by_page, by_api])
@pytest.mark.parametrize("bad", ["", "short", "x" * 65, "new\nline" * 3, "ключ" * 5])
def test_an_idempotency_key_of_another_shape_is_refused(client, variant, send, bad):
    assert_refused(send(client, idempotency_key=bad), variant)


@pytest.mark.parametrize("missing", ["pass", "idempotency_key", "quantity", "contact_email"])
def test_a_missing_field_is_named(client, variant, missing):
    response = by_api(client, **{missing: None})

    assert_refused(response, variant)
    assert list(response.json()["fields"]) == [missing]


def test_the_error_speaks_the_buyers_language_and_keeps_what_was_entered(client, variant):
    chinese, english = by_page(client, quantity="0"), by_page(client, lang="/en", quantity="0")

    assert re.search("[一-鿿]", chinese.content.decode())
    assert 'lang="en"' in english.content.decode()
    for response in (chinese, english):
        assert 'value="lin@example.org"' in response.content.decode()
    api = client.post(
        "/api/v1/orders/", {}, content_type="application/json", headers={"Accept-Language": "zh-CN"}
    )
    assert re.search("[一-鿿]", api.json()["message"])


NOWHERE = [
    "/buy/nobody/",
    "/en/buy/nobody/",
    "/p/nobody/",
    "/c/nobody/",
    "/o/nobody/",
    "/en/o/%00/",
    "/o/%ff/",
    "/nowhere",
    "/pay/return/nobody/",
    "/media/products/..%2f..%2fsecret",
    "/media/products/x.png",
    "/media/products/%00",
    "/api/v1/orders/nobody/",
    "/api/v1/products/nobody/",
    "/o/" + "x" * 3000 + "/",
]


@pytest.mark.parametrize("path", NOWHERE)
def test_what_is_not_there_is_a_404(client, variant, path):
    assert client.get(path).status_code == 404


def test_a_hidden_product_is_not_there_for_anybody(client, variant):
    Product.objects.update(is_listed=False)

    for path in ("/p/coins/", "/buy/coins/", "/api/v1/products/coins/"):
        assert client.get(path).status_code == 404
    for send in (by_page, by_api):
        assert_refused(send(client), variant, status=(404,))
    assert client.get("/api/v1/products/").json() == []


def test_ten_megabytes_are_refused_unread(client, variant):
    big = "x" * 10_000_000

    page = client.post("/buy/coins/", {**form(), "contact_email": big})
    api = client.post("/api/v1/orders/", data=big, content_type="application/json")

    assert_refused(page, variant, status=(413,))
    assert_refused(api, variant, status=(413,))
    assert api.json()["code"] == "too_large"


@pytest.mark.parametrize("body", ["", "{", "[]", '"x"', "null", "1", "\xff", "[" * 20_000])
def test_a_body_that_is_no_json_object_is_refused(client, variant, body):
    assert_refused(client.post("/api/v1/orders/", body, content_type="application/json"), variant)


def test_another_content_type_is_refused(client, variant):
    assert_refused(client.post("/api/v1/orders/", form()), variant, status=(415,))


@pytest.mark.parametrize("path", ["/buy/coins/", "/api/v1/orders/"])
def test_other_methods_are_refused(client, variant, path):
    for method in (client.put, client.delete, client.patch):
        assert method(path).status_code == 405


@pytest.mark.parametrize("send", [by_page, by_api])
def test_a_post_from_another_site_is_refused(client, variant, send):
    client.defaults["HTTP_ORIGIN"] = "https://evil.example"

    assert_refused(send(client), variant, status=(403,))


def test_the_query_string_leads_nobody_away(client, variant):
    response = client.post("/buy/coins/?next=//evil.example", form())

    assert response.status_code == 303
    assert response["Location"].startswith("/o/")


def test_an_unknown_host_is_refused(client, variant):
    assert client.get("/", headers={"Host": "evil.example"}).status_code == 400


@pytest.mark.parametrize("action", ["pay", "cancel", "contact"])
def test_actions_on_somebody_elses_order_need_its_link(client, variant, action):
    order = make_order(variant)

    assert client.post(f"/o/{order.number}/{action}/", {}).status_code == 404
    assert client.get(f"/o/{order.token}/{action}/")["Location"] == f"/o/{order.token}/"


@pytest.mark.parametrize("method", ["", "nobody", "x" * 5000, "'; DROP TABLE orders_order", "\0"])
def test_an_unknown_method_is_refused(client, variant, method):
    order = make_order(variant)
    make_channel()

    page = client.post(f"/o/{order.token}/pay/", {"method": method})
    api = client.post(
        f"/api/v1/orders/{order.token}/payments/", {"method": method}, content_type="application/json"
    )

    assert (page.status_code, api.status_code) == (400, 400)


def test_a_paid_order_can_be_neither_cancelled_nor_paid_again(client, variant):
    order = make_order(variant)
    pay_order(order)

    assert client.post(f"/o/{order.token}/cancel/").status_code == 409
    assert client.post(f"/o/{order.token}/pay/", {"method": "alipay"}).status_code in (400, 409)
    order.refresh_from_db()
    assert order.status == "paid"


@pytest.mark.parametrize("email", EMAILS)
def test_a_bad_correction_of_the_contact_changes_nothing(client, variant, email):
    order = make_order(variant, contact_email="lin@example.org")

    assert client.post(f"/o/{order.token}/contact/", {"contact_email": email}).status_code == 400
    order.refresh_from_db()
    assert order.contact_email == "lin@example.org"
