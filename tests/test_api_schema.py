"""The APIs of programs do what their description says: whatever is sent, no error of ours, and no status and
no shape that the description does not have. https://schemathesis.readthedocs.io
"""

from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from django.core.management import call_command
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from cardshop.common.clock import db_now
from cardshop.merchant_api.tests.calling import make_own
from payments.ledger.entries import credit
from resellers.tests.calling import Program, make_program, make_reseller
from tests.factories import make_reusable

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
GOODS = "coins"
EXAMPLES = 15  # of each operation
# All of it is signed, also what should be sent without; and a schema cannot say all that an order must be.
NOT_MEANT = [ignored_auth, positive_data_acceptance]


class Signed(requests.auth.AuthBase):
    """Signs what is sent, as it is sent."""

    def __init__(self, program: Program) -> None:
        self._program = program

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body = request.body or b""
        request.headers["Authorization"] = self._program.signed(
            request.path_url, str(request.method), body.encode() if isinstance(body, str) else body
        )
        return request


def operations(below: str) -> list[Any]:
    described = SchemaGenerator().get_schema(request=None, public=True)
    schema = schemathesis.openapi.from_dict(described)
    return [found.ok() for found in schema.get_all_operations() if found.ok().path.startswith(below)]


_few = hypothesis.settings(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def try_out(operation: Any, url: str, auth: Signed) -> set[int]:
    """The statuses that it answers with."""
    statuses = set()

    @_few
    @given(case=operation.as_strategy())
    def call(case: Any) -> None:
        aim(case)
        answer = case.call(base_url=url, auth=auth)
        statuses.add(answer.status_code)
        case.validate_response(answer, excluded_checks=NOT_MEANT)

    call()
    return statuses


def aim(case: Any) -> None:
    """Nobody guesses what is sold: what could be an order is of its first line, and of our goods."""
    match case.body:
        case {"lines": [{"variant": str(), "quantity": int()} as line, *_], **_more}:
            case.body["lines"] = [{**line, "variant": GOODS}]


def of_a_reseller() -> Program:
    reseller = make_reseller()
    credit(reseller.balance, amount_minor=10_000, reason="paid in", actor="boss", now=db_now())
    return make_program(reseller)


@pytest.mark.parametrize(
    ("below", "make", "also"),
    [("/api/reseller/v1/", of_a_reseller, {201, 202}), ("/api/merchant/v1/", make_own, {200})],
)
def test_it_does_what_its_description_says(live_server, settings, below, make, also):
    settings.RESELLER_CALLS_PER_SECOND = settings.RESELLER_CALLS_AT_ONCE = 1_000_000
    make_reusable(code=GOODS, price_minor=1)
    auth = Signed(make())
    faults, told = {}, set()
    for operation in operations(below):
        name = f"{operation.method.upper()} {operation.path}"
        try:
            told |= try_out(operation, live_server.url, auth)
        except BaseExceptionGroup as fault:
            faults[name] = "; ".join(map(str, fault.exceptions))
    assert faults == {}, "\n\n".join(f"{name}: {fault}" for name, fault in faults.items())
    assert {200, 400, 404} <= told
    assert told & also


def test_nothing_in_it_is_guessed(tmp_path):
    call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yml"))
