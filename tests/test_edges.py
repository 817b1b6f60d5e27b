"""Requests that never should have been sent, and a shop that is closed."""

import io

import pytest
from django.test import Client

from cardshop.wsgi import application
from tests.factories import make_order, make_variant, pay_order

pytestmark = pytest.mark.django_db


def wsgi(path, *, method="GET", query="", **environ):
    """Straight into the WSGI entry point, as gunicorn would call it; returns the status line."""
    answers = []
    base = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(b""),
        "wsgi.errors": io.StringIO(),
    }
    list(application({**base, **environ}, lambda status, headers, *_: answers.append(status)))
    return answers[0]


@pytest.mark.parametrize("charset", ["hex", "zlib", "rot13", "punycode", "undefined", "utf-7", "nonsense"])
def test_a_claimed_charset_is_not_taken_for_a_codec(charset):
    claimed = f"text/plain; charset={charset}; format=flowed"

    assert wsgi("/healthz", query="edit=email", CONTENT_TYPE=claimed) == "200 OK"


@pytest.mark.parametrize("name", ["\\ud800", "price\\u0000"])
def test_a_field_name_that_cannot_be_printed_is_refused(name):
    make_variant(keys=1)

    answer = Client(raise_request_exception=False).post(
        "/api/v1/orders/", f'{{"{name}": 1}}', content_type="application/json"
    )

    assert answer.status_code == 400


def test_a_form_without_its_token_gets_a_page_that_says_what_to_do():
    make_variant(keys=1)
    client = Client(enforce_csrf_checks=True)

    answer = client.post("/en/", {})

    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()


def test_a_closed_shop_sells_nothing_and_keeps_serving_what_it_sold(client):
    variant = make_variant(keys=3, code="coins")
    order = make_order(variant)
    pay_order(order)
    variant.shop.__class__.objects.update(is_open=False)

    for path in ("/", "/p/coins/", "/api/v1/products/"):
        answer = client.get(path)
        assert (answer.status_code, "s-maxage=1" in answer["Cache-Control"]) == (404, True)
        assert "no-store" not in answer["Cache-Control"]
    assert client.get("/buy/coins/").status_code == 404
    for path in (f"/o/{order.token}/", f"/api/v1/orders/{order.token}/keys/"):
        assert client.get(path).status_code == 200
    assert client.get("/pay/notify/alipay/").status_code == 400  # read, and found wanting
