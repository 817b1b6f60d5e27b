"""manage.py demo_reseller: a reseller of the demo shop, to try the API with."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import F

from cardshop.common.clock import db_now
from cardshop.common.links import absolute_url
from cardshop.shops.models import Shop
from inventory.models import Fulfilment, Stock
from payments.ledger.entries import credit
from resellers.accounts import open_reseller
from resellers.keys import make_key
from resellers.models import Proof, Reseller, Scope

NAME = "Demo reseller"
PAID_IN = 1_000_000  # minor units, each time


class Command(BaseCommand):
    help = "Gives a reseller of the demo shop money and a new API key, and prints them as a shell reads them."

    def handle(self, *args: Any, **options: Any) -> None:
        if (shop := Shop.objects.filter(slug="demo").first()) is None:
            raise CommandError("There is no demo shop: `manage.py demo` makes it.")
        now = db_now()
        reseller = Reseller.objects.filter(shop=shop, name=NAME).select_related("balance").first()
        if reseller is None:
            reseller = open_reseller(shop, name=NAME, contact_email="reseller@starriver.example", now=now)
        credit(reseller.balance, amount_minor=PAID_IN, reason="demo", actor="demo", now=now)
        key, secret = make_key(reseller, label="demo", proof=Proof.SIGNED, scopes=Scope.values, now=now)
        told = {
            "CARDSHOP_URL": absolute_url(shop, "/").rstrip("/"),
            "CARDSHOP_KEY": key.name,
            "CARDSHOP_SECRET": secret,
            "CARDSHOP_VARIANT": _most_in_stock(shop),
        }
        for name, value in told.items():
            self.stdout.write(f"export {name}={value}")


def _most_in_stock(shop: Shop) -> str:
    by_keys = Stock.objects.filter(
        shop=shop, pool=Stock.PUBLIC, variant__fulfilment=Fulfilment.CARD_KEY, variant__selling="direct"
    )
    most = by_keys.order_by((F("claimed") - F("released")), "pk").values_list("variant__code", flat=True)
    return most[0]
