"""A line that several processes work at: what they counted is what stands in the rows."""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from django.db import connection
from prometheus_client import CollectorRegistry
from prometheus_client.multiprocess import MultiProcessCollector

from inventory.models import Variant
from orders.admission.allocator import BATCH
from orders.models import Order, Ticket
from tests.lines import make_sale, open_line, settle_all

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]

BUYERS, KEYS, LINE = 40, 25, 30  # of each of two processes; 25 have an order, 30 wait, 25 are refused
PROCESS = """
import os, sys
import django
django.setup()
from django.db import connection
connection.settings_dict["NAME"] = sys.argv[1]
from orders.models import Sale
from tests.lines import *
sale = Sale.objects.get(pk=sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
"""
BUYING = f"""{PROCESS}
for _ in range({BUYERS}):
    try:
        click(sale.variant)
    except Exception as refused:
        assert refused.code == "line_full", refused
"""
ALLOCATING = f"""{PROCESS}
settle_all(Allocator(sale, Event()))
"""
DYING = f"""{PROCESS}
from orders.admission.settling import _Batch
_Batch._count = lambda self: os.kill(os.getpid(), 9)
settle_all(Allocator(sale, Event()))
"""
UNCOUNTED = f"""{PROCESS}
from orders.admission.settling import _Batch
_Batch._count = lambda self: None
settle_all(Allocator(sale, Event()))
"""


def run(programs: list[str], sale_id: int, folder: Path) -> list[int]:
    """All at once, each in a process of its own; how they ended."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program, connection.settings_dict["NAME"], str(sale_id)],
            env={**os.environ, "PROMETHEUS_MULTIPROC_DIR": str(folder)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for program in programs
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    return [process.wait(timeout=60) for process in processes]


def counted(folder: Path, name: str) -> Counter[str]:
    """By outcome; what never happened is not in it."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, str(folder))
    return Counter(
        {
            sample.labels["outcome"]: int(sample.value)
            for family in registry.collect()
            for sample in family.samples
            if sample.name == name and sample.value
        }
    )


def rows(variant: Variant) -> Counter[str]:
    """Distinct settled tickets, by what became of them at first."""
    settled = Counter(Ticket.objects.filter(variant=variant).values_list("status", flat=True))
    settled["ordered"] = Order.objects.filter(items__variant=variant).count()
    return settled


def settled_by(allocator: str, folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Two processes let people in, then this allocator settles, then a whole one the rest: rows, counts."""
    sale = make_sale(keys=KEYS, line_cap=LINE)
    open_line(sale)
    assert run([BUYING, BUYING], sale.pk, folder) == [0, 0]
    run([allocator, ALLOCATING], sale.pk, folder)
    settle_all(open_line(sale))
    return rows(sale.variant), counted(folder, "cardshop_tickets_settled_total")


def test_what_two_allocators_settle_together_is_counted_once(tmp_path):
    in_rows, in_metrics = settled_by(ALLOCATING, tmp_path)

    assert in_metrics == in_rows
    assert in_metrics["ordered"] == KEYS
    assert in_metrics.total() <= counted(tmp_path, "cardshop_admissions_total")["queued"]


def test_a_process_that_is_killed_between_commit_and_count_loses_a_batch_at_most(tmp_path):
    in_rows, in_metrics = settled_by(DYING, tmp_path)

    assert 0 <= in_rows.total() - in_metrics.total() <= BATCH
    assert not in_metrics - in_rows


def test_control_what_is_not_counted_is_missed(tmp_path):
    sale = make_sale(keys=KEYS, line_cap=LINE)
    open_line(sale)
    run([BUYING], sale.pk, tmp_path)

    run([UNCOUNTED], sale.pk, tmp_path)

    assert rows(sale.variant).total() > counted(tmp_path, "cardshop_tickets_settled_total").total()


def test_who_leaves_the_line_is_counted_there(tmp_path):
    leaving = f"""{PROCESS}
from cardshop.common.clock import db_now
from orders.admission.line import leave_line
from orders.models import Ticket
for ticket in Ticket.objects.filter(variant=sale.variant, status="waiting")[:3]:
    leave_line(sale.variant, ticket.ticket_id, now=db_now())
"""
    sale = make_sale(keys=KEYS, line_cap=LINE)
    open_line(sale)
    run([BUYING], sale.pk, tmp_path)
    run([ALLOCATING], sale.pk, tmp_path)

    assert run([leaving], sale.pk, tmp_path) == [0]

    assert counted(tmp_path, "cardshop_line_left_total") == Counter(left=3)
    assert rows(sale.variant)["left"] == 3
