"""What both databases begin with: two shops, what they sell, how they are paid, and who looks after them."""

from cardshop.alerts.models import Destination
from cardshop.common.clock import db_now
from cardshop.shops.models import FirstSteps, Shop
from inventory.models import Category, Product, Selling, Stock, Variant
from orders.models import Sale
from payments.models import PaymentChannel
from tests.staff import make_boss, make_member

PRODUCTS = {"north": 20, "south": 5}
METHODS = ("alipay", "wxpay", "usdt")


def furnish() -> None:
    make_boss()
    for slug, products in PRODUCTS.items():
        shop = Shop.objects.create(slug=slug, name=slug, name_en=slug, host=f"{slug}.localhost")
        FirstSteps.objects.create(shop=shop, dismissed_at=db_now())
        make_member(shop)
        _fill_shelves(shop, products)
        for method in METHODS:
            _open_channel(shop, method)
        destination = Destination(shop=shop, name="mail", driver="mail", address="told@example.org")
        destination.seal_secret("")
        destination.save()


def _fill_shelves(shop: Shop, products: int) -> None:
    categories = [
        Category.objects.create(shop=shop, slug=f"category-{at}", name=f"星币 {at}") for at in range(4)
    ]
    for at in range(products):
        product = Product.objects.create(
            shop=shop,
            category=categories[at % 4],
            slug=f"product-{at}",
            name=f"星币充值 {at}",
            summary="即时到账",
            description="**星币** 充值\n\n- 自动发货\n- 7 天质保",
            is_listed=True,
        )
        for months in (1, 7):
            _put_up(product, f"{product.slug}-{months}", name=f"{months} 月")
    product = Product.objects.create(shop=shop, slug="other", name="代充", is_listed=True)
    _put_up(product, "by-hand", name="人工", fulfilment="manual", fulfil_within_hours=12)
    rush = _put_up(product, "rush", name="抢购", selling=Selling.QUEUED)
    Sale.objects.create(shop=shop, variant=rush)


def _put_up(product: Product, code: str, **fields: object) -> Variant:
    variant = Variant.objects.create(
        shop=product.shop, product=product, code=code, price_minor=990, low_stock_at=5, **fields
    )
    Stock.objects.create(shop=product.shop, variant=variant, total=1000, released=1000)
    return variant


def _open_channel(shop: Shop, method: str) -> None:
    channel = PaymentChannel(
        shop=shop,
        slug=method,
        name=method,
        method=method,
        base_url="https://pay.example.org/",
        merchant_id="1001",
    )
    channel.seal_secret("not a secret")
    channel.save()
