"""A scripted Stripe behind the real HTTP client's seam."""

import json

import httpx

from payments.gateways.base import Trade
from payments.gateways.stripe_checkout import StripeGateway
from tests.factories import NOON

SECRET = "whsec_canary"
NOW = int(NOON.timestamp())
A1 = Trade(out_trade_no="A1", reference="cs_test_1")
SESSION = {
    "id": "cs_test_1",
    "object": "checkout.session",
    "amount_total": 990,
    "currency": "cny",
    "client_reference_id": "A1",
    "metadata": {"out_trade_no": "A1"},
    "payment_intent": "pi_1",
    "payment_status": "paid",
    "status": "complete",
    "url": "https://checkout.stripe.example/c/pay/cs_test_1#fid",
}


def gateway(answer=None, **changes):
    transport = httpx.MockTransport(answer or (lambda request: httpx.Response(500)))
    return StripeGateway(
        **{
            "base_url": "https://api.stripe.example/",
            "merchant_id": "acct_1",
            "api_key": "sk_test_canary",
            "webhook_secret": SECRET,
            "http": httpx.Client(transport=transport),
            **changes,
        }
    )


def says(*answers):
    """One answer after the other, the last one for ever: (status, JSON or text). `asked` are the calls."""
    left, asked = list(answers), []

    def answer(request):
        asked.append(request)
        status, said = left.pop(0) if len(left) > 1 else left[0]
        content = said if isinstance(said, str | bytes) else json.dumps(said)
        return httpx.Response(status, content=content)

    made = gateway(answer)
    return made, asked


def no(status, **about):
    return status, {"error": {"type": "invalid_request_error", "message": "No.", **about}}


def rows(*data, more=False):
    return 200, {"object": "list", "data": list(data), "has_more": more}
