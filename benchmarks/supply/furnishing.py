"""What is run in either shop: its goods, its account, and what it has delivered."""

COSTS = 700
PAID_IN = 100_000
# Of the second account nothing is expected but what its control breaks.
SUPPLIERS = {"Partner": ["goods", "goods-slow", "goods-dear"], "Forgetful": ["goods-forgotten"]}

THERE = f"""
import json
from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from payments.ledger.entries import credit
from resellers.accounts import open_reseller
from resellers.keys import make_key
from resellers.models import Proof, Scope
from tests.factories import make_by_hand, make_variant
shop = Shop.objects.get(slug="demo")
make_variant(shop=shop, code="source", price_minor={COSTS})
make_by_hand(shop=shop, code="source-slow", price_minor={COSTS}, free=1000)
keys = {{}}
for name in {list(SUPPLIERS)}:
    account = open_reseller(shop, name=name, contact_email="partner@example.org", now=db_now())
    credit(account.balance, amount_minor={PAID_IN}, reason="paid in", actor="boss", now=db_now())
    key, secret = make_key(account, label="shop", proof=Proof.SIGNED, scopes=Scope.values, now=db_now())
    keys[name] = [key.name, secret]
print(json.dumps(keys))
"""

HERE = f"""
from cardshop.shops.models import Shop
from suppliers.models import SuppliedVariant, Supplier
from tests.factories import make_by_hand
shop = Shop.objects.get(slug="demo")
for name, (key_name, secret) in KEYS.items():
    supplier = Supplier(shop=shop, name=name, base_url=URL, key_name=key_name)
    supplier.seal_secret(secret)
    supplier.save()
    for code in {SUPPLIERS}[name]:
        SuppliedVariant.objects.create(
            variant=make_by_hand(shop=shop, code=code, free=1000, within=24),
            supplier=supplier,
            their_code="source-slow" if code == "goods-slow" else "source",
            most_minor=1 if code == "goods-dear" else None,
        )
"""

# By our number: which account asked, and the keys that were handed over.
BOUGHT = """
import json
from orders.selectors import revealed_keys
from resellers.models import ResellerOrder
bought = ResellerOrder.objects.exclude(order=None).select_related("order", "reseller").order_by("pk")
print(json.dumps([
    [row.reseller.name, row.reference, [key for _line, keys in revealed_keys(row.order) for key in keys]]
    for row in bought
]))
"""

FILL_IN = """
from cardshop.common.clock import db_now
from orders.models import Order
from orders.services.fulfilling import fill_in, missing_slots
order = Order.objects.get(items__variant__code="source-slow", status="paid")
((line, slots),) = missing_slots(order).items()
fill_in(order, {(line, slot): TYPED for slot in slots}, actor="boss", now=db_now())
"""
