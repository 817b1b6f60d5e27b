"""Paying where the provider has no page of its own: a code to scan, or a link that opens the app."""

import httpx
import pytest

from payments.models import PaymentAttempt
from tests.factories import make_channel, make_order, make_variant

pytestmark = pytest.mark.django_db

CODE = "weixin://wxpay/bizpayurl?pr=CANARY"


@pytest.fixture
def order(provider):
    make_channel(slug="wxpay", method="wxpay")
    make_channel(slug="other", position=1)
    return make_order(make_variant(keys=1))


def answers(provider, **said):
    provider.broken = lambda request: httpx.Response(200, json={"code": 1, **said})


def press(client, order, method="wxpay"):
    return client.post(f"/o/{order.token}/pay/", {"method": method})


def page(client, order):
    return client.get(f"/o/{order.token}/").content.decode()


def test_the_orders_page_shows_what_to_scan(client, provider, order):
    answers(provider, qrcode=CODE)
    assert "scan-code" not in page(client, order)

    pressed = press(client, order)

    assert (pressed.status_code, pressed["Location"]) == (303, f"/o/{order.token}/")
    assert 'src="data:image/png;base64,' in page(client, order)
    assert "CANARY" not in page(client, order)  # a code that no browser opens is no link
    assert 'value="alipay"' in page(client, order)


def test_a_code_that_is_an_address_can_be_opened_on_the_phone_that_shows_it(client, provider, order):
    answers(provider, qrcode="https://qr.alipay.example/CANARY")
    press(client, order)

    assert 'href="https://qr.alipay.example/CANARY"' in page(client, order)


def test_a_link_opens_the_app(client, provider, order):
    answers(provider, urlscheme="alipays://platformapi/startapp?CANARY")
    press(client, order)

    assert 'href="alipays://platformapi/startapp?CANARY"' in page(client, order)


def test_pressing_again_shows_the_same_code_and_opens_no_second_trade(client, provider, order):
    answers(provider, qrcode=CODE)
    press(client, order)
    press(client, order)

    assert PaymentAttempt.objects.count() == 1
    assert provider.calls == ["/mapi.php"]


def test_going_another_way_leads_there(client, provider, order):
    answers(provider, qrcode=CODE)
    press(client, order)
    answers(provider, payurl="https://pay.example/p/1")

    assert press(client, order, "alipay")["Location"] == "https://pay.example/p/1"


def test_the_api_says_what_to_scan(client, provider, order):
    answers(provider, qrcode=CODE)

    said = client.post(
        f"/api/v1/orders/{order.token}/payments/", {"method": "wxpay"}, content_type="application/json"
    ).json()

    assert (said["pay_url"], said["qr"], said["app_url"]) == ("", CODE, "")


@pytest.mark.parametrize("most", ["x" * 2331, "é" * 1165, "订" * 777], ids=["ASCII", "Latin", "Chinese"])
def test_the_longest_code_is_shown(client, provider, order, most):
    answers(provider, qrcode=most)

    assert press(client, order).status_code == 303
    assert 'src="data:image/png;base64,' in page(client, order)


@pytest.mark.parametrize("more", ["x" * 2332, "订" * 778], ids=["ASCII", "Chinese"])
def test_what_no_code_holds_is_no_page_to_pay_on(client, provider, order, more):
    answers(provider, qrcode=more)

    press(client, order)

    assert not PaymentAttempt.objects.filter(status="open").exists()
    assert client.get(f"/o/{order.token}/").status_code == 200
