"""A shop with more stock than any run can sell, on a database that keeps what it commits."""

import os
from contextlib import closing
from threading import Event

import psycopg2
from django.core.management import call_command
from django.db import connection

import benchmarks.ready  # noqa: F401  models come after it
from cardshop.shops.models import Shop
from inventory.models import Product, Selling, Stock, Variant
from orders.admission.allocator import Allocator
from orders.models import ProofOfWork, Sale

PLENTY = 10_000_000
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


def open_shop() -> Shop:
    """An empty shop. Raises RuntimeError on a database that is only fast because it forgets."""
    with connection.cursor() as cursor:
        for setting, wanted in DURABLE.items():
            cursor.execute(f"SHOW {setting}")
            if (found := cursor.fetchone()[0]) != wanted:
                raise RuntimeError(f"{setting} is {found} here: what this would measure is worth nothing")
    call_command("migrate", verbosity=0)
    return Shop.objects.create(slug="bench", name="Bench", name_en="Bench", host="bench.localhost")


def checkpoint() -> None:
    """Write out what is dirty now, so that a run pays for its own pages and not for those before it."""
    with closing(psycopg2.connect(os.environ["DATABASE_URL"], user="postgres")) as server:
        server.autocommit = True
        server.cursor().execute("CHECKPOINT")


def stocked_variant(shop: Shop, code: str, *, selling: str = Selling.DIRECT) -> Variant:
    """A variant with PLENTY in stock. No keys: nothing is delivered here."""
    product = Product.objects.create(shop=shop, slug=code, name=code, is_listed=True)
    variant = Variant.objects.create(
        shop=shop, product=product, code=code, name="One", price_minor=100, selling=selling
    )
    Stock.objects.create(shop=shop, variant=variant, total=PLENTY, released=PLENTY)
    return variant


def queued_variant(shop: Shop, code: str) -> Variant:
    """A stocked variant with its gate open, whatever the rush, and no allocator."""
    variant = stocked_variant(shop, code, selling=Selling.QUEUED)
    sale = Sale.objects.create(shop=shop, variant=variant, proof_of_work=ProofOfWork.NEVER)
    Allocator(sale, Event()).rebuild()
    return variant
