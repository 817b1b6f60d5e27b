"""What one reseller has is nobody else's: every address of the API is tried with another's program."""

import json
import re
from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from resellers.models import Reseller, ResellerOrder, WebhookDelivery, WebhookEndpoint
from resellers.tests.calling import API, make_program, make_reseller
from tests.two_shops import fill

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
WRITING = {"post": b"{}", "put": b"{}", "patch": b"{}", "delete": b""}


def addresses() -> list[tuple[str, str]]:
    """Method and path of every operation."""
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return [
        (method, path)
        for path, operations in paths.items()
        if path.startswith(API)
        for method in operations
        if method in {"get", *WRITING}
    ]


def of_theirs(path: str, theirs: dict[str, str]) -> str:
    """The address with their names in it: a new one has to be told what to put there."""
    return re.sub(r"\{(\w+)\}", lambda found: theirs[found[1]], path)


def test_nothing_of_another_reseller_is_told_or_changed():
    shop = fill("alpha")
    their = Reseller.objects.get(shop=shop)
    other = make_reseller("another", shop)
    program = make_program(other)
    asked = ResellerOrder.objects.get(reseller=their)
    WebhookEndpoint.objects.update(reseller=their)
    theirs = {
        "number": asked.number,
        "slug": "alpha-coins",
        "key": WebhookEndpoint.objects.get().name,
        "uid": str(WebhookDelivery.objects.get().uid),
    }
    marks = ["alpha-their-number", "alpha-prepaid", "alpha-dead-key", "alpha-reseller", *theirs.values()]
    marks.remove("alpha-coins")  # what the shop sells is told to all of them
    before = state_of(their)
    told: dict[str, Any] = {}
    for n, (method, path) in enumerate(addresses()):
        address = of_theirs(path, theirs)
        answer = program.call(
            address, method.upper(), WRITING.get(method, b""), headers={"Idempotency-Key": f"the-key-{n}"}
        )
        told[f"{method} {path}"] = answer.status_code
        if "{" in path and "{slug}" not in path:
            assert answer.status_code in (400, 404), (method, path, answer.content)
        said = answer.content.decode().replace(address, "")
        assert [mark for mark in marks if mark in said] == [], (method, path)
    assert len(told) >= 20
    assert state_of(their) == before
    assert set(told.values()) <= {200, 400, 404}, told


def state_of(reseller: Reseller) -> str:
    rows = [
        Reseller.objects.filter(pk=reseller.pk),
        reseller.orders.all(),
        reseller.claims.all(),
        reseller.api_keys.all(),
        WebhookEndpoint.objects.all(),
        WebhookDelivery.objects.all(),
    ]
    return json.dumps([list(those.order_by("pk").values()) for those in rows], default=_plain)


def _plain(value: object) -> str:
    return bytes(value).hex() if isinstance(value, memoryview) else str(value)
