"""Stripe: what the platform refuses, and what it signs. What it answers is looked at by the shop's driver."""

import hmac
import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import stripe
from sandbox.tests.actors import RunningSandbox, free_port, numbers

ACCOUNT = {"account": "acct_1", "api_key": "sk_test_1", "webhook_secret": "whsec_1"}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Any:
    directory: Path = tmp_path_factory.mktemp("sandbox")
    running = RunningSandbox(directory, port=free_port(), SANDBOX_STRIPE=json.dumps(ACCOUNT))
    yield running
    running.kill()


def form(**changes: str) -> dict[str, str]:
    return {
        "mode": "payment",
        "client_reference_id": f"S{next(numbers)}",
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "990",
        "expires_at": str(int(time.time()) + 3600),
        **changes,
    }


def post(
    sandbox: RunningSandbox, path: str, form: dict[str, str], *, key: str = "", bearer: str = "sk_test_1"
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {bearer}", "Idempotency-Key": key or next(iter(form.values()), "")}
    return sandbox.http.post(f"/stripe/v1/{path}", data=form, headers=headers)


def create(sandbox: RunningSandbox, wanted: dict[str, str], **how: str) -> httpx.Response:
    return post(sandbox, "checkout/sessions", wanted, **{"key": wanted["client_reference_id"], **how})


def kind(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["type"]


def test_the_signature_is_of_stamp_and_body() -> None:
    v1 = hmac.new(b"whsec", b"7.{}", sha256).hexdigest()

    assert stripe.signature(b"{}", "whsec", now=7.9) == f"t=7,v1={v1},v0={'0' * 64}"


def test_a_key_makes_one_session_and_takes_no_other_parameters(sandbox: RunningSandbox) -> None:
    wanted = form()
    made = create(sandbox, wanted).json()

    assert create(sandbox, wanted).json() == made
    assert made["status"] == "open"
    other = {**wanted, "line_items[0][price_data][unit_amount]": "1"}
    assert kind(create(sandbox, other)) == (400, "idempotency_error")
    assert kind(create(sandbox, wanted, key="another")) == (400, "idempotency_error")


@pytest.mark.parametrize(
    "changes",
    [
        {"mode": "subscription"},
        {"client_reference_id": ""},
        {"line_items[0][price_data][unit_amount]": "9.90"},
        {"line_items[0][price_data][unit_amount]": "0"},
        {"line_items[0][price_data][currency]": "USD"},
        {"expires_at": str(int(time.time()) + 60)},
        {"expires_at": str(int(time.time()) + 90_000)},
    ],
)
def test_what_stripe_would_not_take_is_refused(sandbox: RunningSandbox, changes: dict[str, str]) -> None:
    assert kind(create(sandbox, form(**changes))) == (400, "invalid_request_error")


def test_without_the_key_of_the_account_nothing_is_answered(sandbox: RunningSandbox) -> None:
    for bearer in ("sk_test_2", "sk_test_", "sk_test_11"):
        assert create(sandbox, form(), bearer=bearer).status_code == 401


def test_what_is_closed_cannot_be_closed_again_or_paid(sandbox: RunningSandbox) -> None:
    session = create(sandbox, form()).json()["id"]

    assert post(sandbox, f"checkout/sessions/{session}/expire", {}).json()["status"] == "expired"
    again = post(sandbox, f"checkout/sessions/{session}/expire", {})
    assert "status of `expired`" in again.json()["error"]["message"]
    assert sandbox.pay(session.removeprefix("cs_test_")).json()["captured"] is False


def test_what_is_not_there_is_missing(sandbox: RunningSandbox) -> None:
    answer = sandbox.http.get(
        "/stripe/v1/checkout/sessions/cs_test_0", headers={"Authorization": "Bearer sk_test_1"}
    )

    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "resource_missing")
