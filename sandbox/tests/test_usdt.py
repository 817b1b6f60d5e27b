"""USDT: what is signed, and how numbers are spelt. What is answered is looked at by the shop's drivers."""

import httpx
import pytest

from sandbox import epay, usdt
from sandbox.tests.actors import RunningSandbox

ORDER = {
    "order_id": "20220201030210321",
    "amount": 42,
    "notify_url": "http://example.com/notify",
    "redirect_url": "http://example.com/redirect",
    "signature": "is not signed",
    "nothing": "",
    "null": None,
}


def test_the_published_vectors() -> None:
    for sign in (usdt.epusdt_sign, usdt.bepusdt_sign):
        assert sign(ORDER, "epusdt_password_xasddawqe") == "1cd4b52df5587cfb1968b0c0c6e156cd"
    query = {"Id": "66f9d5a8-d9c7-0224-004f-a16a1c068e08"}
    assert usdt.tokenpay_sign(query, "666") == "baa261cc6af3f5efbed15e17a285f653"


@pytest.mark.parametrize(
    ("number", "in_full", "in_science"),
    [
        (42, "42", "42"),
        (9.90, "9.9", "9.9"),
        (999999.99, "999999.99", "999999.99"),
        (1000000, "1000000", "1e+06"),
        (1234567.89, "1234567.89", "1.23456789e+06"),
        (0.00001, "0.00001", "1e-05"),
    ],
)
def test_go_spells_numbers_in_two_ways(number: float, in_full: str, in_science: str) -> None:
    assert (usdt.go_fixed(number), usdt.go_general(number)) == (in_full, in_science)


@pytest.mark.parametrize("amount", [0, -1, 9.901, "9.9", True, None, 1e300])
def test_what_is_no_amount_is_refused(amount: object) -> None:
    with pytest.raises(epay.BadMoney):
        usdt.to_fen(amount)


def test_who_has_no_key_speaks_to_nobody(sandbox: RunningSandbox) -> None:
    calls = ("/epusdt/api/v1/order/create-transaction", "/bepusdt/api/v1/order/create-transaction")
    for path in (*calls, "/tokenpay/CreateOrder"):
        answer: httpx.Response = sandbox.http.post(path, json=ORDER)
        assert answer.status_code == 404
