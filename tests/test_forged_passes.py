"""Ten thousand passes that are not what they claim to be let nobody into the line."""

import io
import json
import random
import secrets
from datetime import timedelta

import pytest

from cardshop.common.clock import db_now
from cardshop.traffic.passes import bind_pass, mint_pass, read_pass
from cardshop.wsgi import application
from inventory.models import Selling
from orders.admission.gate import connect
from orders.models import Order, Ticket
from tests.factories import make_variant
from tests.lines import make_sale, open_line, settle_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]

EACH = 2500
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."


def post(code: str, buyer_pass: str, *, email: str = "lin@example.org", key: str = "") -> tuple[int, dict]:
    """A click, by the way that a server would take it."""
    wanted = {
        "variant": code,
        "quantity": 1,
        "contact_email": email,
        "pass": buyer_pass,
        "idempotency_key": key or secrets.token_urlsafe(16),
    }
    body = json.dumps(wanted).encode()
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/api/v1/tickets/",
        "SCRIPT_NAME": "",
        "QUERY_STRING": "",
        "SERVER_NAME": "demo.localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "demo.localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.url_scheme": "http",
    }
    said: list[str] = []
    answer = b"".join(application(environ, lambda status, headers, *rest: said.append(status)))
    return int(said[0][:3]), json.loads(answer)


def forged(code: str) -> str:
    """All but the signature is right."""
    real = mint_pass(variant_code=code, now=db_now())
    return f"{real.rpartition('.')[0]}.{secrets.token_urlsafe(32)}"


def altered(code: str, dice: random.Random) -> str:
    """One character is another one."""
    real = mint_pass(variant_code=code, now=db_now())
    at = dice.randrange(len(real) - 1)  # of the last one two bits mean nothing
    return real[:at] + dice.choice(ALPHABET.replace(real[at], "")) + real[at + 1 :]


def expired(code: str) -> str:
    return mint_pass(variant_code=code, now=db_now() - timedelta(days=1))


def transferred(code: str, other: str, number: int) -> str:
    """Bound to another contact; or another variant's."""
    now = db_now()
    if number % 2:
        return mint_pass(variant_code=other, now=now)
    buyer = read_pass(mint_pass(variant_code=code, now=now), variant_code=code, now=now)
    return bind_pass(buyer, "wang@example.org", good_until=now)


def test_ten_thousand_passes_that_lie_admit_nobody():
    sale = make_sale(keys=10)
    code, other = sale.variant.code, make_variant(keys=10, selling=Selling.DIRECT).code
    allocator = open_line(sale)
    dice = random.Random(1)
    kinds = {
        "forged": lambda number: forged(code),
        "altered": lambda number: altered(code, dice),
        "expired": lambda number: expired(code),
        "transferred": lambda number: transferred(code, other, number),
    }

    answers = {
        (kind, status, said["code"])
        for kind, make in kinds.items()
        for status, said in (post(code, make(number)) for number in range(EACH))
    }

    assert answers == {(kind, 403, "bad_pass") for kind in kinds}
    settle_all(allocator)
    assert allocator.gate.numbers()["admitted"] == "0"
    assert not connect().keys("line:*:t:*")
    assert (Order.objects.count(), Ticket.objects.count()) == (0, 0)


def test_a_click_sent_a_thousand_times_is_one_ticket_before_and_after_it_is_settled():
    sale = make_sale(keys=10)
    code, allocator = sale.variant.code, open_line(sale)
    buyer_pass = mint_pass(variant_code=code, now=db_now())

    before = [post(code, buyer_pass, key="k" * 16) for _ in range(500)]
    settle_all(allocator)
    after = [post(code, buyer_pass, key="k" * 16) for _ in range(500)]
    settle_all(allocator)

    assert {(status, said["ticket"]) for status, said in before + after} == {(202, before[0][1]["ticket"])}
    assert {said["status"] for _, said in before} == {"queued"}
    assert {said["status"] for _, said in after} == {"held"}
    assert allocator.gate.numbers()["admitted"] == "1"
    assert Order.objects.count() == 1
