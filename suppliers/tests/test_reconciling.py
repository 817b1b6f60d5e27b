"""Both ledgers say the same of what was bought, or it is told where they do not."""

import pytest
from django.core.management import CommandError, call_command

from cardshop.common.clock import db_now
from payments.ledger.entries import give_back
from payments.models import BalanceEntry
from suppliers.models import Supplier, SupplierEntry, SupplierOrder
from suppliers.reconciling import reconcile, reconcile_due
from suppliers.tests.partners import COSTS, forward, supply_of

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_was_bought_is_in_both_and_is_read_once(partners):
    for _ in range(3):
        partners.sell()
    forward()

    assert reconcile(partners.supplier, clock=db_now) == []
    supplier = Supplier.objects.get()
    assert int(supplier.entries_after) == BalanceEntry.objects.latest("pk").pk
    assert SupplierEntry.objects.count() == 3

    Supplier.objects.update(entries_after="0")
    assert reconcile(Supplier.objects.get(), clock=db_now) == []
    assert SupplierEntry.objects.count() == 3


def test_every_way_in_which_they_can_differ_is_told(partners, capsys):
    orders = [partners.sell() for _ in range(3)]
    forward()
    dearer, unknown, returned = (supply_of(order) for order in orders)
    SupplierOrder.objects.filter(pk=dearer.pk).update(cost_minor=1)
    SupplierOrder.objects.filter(pk=unknown.pk).delete()
    entry = BalanceEntry.objects.get(kind="payment", reason=returned.their_number)
    give_back(entry, amount_minor=COSTS, reference="R1", reason=returned.their_number, now=db_now())

    with pytest.raises(CommandError, match="1 suppliers differ"):
        call_command("reconcile_suppliers")

    told = capsys.readouterr().out
    assert f"({dearer.their_number}): 1 by our books, 700 paid by theirs" in told
    assert f"{unknown.their_number}: nothing by our books, 700 paid by theirs" in told
    assert (
        f"({returned.their_number}): handed on and not refunded here, 700 given back by their books" in told
    )
    assert len(Supplier.objects.get().differences.split("\n")) == 3


def test_it_is_done_once_a_day(partners):
    partners.sell()
    forward()

    reconcile_due(clock=db_now)
    compared_at = Supplier.objects.get().compared_at
    assert compared_at is not None
    reconcile_due(clock=db_now)
    assert Supplier.objects.get().compared_at == compared_at


def test_where_all_is_well_the_command_says_so(partners, capsys):
    partners.sell()
    forward()

    call_command("reconcile_suppliers")

    assert capsys.readouterr().out == "ok      here Partner\n"
