"""PayPal: what the platform refuses, and what it signs. What it answers is looked at by the shop's driver."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zlib import crc32

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox import paypal
from sandbox.tests.actors import RunningSandbox, free_port, numbers

KEY = b64encode(
    generate_private_key(65537, 2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
).decode()
APP = {"client_id": "client", "client_secret": "secret", "webhook_id": "W1", "key": KEY}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory: Path = tmp_path_factory.mktemp("sandbox")
    running = RunningSandbox(directory, port=free_port(), SANDBOX_PAYPAL=json.dumps(APP))
    yield running
    running.kill()


@pytest.fixture(scope="module")
def token(sandbox: RunningSandbox) -> str:
    said = ask_token(sandbox, "secret").json()
    return str(said["access_token"])


def ask_token(sandbox: RunningSandbox, secret: str) -> httpx.Response:
    form = {"grant_type": "client_credentials"}
    return sandbox.http.post("/paypal/v1/oauth2/token", data=form, auth=("client", secret))


Post = Callable[..., httpx.Response]


@pytest.fixture
def post(sandbox: RunningSandbox, token: str) -> Post:
    def post(path: str, said: dict[str, Any], *, key: str = "K", token: str = token) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "PayPal-Request-Id": key}
        return sandbox.http.post(f"/paypal/{path}", json=said, headers=headers)

    return post


def wanted(**changes: Any) -> dict[str, Any]:
    number = f"P{next(numbers)}"
    unit = {
        "custom_id": number,
        "invoice_id": number,
        "amount": {"currency_code": "USD", "value": "9.90"},
        **changes,
    }
    return {"intent": "CAPTURE", "purchase_units": [unit]}


def issue(answer: httpx.Response) -> str:
    assert answer.status_code == 422, answer.text
    return str(answer.json()["details"][0]["issue"])


def test_a_token_is_for_who_knows_the_secret(sandbox: RunningSandbox, post: Post) -> None:
    assert ask_token(sandbox, "guess").status_code == 401
    assert post("v2/checkout/orders", wanted(), token="guess").status_code == 401
    assert post("v2/checkout/orders", wanted()).status_code == 200


def test_money_is_taken_once_and_only_after_the_buyer_has_agreed(sandbox: RunningSandbox, post: Post) -> None:
    order = post("v2/checkout/orders", wanted()).json()["id"]
    capture = f"v2/checkout/orders/{order}/capture"

    assert issue(post(capture, {})) == "ORDER_NOT_APPROVED"
    assert sandbox.pay(order).json()["captured"] is False
    assert (sandbox.booked(order)["status"], sandbox.booked(order)["paid_at"]) == (4, None)
    assert post(capture, {}).json()["status"] == "COMPLETED"
    assert issue(post(capture, {})) == "ORDER_ALREADY_CAPTURED"
    assert sandbox.booked(order)["status"] == 1


def test_a_buyer_agrees_to_nothing_else_and_not_twice(sandbox: RunningSandbox, post: Post) -> None:
    order = post("v2/checkout/orders", wanted()).json()["id"]

    assert sandbox.pay(order, money="0.01").status_code == 409
    assert sandbox.pay(order, again=True).status_code == 409
    assert sandbox.booked(order)["status"] == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"custom_id": ""},
        {"invoice_id": "other"},
        {"amount": {"currency_code": "USD", "value": "0"}},
        {"amount": {"currency_code": "USD", "value": "1e3"}},
        {"amount": {"currency_code": "JPY", "value": "9.90"}},
        {"amount": None},
    ],
)
def test_what_paypal_would_not_take_is_refused(post: Post, changes: dict[str, Any]) -> None:
    assert issue(post("v2/checkout/orders", wanted(**changes)))


def test_a_number_is_for_one_order(post: Post) -> None:
    first = wanted()
    made = post("v2/checkout/orders", first).json()

    assert post("v2/checkout/orders", first).json() == made
    assert issue(post("v2/checkout/orders", first, key="other")) == "DUPLICATE_INVOICE_ID"


def test_the_certificate_fits_the_signature(sandbox: RunningSandbox) -> None:
    pem = sandbox.http.get(f"/paypal/v1/notifications/certs/{paypal.CERTIFICATE}").content
    signature = paypal.PayPalApp(**APP).signature("T", "2026", b"{}")

    key = x509.load_pem_x509_certificate(pem).public_key()

    assert isinstance(key, RSAPublicKey)
    text = f"T|2026|W1|{crc32(b'{}')}".encode()
    key.verify(b64decode(signature), text, PKCS1v15(), SHA256())
