"""What an answer means: bought, a definite no, nothing done, or nobody knows."""

import json

import pytest

from cardshop.common.outgoing import Answer
from suppliers.drivers import cardshop
from suppliers.drivers.base import Bought, NotNow, Refused, Unclear
from suppliers.drivers.cardshop import DEFINITE, CardshopUpstream

SECRET = "a-secret-that-nobody-may-see"
LINE = {"keys": ["one"], "unreadable": 0}
ORDER = {"number": "N1", "status": "delivered", "total_minor": 5, "problem": None, "lines": [LINE]}


@pytest.fixture
def told(monkeypatch):
    """`told(status, said)` is what an order is answered with; returns what was understood."""

    def answer(status, said):
        body = said if isinstance(said, bytes) else json.dumps(said).encode()
        monkeypatch.setattr(cardshop, "post", lambda *_args, **_more: Answer(status, body))
        upstream = CardshopUpstream(base_url="https://p.example/", key_name="ck", secret=SECRET)
        assert SECRET not in repr(upstream)
        return upstream.order(key="key-12345", code="c", quantity=1, most_minor=None, reference="r")

    return answer


def test_an_order_is_read_with_its_keys_or_without(told):
    assert told(201, ORDER) == Bought("N1", 5, ["one"], is_final=True)
    two = [LINE, {"keys": [], "unreadable": 1}]
    assert told(201, {**ORDER, "lines": two}) == Bought("N1", 5, ["one"], is_final=False)
    waiting = {**ORDER, "status": "accepted", "total_minor": None, "lines": []}
    assert told(202, waiting) == Bought("N1", None, None)
    assert (
        told(202, {**waiting, "status": "refused", "problem": {"code": "price_rose"}}).problem == "price_rose"
    )
    assert told(201, {**ORDER, "status": "refunded"}).problem == "refunded"


def test_these_are_definite(told):
    for code in sorted(DEFINITE):
        with pytest.raises(Refused, match=code):
            told(409, {"code": code})


@pytest.mark.parametrize(
    ("status", "said"),
    [
        *[(500, {"code": "out_of_stock"}), (502, b"<html>"), (503, {"code": "stock_busy"}), (301, b"")],
        *[(200, b"<html>"), (200, []), (200, {}), (201, {**ORDER, "number": 5}), (201, b"\xff")],
        *[(201, {**ORDER, "lines": [{"keys": [1], "unreadable": 0}]}), (201, {**ORDER, "total_minor": "x"})],
        (422, {"code": "idempotency_key_reused"}),
    ],
)
def test_after_these_nobody_knows(told, status, said):
    with pytest.raises(Unclear):
        told(status, said)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        *[(401, {"code": "not_authenticated"}), (403, {"code": "suspended"}), (404, {"code": "shop_closed"})],
        *[(404, b"<html>"), (429, {"code": "too_many_requests"}), (409, {"code": "unheard_of"}), (400, [])],
    ],
)
def test_after_these_nothing_was_bought_and_nothing_is_decided(told, status, said):
    with pytest.raises(NotNow):
        told(status, said)
