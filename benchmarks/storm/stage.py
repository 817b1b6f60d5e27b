"""The shop on the evening before: two products, their keys, and everybody's page open."""

import secrets
from collections.abc import Callable

from tests.stack import RunningShop

STORM = "storm"
ORDINARY = "beside-the-storm"
# Long enough to pay, short enough that what is not paid for passes down the line within the run.
HOLD_SECONDS = 20
# Where everybody pays, none shall lapse because the machine is slow.
PATIENT_HOLD_SECONDS = 240


def new_keys(count: int) -> list[str]:
    return [f"STORM-{secrets.token_hex(10).upper()}" for _ in range(count)]


def furnish(
    shop: RunningShop,
    *,
    keys: list[str],
    ordinary_keys: int,
    hold_seconds: int,
    queued: bool,
    say: Callable[[str], None],
) -> None:
    """Both variants with their keys in stock. Raises RuntimeError with what the shop said."""
    made = shop.manage("shell", text=_VARIANTS + (_LINE.format(hold_seconds) if queued else ""))
    if made.returncode or "Traceback" in made.stderr:
        raise RuntimeError(f"the variants could not be made:\n{made.stderr[-2000:]}")
    for code, chosen in ((STORM, keys), (ORDINARY, new_keys(ordinary_keys))):
        if chosen:
            stock_up(shop, code, chosen, say=say)


def stock_up(shop: RunningShop, code: str, keys: list[str], *, say: Callable[[str], None]) -> None:
    """Raises RuntimeError with what the shop said."""
    imported = shop.manage("import_keys", code, "-", text="\n".join(keys))
    if imported.returncode:
        raise RuntimeError(f"the keys of {code} were not imported:\n{imported.stderr[-2000:]}")
    say(f"{code}: {imported.stdout.strip()}")


_VARIANTS = f"""
from cardshop.shops.models import Shop
from inventory.models import Product, Stock, Variant
from orders.models import Sale
from payments.models import PaymentChannel
# Everybody pays through one provider, whose pages these buyers know.
PaymentChannel.objects.filter(method="alipay").exclude(slug="alipay").update(is_enabled=False)
shop = Shop.objects.get(slug="demo")
def variant(code, **fields):
    product = Product.objects.create(shop=shop, slug=code, name=code, is_listed=True)
    made = Variant.objects.create(
        shop=shop, product=product, code=code, name="One", price_minor=100, max_quantity=1, **fields
    )
    Stock.objects.create(shop=shop, variant=made)
    return made

variant("{ORDINARY}")
hot = variant("{STORM}", is_isolated=True)
"""
_LINE = """
Sale.objects.create(shop=shop, variant=hot, hold_seconds={})
Variant.objects.filter(pk=hot.pk).update(selling="queued")
"""
