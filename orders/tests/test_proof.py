"""A click under pressure: challenged, solved, let in once."""

import base64
import json
from datetime import timedelta

import pytest
from altcha import Challenge, Payload, solve_challenge

from cardshop.common.clock import db_now
from orders.admission import proof as proofs
from orders.admission.gate import connect
from orders.admission.proof import Pressure, new_challenge, spent_challenge
from orders.errors import ProofNeeded
from orders.models import Order
from tests.factories import make_buyer
from tests.lines import click, keep_house, make_sale, open_line, settle_all, states

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _little_work(monkeypatch):
    monkeypatch.setattr(proofs, "ZEROS", 2)


def solved(challenge: dict) -> str:
    asked = Challenge.from_dict(challenge)
    return Payload(asked, solve_challenge(asked)).to_base64()


@pytest.mark.usefixtures("line")
def test_under_pressure_a_click_is_challenged_and_let_in_with_the_proof():
    sale = make_sale(keys=1, proof_of_work="always")
    allocator = open_line(sale)

    with pytest.raises(ProofNeeded) as refused:
        click(sale.variant)
    ticket = click(sale.variant, proof=solved(refused.value.extra["challenge"]))
    settle_all(allocator)

    assert states(sale.variant, [ticket]) == ["held"]


@pytest.mark.usefixtures("line")
def test_a_proof_is_good_for_one_click_and_for_its_repeats():
    sale = make_sale(keys=5, proof_of_work="always")
    allocator, proof = open_line(sale), solved(new_challenge(sale.variant.code, now=db_now()))
    again = {"buyer": make_buyer(sale.variant), "key": "k" * 16, "email": "lin@example.org"}

    first = click(sale.variant, proof=proof, **again)
    assert click(sale.variant, proof=proof, **again) == first
    with pytest.raises(ProofNeeded):
        click(sale.variant, proof=proof)
    settle_all(allocator)
    assert click(sale.variant, **again) == first  # a ticket that is known needs none

    assert Order.objects.count() == 1


@pytest.mark.usefixtures("line")
def test_without_pressure_nobody_is_asked():
    sale = make_sale(keys=1)
    open_line(sale)
    click(sale.variant)


@pytest.mark.usefixtures("line")
def test_pressure_is_felt_and_passes(settings):
    settings.PRESSURE_FROM = 100
    sale = make_sale(keys=1)
    allocator = open_line(sale)
    connect().hincrby(allocator.gate.gate, "arrivals", 1000)

    keep_house(allocator)

    with pytest.raises(ProofNeeded):
        click(sale.variant)


def test_pressure_lasts_a_while_after_the_peak(settings):
    settings.PRESSURE_FROM = 100
    pressure = Pressure()
    felt = [pressure.is_on(n, now=t) for n, t in [(0, 1.0), (50, 2.0), (200, 3.0), (200, 20.0), (200, 34.0)]]
    assert felt == [False, False, True, True, False]


def lies(variant_code: str) -> dict[str, str]:
    now = db_now()
    right = json.loads(base64.b64decode(solved(new_challenge(variant_code, now=now))))
    altered = json.loads(json.dumps(right))
    altered["challenge"]["parameters"]["keyPrefix"] = ""
    unsolved = json.loads(json.dumps(right))
    unsolved["solution"]["counter"] += 1
    pack = lambda said: base64.b64encode(json.dumps(said).encode()).decode()  # noqa: E731
    return {
        "altered": pack(altered),
        "unsolved": pack(unsolved),
        "too old": solved(new_challenge(variant_code, now=now - timedelta(days=1))),
        "another variant's": solved(new_challenge("other", now=now)),
        "no base64": "%%%",
        "no object": pack([1]),
        "nothing in it": pack({"challenge": [], "solution": {}}),
        "far too long": "A" * 100_000,
        "deep": pack(None)[:-4] + base64.b64encode(b"[" * 1000).decode(),
    }


def test_proofs_that_lie_are_answered_with_a_fresh_challenge():
    now = db_now()
    for name, lie in lies("coins").items():
        with pytest.raises(ProofNeeded) as refused:
            spent_challenge(lie, "coins", now=now)
        fresh = refused.value.extra["challenge"]
        assert spent_challenge(solved(fresh), "coins", now=now), name


@pytest.mark.usefixtures("line")
@pytest.mark.django_db(transaction=True)
def test_both_ways_tell_the_challenge(client):
    from cardshop.traffic.passes import mint_pass
    from tests.test_forged_passes import post

    sale = make_sale(keys=1, proof_of_work="always")
    code = sale.variant.code
    open_line(sale)
    wanted = {
        "variant": code,
        "quantity": 1,
        "contact_email": "lin@example.org",
        "pass": mint_pass(variant_code=code, now=db_now()),
        "idempotency_key": "k" * 16,
    }

    short = post(code, wanted["pass"])
    long = client.post("/api/v1/tickets/", wanted, content_type="application/json")

    assert short[0] == long.status_code == 428
    assert short[1].keys() == long.json().keys() == {"code", "message", "fields", "challenge"}
    proof = solved(long.json()["challenge"])
    again = client.post("/api/v1/tickets/", {**wanted, "proof": proof}, content_type="application/json")
    assert again.status_code == 202
