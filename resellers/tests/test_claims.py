"""A dead key is put before the merchant, whose answer the reseller reads."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from cardshop.common.clock import db_now
from orders.models import DeliveredKey, Order
from orders.services.replacing import replace_keys
from resellers.claims import CLAIMED
from resellers.models import Claim, IdempotentWrite
from resellers.tests.calling import API, Program, make_program, make_reseller
from resellers.tests.test_orders import ORDERS, order, rich
from tests.factories import make_variant
from tests.staff import confirmed, make_boss

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def claim(program: Program, number: str, key: str, reason: str = "used up", under: str = "") -> Any:
    """Under that Idempotency-Key, or one that nobody has used."""
    body = json.dumps({"key": key, "reason": reason}).encode()
    headers = {"Idempotency-Key": under or str(uuid4())}
    return program.call(f"{ORDERS}{number}/claims/", "POST", body, headers=headers)


def claims(program: Program) -> list[tuple[str, str]]:
    said = program.call(f"{API}claims/").json()
    return [(one["order"], one["status"]) for one in said["claims"]]


def test_a_claim_waits_for_the_merchant_and_is_answered_by_another_key():
    variant = make_variant(keys=3)
    program = make_program(rich())
    said = order(program, (variant, 2)).json()
    number, (dead, good) = said["number"], said["lines"][0]["keys"]

    first, again = claim(program, number, dead), claim(program, number, dead, "still used up")

    assert (first.status_code, first.json()["status"]) == (200, "open")
    assert again.json() == first.json()
    assert Order.objects.get().attention == CLAIMED
    slot = DeliveredKey.objects.get(slot=0)
    replace_keys(slot.item, bad=[slot.card_key_id], reason="dead", actor="boss", now=db_now())
    assert claims(program) == [(number, "replaced")]
    now = program.call(f"{ORDERS}{number}/keys/").json()["lines"][0]["keys"]
    assert (now[0] != dead, now[1]) == (True, good)
    assert claim(program, number, dead).status_code == 404


def test_a_claim_is_made_once_for_its_idempotency_key_and_its_card_key_is_kept_nowhere():
    variant = make_variant(keys=2)
    program = make_program(rich())
    said = order(program, (variant, 2)).json()
    number, (dead, other) = said["number"], said["lines"][0]["keys"]

    first, again = (claim(program, number, dead, under="claim-it-once") for _ in range(2))
    another = claim(program, number, other, under="claim-it-once")
    without = program.call(
        f"{ORDERS}{number}/claims/", "POST", json.dumps({"key": dead, "reason": "x"}).encode()
    )

    assert (first.status_code, again.content) == (200, first.content)
    assert (another.status_code, another.json()["code"]) == (422, "idempotency_key_reused")
    assert (without.status_code, without.json()["code"]) == (400, "idempotency_key_missing")
    assert Claim.objects.count() == 1
    write = IdempotentWrite.objects.get()
    assert dead not in str(vars(write)) + write.opened_answer().decode()


def test_a_person_may_decline_it(client):
    variant, reseller = make_variant(keys=1), rich()
    program = make_program(reseller)
    said = order(program, (variant, 1)).json()
    claim(program, said["number"], said["lines"][0]["keys"][0])
    staff = confirmed(make_boss())

    page = "/admin/resellers/claim/"
    answer = staff.post(page, {"action": "decline_them", "_selected_action": [Claim.objects.get().pk]})

    assert answer.status_code == 302
    assert claims(program) == [(said["number"], "declined")]
    assert Claim.objects.get().declined_by == User.objects.get().username
    assert "used up" in staff.get(page).content.decode()


def test_only_a_key_of_the_order_can_be_claimed():
    variant = make_variant(keys=2)
    program, stranger = make_program(rich()), make_program(make_reseller("Other"))
    said = order(program, (variant, 1)).json()
    (key,) = said["lines"][0]["keys"]

    assert claim(program, said["number"], "no key of it").status_code == 404
    assert claim(stranger, said["number"], key).status_code == 404
    assert claim(program, said["number"], key, "two\nlines").json()["fields"].keys() == {"reason"}
    assert not Claim.objects.exists()
    assert claims(stranger) == []
