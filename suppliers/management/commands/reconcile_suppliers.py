"""`manage.py reconcile_suppliers`: do the suppliers' ledgers and our books agree?"""

from django.core.management.base import BaseCommand, CommandError

from cardshop.common.clock import db_now
from suppliers.drivers.base import NotNow, Unclear
from suppliers.models import Supplier
from suppliers.reconciling import reconcile


class Command(BaseCommand):
    help = "Compare what was bought from suppliers with their ledgers. Ends with 1 where they differ."

    def handle(self, *args: object, **options: object) -> None:
        wrong = 0
        for supplier in Supplier.objects.filter(is_enabled=True).select_related("shop").order_by("pk"):
            try:
                found = reconcile(supplier, clock=db_now)
            except (NotNow, Unclear) as error:
                found = [f"its ledger cannot be read: {error}"]
            wrong += bool(found)
            self.stdout.write(f"{'DIFFERS' if found else 'ok':<8}{supplier.shop.slug} {supplier}")
            for difference in found:
                self.stdout.write(f"        {difference}")
        if wrong:
            raise CommandError(f"{wrong} suppliers differ")
