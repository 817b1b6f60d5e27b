"""A request that arrives many times at one moment is done once, and all hear the same."""

import json
from collections import Counter
from typing import Any

import pytest

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.merchant_api.tests.calling import make_own, write
from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.models import Refund
from resellers.api import once
from resellers.models import IdempotentWrite, WebhookEndpoint
from resellers.tests.calling import API, make_program
from tests.factories import make_order, make_variant, pay_order
from tests.race.racing import begin_with, broken_invariants, linger, race, without_constraint

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def the_same_refund_eight_times() -> tuple[Order, list[Any]]:
    """Of a tenth of the money, so that nothing else would refuse a second one."""
    order, own = make_order(make_variant(keys=1, price_minor=1000), quantity=1), make_own()
    pay_order(order)
    deliver_orders([order.pk], db_now())
    money = order.payment.attempts.get().receipts.get()
    said = {"money": money.pk, "amount_minor": 100, "reason": "late"}
    path = f"orders/{order.number}/refunds/"
    return order, race(8, lambda: write(own, path, said, key="refund-1"))


def test_of_eight_twins_one_is_done_and_all_hear_of_it(monkeypatch):
    linger(monkeypatch, "cardshop.merchant_api.refunds._asked")

    _order, answers = the_same_refund_eight_times()

    assert {answer.status_code for answer in answers} == {202}
    assert {answer.content for answer in answers} == {answers[0].content}
    assert (Refund.objects.count(), IdempotentWrite.objects.count()) == (1, 1)
    assert broken_invariants() == []


def test_control_without_the_constraint_it_would_be_done_more_than_once(monkeypatch):
    linger(monkeypatch, "cardshop.merchant_api.refunds._asked")

    with without_constraint(IdempotentWrite, "write_once_per_key"):
        the_same_refund_eight_times()

    assert Refund.objects.count() > 1


def the_same_webhook_eight_times() -> list[Any]:
    program = make_program()
    said = json.dumps({"url": "https://example.org/hook", "kinds": ["order.paid"]}).encode()
    headers = {"Idempotency-Key": "webhook-1"}
    return race(8, lambda: program.call(f"{API}webhooks/", "POST", said, headers=headers))


def test_of_eight_twins_of_a_resellers_program_one_is_done_and_all_hear_its_secret(monkeypatch):
    linger(monkeypatch, "resellers.api.webhooks.make_endpoint")

    answers = the_same_webhook_eight_times()

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["secret"] for answer in answers}) == 1
    assert WebhookEndpoint.objects.count() == 1


def test_control_without_the_constraint_there_would_be_several_webhooks(monkeypatch):
    linger(monkeypatch, "resellers.api.webhooks.make_endpoint")

    with without_constraint(IdempotentWrite, "write_once_per_key"):
        the_same_webhook_eight_times()

    assert WebhookEndpoint.objects.count() > 1


def test_a_twin_of_one_that_was_refused_has_its_turn(monkeypatch):
    """What was refused leaves no answer behind: not even for those who waited for it."""
    turns = Counter[str]()

    def refuse_the_first() -> None:
        turns["asked"] += 1
        if turns["asked"] == 1:
            raise DomainError

    begin_with(monkeypatch, "cardshop.merchant_api.refunds._asked", refuse_the_first)

    _order, answers = the_same_refund_eight_times()

    assert Counter(answer.status_code for answer in answers) == {202: 7, 409: 1}
    assert Refund.objects.count() == 1


def test_a_crash_before_the_answer_leaves_neither_the_work_nor_the_key(monkeypatch):
    def crash(*_said: object) -> bytes:
        raise RuntimeError("power cut")

    with monkeypatch.context() as broken:
        broken.setattr(once.JSONRenderer, "render", crash)
        with pytest.raises(RuntimeError):
            raise the_same_refund_eight_times()[1][0]
    assert (Refund.objects.count(), IdempotentWrite.objects.count()) == (0, 0)
