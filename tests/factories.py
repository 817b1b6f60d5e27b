"""Plain functions that make what a test starts from."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from urllib.parse import urlencode

from cardshop.common.clock import db_now
from cardshop.common.money import to_text
from cardshop.shops.models import Shop
from cardshop.traffic.passes import BuyerPass, mint_pass, read_pass
from inventory.imports import import_keys
from inventory.models import BuyerField, Fulfilment, Product, Stock, Variant
from inventory.setting import change_text, set_free
from orders.models import Order
from orders.services.placing import place_order
from payments.gateways.base import Evidence
from payments.gateways.epay import sign
from payments.models import Payment, PaymentAttempt, PaymentChannel, Receipt
from payments.services.evidence import apply_evidence, settle_receipts

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = "89unJUB8HZ54Hj7x4nUj56HN4nUzUJ8i"


def make_shop(slug: str = "demo", **fields: object) -> Shop:
    defaults = {"name": "星河卡铺", "name_en": "Starriver Keys", "host": f"{slug}.localhost"}
    return Shop.objects.create(slug=slug, **{**defaults, **fields})


def the_shop() -> Shop:
    return Shop.objects.order_by("pk").first() or make_shop()


def make_variant(
    *,
    keys: int = 0,
    code: str = "",
    shop: Shop | None = None,
    price_minor: int = 990,
    **fields: object,
) -> Variant:
    """A listed product with one variant and `keys` keys in stock."""
    shop = shop or the_shop()
    code = code or f"v-{secrets.token_hex(4)}"
    product = Product.objects.create(
        shop=shop, slug=code, name="星币充值", name_en="Star coins", is_listed=True
    )
    variant = Variant.objects.create(
        shop=shop,
        product=product,
        code=code,
        name="100 枚",
        name_en="100 coins",
        price_minor=price_minor,
        **fields,
    )
    Stock.objects.create(shop=shop, variant=variant)
    if keys:
        stock_up(variant, keys)
    return variant


def make_reusable(text: str = "link: example.org/7", *, free: int | None = None, **fields: object) -> Variant:
    """A variant whose buyers all get `text`."""
    variant = make_variant(fulfilment=Fulfilment.REUSABLE, **fields)
    change_text(variant, text, changed_by="test", now=NOON)
    set_free(variant, free)
    return variant


def make_by_hand(
    *, free: int | None = None, asks: Sequence[dict[str, object]] = (), within: int = 12, **fields: object
) -> Variant:
    """A variant that a person fills in. Each of `asks` is what a BuyerField is made of."""
    variant = make_variant(fulfilment=Fulfilment.MANUAL, fulfil_within_hours=within, **fields)
    for position, field in enumerate(asks, start=1):
        BuyerField.objects.create(variant=variant, position=position, **field)
    set_free(variant, free)
    return variant


def stock_up(variant: Variant, count: int, *, expires_on: date | None = None) -> list[str]:
    """Import `count` fresh keys; returns them in clear."""
    fresh = [f"KEY-{secrets.token_hex(8)}" for _ in range(count)]
    import_keys(variant=variant, lines=fresh, imported_by="test", expires_on=expires_on, now=NOON)
    return fresh


def counters(variant: Variant) -> tuple[int | None, int | None, int]:
    """(total, released, claimed) of the public pool."""
    return Stock.objects.values_list("total", "released", "claimed").get(variant=variant, pool=Stock.PUBLIC)


def make_buyer(variant: Variant, now: datetime | None = None) -> BuyerPass:
    now = now or db_now()
    return read_pass(mint_pass(variant_code=variant.code, now=now), variant_code=variant.code, now=now)


def make_order(
    variant: Variant,
    *,
    quantity: int = 1,
    contact_email: str = "",
    now: datetime | None = None,
    buyer: BuyerPass | None = None,
    idempotency_key: str = "",
    answers: Mapping[str, str] | None = None,
) -> Order:
    now = now or db_now()
    buyer = buyer or make_buyer(variant, now)
    return place_order(
        shop=variant.shop,
        variant_code=variant.code,
        quantity=quantity,
        contact_email=contact_email or f"{buyer.buyer_id}@example.org",
        buyer=buyer,
        idempotency_key=idempotency_key or secrets.token_urlsafe(16),
        language="zh-hans",
        answers=answers or {},
        now=now,
    )


def make_channel(
    *,
    slug: str = "alipay",
    shop: Shop | None = None,
    base_url: str = "http://127.0.0.1:9/",
    merchant_id: str = "1001",
    **fields: object,
) -> PaymentChannel:
    channel = PaymentChannel(
        shop=shop or the_shop(),
        slug=slug,
        name="支付宝",
        name_en="Alipay",
        base_url=base_url,
        merchant_id=merchant_id,
        **fields,
    )
    channel.seal_secret(SECRET)
    channel.save()
    return channel


def make_attempt(order: Order, channel: PaymentChannel | None = None) -> PaymentAttempt:
    """An attempt as if the provider had been asked."""
    channel = channel or PaymentChannel.objects.first() or make_channel()
    payment, _ = Payment.objects.get_or_create(
        order=order,
        defaults={
            "shop": order.shop,
            "amount_minor": order.total_minor,
            "currency": order.currency,
            "created_at": order.placed_at,
        },
    )
    return PaymentAttempt.objects.create(
        payment=payment,
        channel=channel,
        out_trade_no=secrets.token_hex(15),
        amount_minor=order.total_minor,
        currency=order.currency,
        status="open",
        pay_url="http://127.0.0.1:9/pay",
        started_at=order.placed_at,
        next_query_at=order.placed_at,
    )


def paid_evidence(attempt: PaymentAttempt, *, txn: str = "", amount_minor: int = 0) -> Evidence:
    return Evidence(
        out_trade_no=attempt.out_trade_no,
        provider_txn_id=txn or f"T{attempt.out_trade_no}",
        paid=True,
        amount_minor=amount_minor or attempt.amount_minor,
        currency=attempt.currency,
    )


def pay_order(order: Order, *, now: datetime | None = None, **evidence: object) -> PaymentAttempt:
    """Money arrives for the order, as a provider's query would say it, and is settled."""
    attempt = make_attempt(order)
    settle_evidence(attempt.channel, paid_evidence(attempt, **evidence), now=now)
    return attempt


def settle_evidence(
    channel: PaymentChannel, evidence: Evidence, *, source: str = "poll", now: datetime | None = None
) -> Receipt | None:
    """Record what a provider says, and do at once what a worker is woken for."""
    now = now or db_now()
    receipt = apply_evidence(channel, evidence, source=source, now=now)
    if receipt is not None:
        failed = settle_receipts([receipt.pk], now)
        for error in failed.values():
            raise error
    return receipt


def notice_query(attempt: PaymentAttempt) -> str:
    """The signed query of the notice that `attempt` was paid."""
    said = {
        "pid": attempt.channel.merchant_id,
        "trade_no": f"T{attempt.out_trade_no}",
        "out_trade_no": attempt.out_trade_no,
        "type": "alipay",
        "name": "order",
        "money": to_text(attempt.amount_minor, attempt.currency),
        "trade_status": "TRADE_SUCCESS",
    }
    return urlencode({**said, "sign": sign(said, SECRET), "sign_type": "MD5"})
