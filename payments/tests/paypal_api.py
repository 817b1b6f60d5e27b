"""A scripted PayPal behind the real HTTP client's seam."""

import json

import httpx
import pytest

from payments.gateways import paypal, paypal_calls
from payments.gateways.base import Trade
from payments.gateways.paypal import PayPalGateway
from payments.gateways.paypal_certificates import Certificates
from tests.factories import NOON

BASE = "https://api-m.paypal.com/"
A1 = Trade(out_trade_no="A1", reference="5O190127TN364715T")
ORDER_PATH = "/v2/checkout/orders/5O190127TN364715T"
TOKEN = (200, {"access_token": "token-canary", "expires_in": 32400})
CAPTURE = {
    "id": "3C679366HH908993F",
    "status": "COMPLETED",
    "amount": {"currency_code": "USD", "value": "9.90"},
    "custom_id": "A1",
}


@pytest.fixture(autouse=True)
def nothing_is_remembered(monkeypatch):
    monkeypatch.setattr(paypal, "_certificates", Certificates())
    monkeypatch.setattr(paypal_calls, "_tokens", {})


def gateway(answer=None, **changes):
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    return PayPalGateway(
        **{
            "base_url": BASE,
            "merchant_id": "client",
            "secret": "secret-canary",
            "webhook_id": "5GP028458E2496506",
            "http": httpx.Client(transport=transport),
            "clock": lambda: NOON,
            **changes,
        }
    )


def says(*answers, token=TOKEN, **changes):
    """One answer after the other, the last one for ever; tokens besides. `asked` are the other calls."""
    left, asked = list(answers), []

    def answer(request):
        if request.url.path == "/v1/oauth2/token":
            status, said = token
        else:
            asked.append(request)
            status, said = left.pop(0) if len(left) > 1 else left[0]
        return httpx.Response(status, content=said if isinstance(said, str | bytes) else json.dumps(said))

    return gateway(answer, **changes), asked


def order(status="COMPLETED", *, captures=(CAPTURE,), refunds=(), **unit):
    payments = {"payments": {"captures": list(captures), "refunds": list(refunds)}} if captures else {}
    about = {"custom_id": "A1", "amount": {"currency_code": "USD", "value": "9.90"}, **payments, **unit}
    return 200, {
        "id": "5O190127TN364715T",
        "status": status,
        "update_time": "2026-03-01T11:59:58Z",
        "purchase_units": [about],
        "links": [{"rel": "self", "href": "x"}, {"rel": "payer-action", "href": "https://paypal.example/a"}],
    }


def no(status, issue):
    return status, {"name": "N", "details": [{"issue": issue}]}
