"""A click under pressure: challenged, solved, let in once."""

import base64
import json
import secrets
from datetime import timedelta

import pytest
from altcha import Challenge, Payload, solve_challenge

from cardshop.common.clock import db_now
from orders.admission import proof as proofs
from orders.admission.gate import Gate, connect
from orders.admission.proof import Pressure, new_challenge, spent_challenge
from orders.clicks import Click
from orders.errors import ProofNeeded
from orders.models import Order, Registration, Sale
from tests.factories import make_buyer
from tests.lines import click, keep_house, make_sale, open_line, settle_all, states

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _little_work(monkeypatch):
    monkeypatch.setattr(proofs, "ZEROS", 2)


def solved(challenge: dict) -> str:
    asked = Challenge.from_dict(challenge)
    return Payload(asked, solve_challenge(asked)).to_base64()


def proof_for(variant, **wanted) -> str:
    """What a browser has to send with the same click once it was challenged."""
    with pytest.raises(ProofNeeded) as refused:
        click(variant, **wanted)
    return solved(refused.value.extra["challenge"])


def one_click(variant) -> dict:
    return {"buyer": make_buyer(variant), "key": "k" * 16, "email": "lin@example.org"}


@pytest.mark.usefixtures("line")
def test_under_pressure_a_click_is_challenged_and_let_in_with_the_proof():
    sale = make_sale(keys=1, proof_of_work="always")
    allocator = open_line(sale)

    wanted = one_click(sale.variant)
    ticket = click(sale.variant, proof=proof_for(sale.variant, **wanted), **wanted)
    settle_all(allocator)

    assert states(sale.variant, [ticket]) == ["held"]


@pytest.mark.usefixtures("line")
def test_a_proof_is_good_for_one_click_and_for_its_repeats():
    sale = make_sale(keys=5, proof_of_work="always")
    allocator, wanted = open_line(sale), one_click(sale.variant)
    proof = proof_for(sale.variant, **wanted)

    first = click(sale.variant, proof=proof, **wanted)
    assert click(sale.variant, proof=proof, **wanted) == first
    settle_all(allocator)
    assert click(sale.variant, **wanted) == first  # a ticket that is known needs none

    assert Order.objects.count() == 1


@pytest.mark.usefixtures("line")
@pytest.mark.parametrize("other", ["buyer", "key", "email"])
def test_a_stock_of_proofs_is_worth_nothing_to_another_click(other):
    sale = make_sale(keys=5, proof_of_work="always")
    open_line(sale)
    wanted = one_click(sale.variant)
    proof = proof_for(sale.variant, **wanted)

    with pytest.raises(ProofNeeded):
        click(
            sale.variant,
            proof=proof,
            **{**wanted, other: make_buyer(sale.variant) if other == "buyer" else f"x{wanted[other]}"},
        )


@pytest.mark.usefixtures("line")
def test_a_challenge_is_only_had_where_one_is_needed():
    sale = make_sale(keys=5, proof_of_work="never")
    open_line(sale)

    click(sale.variant, proof="give me a challenge")


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


def some_click() -> Click:
    ticket_id, buyer_key = secrets.token_hex(32), secrets.token_hex(32)
    return Click(ticket_id, 1, "lin@example.org", "en", buyer_key, address_key="")


def lies(about: Click) -> dict[str, str]:
    now = db_now()
    right = json.loads(base64.b64decode(solved(new_challenge(about, now=now))))
    altered = json.loads(json.dumps(right))
    altered["challenge"]["parameters"]["keyPrefix"] = ""
    unsolved = json.loads(json.dumps(right))
    unsolved["solution"]["counter"] += 1
    pack = lambda said: base64.b64encode(json.dumps(said).encode()).decode()  # noqa: E731
    return {
        "altered": pack(altered),
        "unsolved": pack(unsolved),
        "too old": solved(new_challenge(about, now=now - timedelta(minutes=2))),
        "another click's": solved(new_challenge(some_click(), now=now)),
        "no base64": "%%%",
        "no object": pack([1]),
        "nothing in it": pack({"challenge": [], "solution": {}}),
        "far too long": "A" * 100_000,
        "deep": pack(None)[:-4] + base64.b64encode(b"[" * 1000).decode(),
    }


def test_proofs_that_lie_prove_nothing():
    mine = some_click()

    assert spent_challenge(solved(new_challenge(mine, now=db_now())), mine)
    for name, lie in lies(mine).items():
        assert spent_challenge(lie, mine) == "", name


def registering(**terms) -> Sale:
    """Registration is open, and the gate is up."""
    sale, now = make_sale(keys=5, **terms), db_now()
    sale.registration_opens_at, sale.opens_at = now - timedelta(minutes=1), now + timedelta(minutes=10)
    sale.save()
    open_line(sale)
    return sale


@pytest.mark.usefixtures("line")
@pytest.mark.django_db(transaction=True)
def test_registering_takes_the_same_proof_as_a_click():
    sale = registering(proof_of_work="always")
    wanted = one_click(sale.variant)

    proof = proof_for(sale.variant, **wanted)
    assert not Registration.objects.exists()
    with pytest.raises(ProofNeeded):
        click(sale.variant, proof=proof, **one_click(sale.variant))
    click(sale.variant, proof=proof, **wanted)
    click(sale.variant, quantity=2, **wanted)  # a form that is registered needs none

    assert Registration.objects.get().quantity == 2


@pytest.mark.usefixtures("line")
@pytest.mark.django_db(transaction=True)
def test_registering_takes_a_proof_while_pressure_is_felt():
    sale = registering()
    click(sale.variant)

    connect().hset(Gate(sale.variant_id).gate, "pressure", 1)

    with pytest.raises(ProofNeeded):
        click(sale.variant)


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
