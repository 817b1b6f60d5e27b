"""One whole purchase through pages and API, the provider scripted; the browser tests do it for real."""

import re

import pytest

from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.models import PaymentAttempt, Receipt
from payments.services.evidence import settle_receipts
from payments.services.polling import poll_due_attempts
from tests.factories import make_channel, make_variant, stock_up

pytestmark = pytest.mark.django_db


@pytest.fixture
def keys():
    make_channel()
    return stock_up(make_variant(code="coins"), 3)


def hidden(page, name):
    return re.search(rf'name="{name}" value="([^"]+)"', page.content.decode()).group(1)


def settle(provider):
    """Money arrives, is found by polling, and the worker delivers."""
    attempt = PaymentAttempt.objects.get()
    provider.knows(attempt)
    poll_due_attempts(clock=lambda: attempt.next_query_at)
    assert settle_receipts([Receipt.objects.get().pk], db_now()) == {}
    deliver_orders([Order.objects.get().pk], db_now())


@pytest.mark.parametrize("lang", ["", "/en"])
def test_by_pages(client, provider, keys, lang):
    form_page = client.get(f"{lang}/buy/coins/")
    placed = client.post(
        f"{lang}/buy/coins/",
        {
            "pass": hidden(form_page, "pass"),
            "idempotency_key": hidden(form_page, "idempotency_key"),
            "quantity": "2",
            "contact_email": "lin@example.org",
        },
    )
    link = placed["Location"]
    assert link.startswith(f"{lang}/o/")
    away = client.post(f"{link}pay/", {"method": "alipay"})
    assert (away.status_code, away["Location"]) == (303, "http://127.0.0.1:9/pay/1")

    settle(provider)
    back = client.get(f"/pay/return/{PaymentAttempt.objects.get().out_trade_no}/")

    assert back["Location"] == link
    page = client.get(link)
    assert all(key in page.content.decode() for key in keys[:2])
    assert keys[2] not in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    for response in (form_page, placed, page):
        assert not response.cookies


def test_by_api(client, provider, keys):
    def post(path, body):
        return client.post(path, body, content_type="application/json")

    minted = post("/api/v1/passes/", {"variant": "coins"}).json()
    wanted = {"variant": "coins", "quantity": 1, "contact_email": "lin@example.org", **minted}
    placed, again = post("/api/v1/orders/", wanted), post("/api/v1/orders/", wanted)
    assert placed.status_code == 201
    assert placed.json() == again.json()
    path = f"/api/v1/orders/{placed.json()['token']}/"
    state = client.get(path).json()
    assert (state["status"], state["can_pay"], state["has_keys"]) == ("pending", True, False)
    assert [way["method"] for way in state["ways"]] == ["alipay"]
    assert client.get(f"{path}keys/").json()["lines"][0]["keys"] == []
    assert post(f"{path}payments/", {"method": "alipay"}).status_code == 201

    settle(provider)

    assert client.get(path).json()["status"] == "delivered"
    assert client.get(f"{path}keys/").json()["lines"][0]["keys"] == keys[:1]
    assert "no-store" in client.get(f"{path}keys/")["Cache-Control"]


def test_cancelling_by_api(client, keys):
    minted = client.post("/api/v1/passes/", {"variant": "coins"}, content_type="application/json").json()
    placed = client.post(
        "/api/v1/orders/",
        {"variant": "coins", "quantity": 1, "contact_email": "lin@example.org", **minted},
        content_type="application/json",
    ).json()

    path = f"/api/v1/orders/{placed['token']}/cancel/"
    cancelled = client.post(path, {}, content_type="application/json")

    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")


def test_the_return_address_opens_nothing_without_the_browsers_own_cookie(client, provider, keys):
    """The provider knows the return address, so it must not lead to the keys."""
    test_by_api(client, provider, keys)
    client.cookies.clear()

    response = client.get(f"/pay/return/{PaymentAttempt.objects.get().out_trade_no}/")

    assert response.status_code == 200
    assert Order.objects.get().token not in response.content.decode()


def test_the_same_form_again_leads_to_the_same_order_and_a_changed_one_says_so(client, keys):
    form_page = client.get("/en/buy/coins/")
    form = {
        "pass": hidden(form_page, "pass"),
        "idempotency_key": hidden(form_page, "idempotency_key"),
        "quantity": "1",
        "contact_email": "lin@example.org",
    }
    first, second = client.post("/en/buy/coins/", form), client.post("/en/buy/coins/", form)
    changed = client.post("/en/buy/coins/", {**form, "quantity": "2"})

    assert first["Location"] == second["Location"]
    assert changed.status_code == 409
    assert first["Location"] in changed.content.decode()
    assert Order.objects.count() == 1


def test_out_of_stock_is_said_and_nothing_entered_is_lost(client, keys):
    form_page = client.get("/en/buy/coins/")
    form = {
        "pass": hidden(form_page, "pass"),
        "idempotency_key": hidden(form_page, "idempotency_key"),
        "quantity": "4",
        "contact_email": "lin@example.org",
    }

    response = client.post("/en/buy/coins/", form)

    assert response.status_code == 409
    assert "not enough left" in response.content.decode()
    assert 'value="lin@example.org"' in response.content.decode()
