"""What is on the account, and how it came to be."""

import pytest

from cardshop.common.clock import db_now
from payments.ledger.entries import correct, credit
from resellers.tests.calling import API, make_program, make_reseller

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
ENTRIES = f"{API}account/entries/"


def test_every_entry_is_told_once_in_order_and_comes_to_the_balance():
    reseller, other = make_reseller(), make_reseller("Other")
    terms = {"reason": "paid in", "actor": "boss", "now": db_now()}
    for amount in (500, 300, 200):
        credit(reseller.balance, amount_minor=amount, **terms)
        credit(other.balance, amount_minor=1, **terms)
    correct(reseller.balance, amount_minor=-50, **terms)
    program = make_program(reseller)

    seen, after = [], "0"
    while after is not None:
        page = program.call(f"{ENTRIES}?limit=3&after={after}").json()
        seen += page["entries"]
        after = page["next"]

    assert [(entry["kind"], entry["amount_minor"], entry["after_minor"]) for entry in seen] == [
        ("credit", 500, 500),
        ("credit", 300, 800),
        ("credit", 200, 1000),
        ("correction", -50, 950),
    ]
    assert program.call(f"{API}account/").json()["balance_minor"] == 950


@pytest.mark.parametrize(
    "query", ["after=x", "after=-1", "limit=0", "limit=201", "surprise=1", "after=" + "9" * 19]
)
def test_a_page_that_cannot_be_is_refused(query):
    answer = make_program().call(f"{ENTRIES}?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == [query.partition("=")[0]]
