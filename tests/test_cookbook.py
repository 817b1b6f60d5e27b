"""Each recipe of docs/cookbook.md does what it says, against the running server."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from cardshop.common.clock import db_now
from cardshop.merchant_api.tests.calling import make_own
from inventory.models import CardKey, Variant
from inventory.tasks import import_keys
from orders.models import Order
from orders.services.delivery import deliver_orders
from payments.ledger.entries import credit
from payments.models import Refund
from payments.tests.refunder import refunding_channel
from resellers.models import Claim, ResellerOrder, WebhookEndpoint
from resellers.tasks import fill_orders
from resellers.tests.calling import Program, make_program, make_reseller
from tests.factories import (
    make_attempt,
    make_by_hand,
    make_order,
    make_variant,
    paid_evidence,
    settle_evidence,
)
from tests.stack import REPOSITORY

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("line", "refunder"),
    pytest.mark.skipif(
        not all(map(shutil.which, ("bash", "curl", "openssl", "jq"))) and not os.environ.get("CI"),
        reason="needs curl, openssl and jq; CI has them",
    ),
]
RECIPE = re.compile(r"^(#+ [^\n]+)$|^```bash\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipes(page: str) -> list[tuple[str, str]]:
    """The heading above each, and what is to be run."""
    found, heading = [], ""
    for title, block in RECIPE.findall((REPOSITORY / "docs" / page).read_text()):
        if block:
            found.append((heading, block))
        heading = title or heading
    return found


def cook(dishes: list[tuple[str, str]], program: Program, url: str, kitchen: Path) -> str:
    """Run them as one program, while the workers work; what it said."""
    script = "\n".join(["set -euo pipefail", *(f"echo '{title}'\n{block}" for title, block in dishes)])
    environment = {
        **os.environ,
        "CARDSHOP_URL": url,
        "CARDSHOP_KEY": program.key.name,
        "CARDSHOP_SECRET": program.secret,
    }
    with (kitchen / "said").open("w+") as said:
        cooking = subprocess.Popen(
            ["bash", "-c", script], cwd=kitchen, env=environment, stdout=said, stderr=subprocess.STDOUT
        )
        while cooking.poll() is None:
            fill_orders()
            import_keys()
            time.sleep(0.05)
        said.seek(0)
        told = said.read()
    assert cooking.returncode == 0, told
    return told


def section(title: str) -> list[tuple[str, str]]:
    """Its recipes, and before them how to sign."""
    page = recipes("cookbook.md")
    starts = [at for at, (heading, _block) in enumerate(page) if heading.startswith("## ")]
    (begin,) = [at for at in starts if page[at][0] == f"## {title}"]
    end = next((at for at in starts if at > begin), len(page))
    return page[:1] + page[begin:end]


def sold(variant: Variant) -> Order:
    """To lin@example.org."""
    order = make_order(variant, contact_email="lin@example.org")
    attempt = make_attempt(order, refunding_channel())
    settle_evidence(attempt.channel, paid_evidence(attempt))
    deliver_orders([order.pk], db_now())
    return order


def test_what_resellers_may_cook(live_server, tmp_path):
    reseller = make_reseller()
    credit(reseller.balance, amount_minor=100_000, reason="paid in", actor="boss", now=db_now())
    make_variant(code="steam-50", keys=5)
    make_variant(code="steam-100", keys=5)

    told = cook(section("Resellers"), make_program(reseller), live_server.url, tmp_path)

    asked = ResellerOrder.objects.order_by("pk")
    assert [(each.idempotency_key, each.status) for each in asked] == [
        (f"2026-00012{number}", "placed") for number in (3, 4, 5)
    ]
    assert Claim.objects.get().asked == asked[0]
    assert WebhookEndpoint.objects.get().removed_at is not None
    assert told.count("KEY-") == 4


def test_what_the_merchant_may_cook(live_server, tmp_path):
    steam = make_variant(code="steam-100", keys=3)
    by_hand = make_by_hand(code="by-hand", free=5)
    delivered, waiting = sold(steam), sold(by_hand)

    told = cook(section("Your own systems"), make_own(steam.shop), live_server.url, tmp_path)

    steam.refresh_from_db()
    assert steam.price_minor == 9900
    assert CardKey.objects.filter(variant=steam, batch__note="ERP").count() == 2
    waiting.refresh_from_db()
    assert waiting.status == "delivered"
    (refund,) = Refund.objects.all()
    assert refund.payment.order == delivered
    assert "404\tnot_found" in told
    assert f"steam-100\t{2}" in told


def test_a_recipe_that_fails_is_noticed(live_server, tmp_path):
    wrong = ("## Wrong", "call GET /api/reseller/v1/nothing/")

    with pytest.raises(AssertionError, match="not_found"):
        cook([*section("Resellers")[:1], wrong], make_program(), live_server.url, tmp_path)


def test_both_languages_cook_the_same():
    english, chinese = recipes("cookbook.md"), recipes("cookbook.zh-CN.md")

    assert len(english) > 20
    assert [block for _title, block in chinese] == [block for _title, block in english]
