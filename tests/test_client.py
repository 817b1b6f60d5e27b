"""The Python client's own tests, against this shop over HTTP."""

import os
import runpy
import subprocess
import sys
import time

import pytest

from cardshop.common.clock import db_now
from payments.ledger.entries import credit
from resellers.tasks import fill_orders
from resellers.tests.calling import make_program, make_reseller
from tests.factories import make_variant
from tests.stack import REPOSITORY

CLIENT = REPOSITORY / "clients" / "python"


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("line")
def test_the_client_buys_here(live_server):
    reseller, variant = make_reseller(), make_variant(keys=40)
    credit(reseller.balance, amount_minor=500_000, reason="paid in", actor="boss", now=db_now())
    program = make_program(reseller)
    environment = {
        **os.environ,
        "CARDSHOP_URL": live_server.url,
        "CARDSHOP_KEY": program.key.name,
        "CARDSHOP_SECRET": program.secret,
        "CARDSHOP_VARIANT": variant.code,
        "PYTHONPATH": str(CLIENT / "src"),
    }
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:django", "-p", "no:randomly", "-p", "no:xdist"]
    its_own = subprocess.Popen(
        command, cwd=CLIENT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while its_own.poll() is None:
        fill_orders()  # as a worker would
        time.sleep(0.05)

    assert its_own.returncode == 0, its_own.communicate()[0]


def test_its_documentation_says_what_the_code_does():
    for path, text in runpy.run_path(str(CLIENT / "document.py"))["pages"]().items():
        assert path.read_text() == text, "run clients/python/document.py"
        assert "order_with_keys(number: str) -> Order" in text
