"""EPay v2: what the platform refuses, and what it signs."""

import time
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from sandbox import epay_v2
from sandbox.tests.actors import PID, RunningSandbox, Shop, free_port, numbers, wait_until

PLATFORM, MERCHANT, STRANGER = (generate_private_key(65537, 2048) for _ in range(3))


def private_text(key: RSAPrivateKey) -> str:
    return b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode()


def public_text(key: RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b64encode(der).decode()


@pytest.fixture
def sandbox(tmp_path: Path) -> Any:
    running = RunningSandbox(
        tmp_path,
        port=free_port(),
        SANDBOX_PLATFORM_KEY=private_text(PLATFORM),
        SANDBOX_RSA_MERCHANTS=f"{PID}:{public_text(MERCHANT)}",
    )
    yield running
    running.kill()


def call(
    sandbox: RunningSandbox,
    path: str,
    *,
    by: RSAPrivateKey = MERCHANT,
    now: float = 0,
    altered: dict[str, str] | None = None,
    **form: str,
) -> dict[str, Any]:
    signed = epay_v2.signed({"pid": PID, **form}, by, now=now or time.time())
    answer: dict[str, Any] = sandbox.http.post(path, data={**signed, **(altered or {})}).json()
    return answer


def bill(shop: Shop) -> dict[str, str]:
    return {
        "method": "jump",
        "type": "bank",
        "out_trade_no": f"V{next(numbers)}",
        "notify_url": f"{shop.base_url}/notify",
        "return_url": f"{shop.base_url}/return",
        "name": "VIP会员",
        "money": "1.00",
        "clientip": "127.0.0.1",
    }


def is_signed(said: dict[str, Any]) -> bool:
    texts = {name: str(value) for name, value in said.items() if not isinstance(value, list)}
    return epay_v2.verify(texts, PLATFORM.public_key(), now=time.time()) == ""


def test_a_trade_is_made_paid_told_of_and_found(sandbox: RunningSandbox, shop: Shop) -> None:
    wanted = bill(shop)
    made = call(sandbox, "/api/pay/create", **wanted)
    assert (made["code"], made["pay_type"]) == (0, "jump")
    assert is_signed(made)

    sandbox.pay(made["trade_no"])

    [notice] = shop.wait_for(1)
    assert is_signed(notice)
    assert (notice["out_trade_no"], notice["trade_status"]) == (wanted["out_trade_no"], "TRADE_SUCCESS")
    wait_until(lambda: sandbox.outcomes(made["trade_no"]) == ["acknowledged"])
    found = call(sandbox, "/api/pay/query", out_trade_no=wanted["out_trade_no"])
    assert (found["status"], found["money"]) == (1, "1.00")
    assert is_signed(found)
    [row] = call(sandbox, "/api/merchant/orders")["data"]
    assert row["trade_no"] == made["trade_no"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda: {"by": STRANGER},
        lambda: {"now": time.time() - 400},
        lambda: {"now": time.time() + 400},
        lambda: {"altered": {"money": "0.01"}},
        lambda: {"altered": {"sign_type": "MD5"}},
        lambda: {"altered": {"sign": "签名"}},
        lambda: {"altered": {"pid": "1002"}},
    ],
    ids=["stranger", "old", "early", "altered", "downgraded", "no signature", "another merchant"],
)
def test_what_the_merchant_has_not_signed_just_now_is_refused(
    sandbox: RunningSandbox, shop: Shop, spoil: Callable[[], dict[str, Any]]
) -> None:
    refused = call(sandbox, "/api/pay/create", **bill(shop), **spoil())

    assert refused["code"] < 0
    assert "sign" not in refused


def test_a_ledger_of_the_time_before_v2_is_taken_over(tmp_path: Path) -> None:
    import sqlite3

    from sandbox.ledger import SCHEMA, Ledger

    older = SCHEMA.replace("protocol TEXT NOT NULL DEFAULT 'epay_v1',", "")
    with sqlite3.connect(tmp_path / "ledger.sqlite3") as db:
        db.executescript(older)
        db.execute(
            "INSERT INTO trades (trade_no, pid, out_trade_no, type, name, asked_fen, param, notify_url,"
            " return_url, money_fen, created_at)"
            " VALUES ('1', '1001', 'A', 'alipay', 'x', 1, '', '', '', 1, 0)"
        )

    [trade] = Ledger(tmp_path / "ledger.sqlite3").trades()

    assert trade.bill.protocol == "epay_v1"
