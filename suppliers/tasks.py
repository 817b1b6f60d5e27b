"""What the workers do for suppliers' goods."""

from celery import shared_task

from cardshop.common.clock import db_now
from suppliers.forwarding import forward_due
from suppliers.noticing import FORWARD
from suppliers.reconciling import reconcile_due
from suppliers.stock import look_at_stock


@shared_task(name=FORWARD)
def forward() -> None:
    forward_due(clock=db_now)


@shared_task(name="suppliers.look_at_stock")
def look_at_their_stock() -> None:
    look_at_stock(clock=db_now)


@shared_task(name="suppliers.reconcile")
def reconcile_with_suppliers() -> None:
    reconcile_due(clock=db_now)
