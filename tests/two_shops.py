"""Two merchants beside each other, each with a row in every table."""

import json
from collections.abc import Iterator
from datetime import timedelta
from io import BytesIO
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.db.models import CharField, ForeignKey, Model, TextField
from PIL import Image

from cardshop.alerts.models import Alert, Destination, Message, Notice
from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from cardshop.common.shop_scope import OPERATORS, shop_path_of
from cardshop.outbox.models import OutboxMessage
from cardshop.shops.models import FirstSteps, Role, Shop
from inventory.models import (
    Category,
    KeyAccess,
    KeyRequest,
    KeyUpload,
    LeftOutLine,
    Product,
    ProductImage,
    Selling,
    UploadChunk,
    Variant,
)
from orders.models import (
    DeliveredKey,
    LookupPassword,
    LookupRequest,
    Order,
    OrderItem,
    Registration,
    Sale,
    Ticket,
    Wave,
)
from orders.services.delivery import deliver_orders
from orders.services.transitions import ask_for_attention
from payments.ledger.entries import credit, open_balance
from payments.models import (
    KeyRecall,
    PaymentChannel,
    Receipt,
    Refund,
    RefusedNotice,
    Statement,
    WebhookEvent,
)
from payments.services.topping_up import ask_for_top_up
from resellers.accounts import open_reseller
from resellers.events.emitting import emit
from resellers.keys import make_key
from resellers.members.joining import add_member
from resellers.members.sessions import begin
from resellers.models import (
    Claim,
    Event,
    EventKind,
    Feed,
    IdempotentWrite,
    LogIn,
    PriceList,
    Reseller,
    Told,
    WebhookDelivery,
)
from resellers.orders.asking import Asked, order_now
from resellers.webhooks.endpoints import make_endpoint
from suppliers.models import SuppliedVariant, Supplier, SupplierEntry, SupplierOrder
from tests.factories import (
    make_attempt,
    make_by_hand,
    make_channel,
    make_order,
    make_shop,
    make_variant,
    paid_evidence,
    settle_evidence,
)
from tests.staff import make_boss, make_member

OURS = ("shops", "outbox", "inventory", "orders", "payments", "resellers", "suppliers", "alerts", "audit")
OF_THE_INSTALLATION = {"outbox.Heartbeat"}
SHORTEST_NAME = 6  # what is shorter may be anything


def our_models() -> list[type[Model]]:
    models = [model for app in OURS for model in apps.get_app_config(app).get_models()]
    return [model for model in models if model._meta.label not in OF_THE_INSTALLATION]


def fill(mark: str) -> Shop:
    """A shop all of whose texts have `mark` in them, with at least one row of every model."""
    now = db_now()
    shop = make_shop(mark, name=f"{mark}-shop", name_en=f"{mark}-store", contact_email=f"help@{mark}.example")
    make_member(shop, Role.OWNER)
    make_member(shop, Role.VIEWER)
    FirstSteps.objects.create(shop=shop)
    category = Category.objects.create(shop=shop, slug=f"{mark}-cards", name=f"{mark}-category")
    variant = make_variant(shop=shop, code=f"{mark}-coins", keys=5)
    Product.objects.update_or_create(
        pk=variant.product_id,
        defaults={"category": category, "name": f"{mark}-product", "name_en": f"{mark}-goods"},
    )
    Variant.objects.filter(pk=variant.pk).update(name=f"{mark}-variant", name_en=f"{mark}-sort")
    ProductImage.objects.create(
        product_id=variant.product_id, file=ContentFile(_picture(), "picture.png"), alt=f"{mark}-picture"
    )
    variant.batches.update(note=f"{mark}-batch", imported_by=f"{mark}-importer")
    _fill_line(mark, shop)
    _fill_money(mark, variant)
    _fill_keys(mark, variant)
    _fill_alerts(mark, shop)
    _fill_resellers(mark, shop, variant)
    _fill_suppliers(mark, shop)
    for row in Order.objects.filter(shop=shop):
        ask_for_attention(row, f"{mark}-order-reason", now=now)
    return shop


def _picture() -> bytes:
    content = BytesIO()
    Image.new("RGB", (8, 8), "teal").save(content, "PNG")
    return content.getvalue()


def _fill_line(mark: str, shop: Shop) -> None:
    now = db_now()
    queued = make_variant(shop=shop, code=f"{mark}-rush", keys=2, selling=Selling.QUEUED)
    Variant.objects.filter(pk=queued.pk).update(name=f"{mark}-rushed", name_en=f"{mark}-hurried")
    sale = Sale.objects.create(shop=shop, variant=queued)
    Wave.objects.create(sale=sale, quantity=1)
    person = {"contact_email": f"waiting@{mark}.example", "language": "en", "quantity": 1}
    Registration.objects.create(
        sale=sale, ticket_id=f"{mark}-registered", buyer_key=f"{mark}-buyer", registered_at=now, **person
    )
    Ticket.objects.create(
        shop=shop,
        variant=queued,
        ticket_id=f"{mark}-ticket",
        buyer_key=f"{mark}-buyer",
        place=1,
        status="waiting",
        settled_at=now,
        **person,
    )


def _fill_keys(mark: str, variant: Variant) -> None:
    now, shop, batch = db_now(), variant.shop, variant.batches.get()
    LeftOutLine.objects.create(batch=batch, line=1, reason="known")
    upload = KeyUpload.objects.create(shop=shop, heading=f"{mark}-heading", sealed_key=b"k", created_at=now)
    UploadChunk.objects.create(upload=upload, number=0, sealed=b"c")
    KeyAccess.objects.create(
        shop=shop, kind="buyers", batch=batch, count=1, why=f"{mark}-access-why", who=f"{mark}-looker", at=now
    )
    KeyRequest.objects.create(
        shop=shop, kind="exported", batch=batch, status="awaited", asked_at=now,
        why=f"{mark}-request-why", asked_by=f"{mark}-wants-keys",
    )  # fmt: skip
    KeyRecall.objects.create(
        shop=shop, batch=batch, way="replace", status="awaited", lines=1, asked_at=now,
        reason=f"{mark}-recall-reason", asked_by=f"{mark}-recaller",
    )  # fmt: skip


def _fill_alerts(mark: str, shop: Shop) -> None:
    now = db_now()
    destination = Destination(
        shop=shop, name=f"{mark}-destination", driver="mail", address=f"told@{mark}.example"
    )
    destination.seal_secret(f"{mark}-credential")
    destination.save()
    alert = Alert.objects.create(
        shop=shop, kind="sold_out", subject=f"{mark}-subject", about={"name": f"{mark}-gone"}, seen_at=now
    )
    message = Message.objects.create(
        destination=destination, title=f"{mark}-title", text=f"{mark}-message", created_at=now
    )
    Notice.objects.create(destination=destination, alert=alert, due_at=now, message=message)


def _fill_resellers(mark: str, shop: Shop, variant: Variant) -> None:
    reseller = open_reseller(
        shop, name=f"{mark}-reseller", contact_email=f"partner@{mark}.example", now=db_now()
    )
    member = add_member(
        reseller, email=f"member@{mark}.example", name=f"{mark}-member", role="owner", now=db_now()
    )
    begin(member, now=db_now())
    LogIn.objects.create(
        shop=shop, contact_email=f"login@{mark}.example", language="en", browser_digest=f"{mark}-browser",
        asked_at=db_now(),
    )  # fmt: skip
    make_key(reseller, label=f"{mark}-program", proof="signed", scopes=["balance"], now=db_now())
    make_key(shop, label=f"{mark}-erp", proof="signed", scopes=["catalogue:read"], now=db_now())
    IdempotentWrite.objects.create(
        shop=shop, key=f"{mark}-write", request_digest=f"{mark}-digest", status=200, answer=b"a", at=db_now()
    )
    credit(
        reseller.balance, amount_minor=1000, reason=f"{mark}-prepaid", actor=f"{mark}-cashier", now=db_now()
    )
    lines = [{"variant": variant.code, "quantity": 1}]
    asked = order_now(
        Asked(
            reseller=reseller, key=f"{mark}-key", digest="0", lines=lines, reference=f"{mark}-their-number"
        ),
        now=db_now(),
    )
    Claim.objects.create(
        reseller=reseller,
        asked=asked,
        delivered=DeliveredKey.objects.get(item__order=asked.order),
        reason=f"{mark}-dead-key",
        claimed_at=db_now(),
    )
    ask_for_top_up(
        reseller.balance, amount_minor=700, key=f"{mark}-form", actor=f"{mark}-asks-money", now=db_now()
    )
    price_list = PriceList.objects.create(shop=shop, name=f"{mark}-prices", currency=variant.currency)
    price_list.tiers.create(variant=variant, from_quantity=10, unit_price_minor=900)
    price_list.onward_prices.create(variant=variant, least_minor=950)
    Reseller.objects.filter(pk=reseller.pk).update(price_list=price_list)
    _fill_webhooks(mark, reseller, variant)


def _fill_webhooks(mark: str, reseller: Reseller, variant: Variant) -> None:
    endpoint, _secret = make_endpoint(
        reseller.shop, url=f"https://{mark}.example/hook", kinds=EventKind.values, now=db_now()
    )
    event = Event(
        shop=reseller.shop, reseller=reseller, kind=EventKind.REFUSED, subject=f"{mark}-subject", at=db_now()
    )
    emit([event], now=db_now())
    WebhookDelivery.objects.filter(endpoint=endpoint).update(
        last_error=f"{mark}-failed", response=f"{mark}-answered"
    )
    Feed.objects.create(shop=reseller.shop)
    Told.objects.create(variant=variant, price_minor=1, level=Told.Level.LOW)


def _fill_suppliers(mark: str, shop: Shop) -> None:
    """Of the line that waits for a person."""
    line = OrderItem.objects.get(order__shop=shop, due_at__isnull=False)
    supplier = Supplier(
        shop=shop,
        name=f"{mark}-supplier",
        base_url=f"https://supplier.{mark}.example/",
        key_name=f"{mark}-their-key",
        last_error=f"{mark}-supplier-error",
        differences=f"{mark}-difference",
    )
    supplier.seal_secret(f"{mark}-supplier-secret")
    supplier.save()
    SuppliedVariant.objects.create(variant=line.variant, supplier=supplier, their_code=f"{mark}-theirs")
    SupplierOrder.objects.create(
        item=line,
        supplier=supplier,
        reference=f"{mark}-asked-for",
        their_code=f"{mark}-theirs",
        quantity=1,
        last_error=f"{mark}-no-answer",
        made_at=db_now(),
        next_at=db_now(),
    )
    SupplierEntry.objects.create(
        supplier=supplier,
        number=1,
        kind="payment",
        amount_minor=-1,
        their_number=f"{mark}-bought",
        at=db_now(),
    )


def _fill_money(mark: str, variant: Variant) -> None:
    now, shop = db_now(), variant.shop
    channel = make_channel(
        slug=f"{mark}-pay", shop=shop, merchant_id=f"{mark}-account", base_url=f"https://{mark}.example/"
    )
    PaymentChannel.objects.filter(pk=channel.pk).update(name=f"{mark}-channel", name_en=f"{mark}-way")
    order = make_order(variant, contact_email=f"buyer@{mark}.example")
    attempt = make_attempt(order, channel)
    settle_evidence(channel, paid_evidence(attempt, txn=f"{mark}-trade"))
    deliver_orders([order.pk], now)
    make_order(variant, contact_email=f"unpaid@{mark}.example")
    by_hand = make_by_hand(shop=shop, code=f"{mark}-by-hand", asks=[{"name": f"{mark}-asked"}])
    Product.objects.filter(pk=by_hand.product_id).update(name=f"{mark}-made", name_en=f"{mark}-work")
    answers = {str(by_hand.buyer_fields.get().pk): f"{mark}-answer"}
    typed = make_order(by_hand, contact_email=f"typed@{mark}.example", answers=answers)
    settle_evidence(channel, paid_evidence(make_attempt(typed, channel), txn=f"{mark}-typed-trade"))
    LookupPassword.objects.create(shop=shop, order=order, encoded=f"{mark}-encoded", set_at=now)
    LookupRequest.objects.create(
        shop=shop, contact_email=f"forgot@{mark}.example", language="en", asked_at=now
    )
    Receipt.objects.filter(channel=channel).update(attention=f"{mark}-receipt-reason")
    receipt = Receipt.objects.get(attempt=attempt)
    Refund.objects.create(
        shop=shop,
        payment=attempt.payment,
        receipt=receipt,
        out_refund_no=f"{mark}-refund",
        amount_minor=1,
        currency="CNY",
        status="awaited",
        reason=f"{mark}-refund-reason",
        requested_by=f"{mark}-asker",
        requested_at=now,
    )
    Statement.objects.create(
        shop=shop,
        channel=channel,
        day=(now - timedelta(days=1)).date(),
        read_at=now,
        attention=f"{mark}-statement-reason",
    )
    WebhookEvent.objects.create(
        shop=shop,
        channel=channel,
        digest=f"{mark}-event-digest",
        method="GET",
        query=f"trade={mark}",
        received_at=now,
    )
    RefusedNotice.objects.create(
        channel=channel, at=now, why=f"{mark}-refused", method="GET", size=1, digest=f"{mark}-refused-digest"
    )
    said = {"currency": "CNY", "reason": f"{mark}-paid-in", "actor": f"{mark}-cashier"}
    open_balance(
        shop_id=shop.pk, holder=f"{mark}-holder", contact_email=f"held@{mark}.example",
        amount_minor=500, now=now, **said,
    )  # fmt: skip
    OutboxMessage.objects.filter(shop=shop).update(attention=f"{mark}-given-up")
    AuditEntry.objects.create(
        shop=shop, at=now, who=f"{mark}-doer", action="done", said=f"{mark}-deed",
        of="inventory.product", of_id=variant.product_id, named=f"{mark}-done-to",
    )  # fmt: skip


def tell_history_of(rows: dict[type[Model], list[Model]], mark: str) -> None:
    """An entry of Django's own for each, by a superuser."""
    boss = make_boss(f"{mark}-boss")
    for model, those in rows.items():
        LogEntry.objects.create(
            user=boss,
            content_type=ContentType.objects.get_for_model(model),
            object_id=str(those[0].pk),
            object_repr=f"{mark}-history",
            action_flag=CHANGE,
            change_message=json.dumps([{"changed": {"fields": [f"{mark}-field"]}}]),
        )


def rows_of(shop: Shop) -> dict[type[Model], list[Model]]:
    """Of every model. What belongs to no shop by a path of its own belongs to what it hangs on."""
    found: dict[type[Model], list[Model]] = {}
    for model in our_models():
        found[model] = [row for row in model._default_manager.order_by("pk") if owner_of(row) == shop.pk]
    return found


def owner_of(row: Model) -> int | None:
    """The shop of a row, up any of its foreign keys."""
    if isinstance(row, Shop):
        return row.pk
    if hasattr(row, "shop_id"):
        return row.shop_id
    for field in row._meta.concrete_fields:
        above = getattr(row, field.name) if isinstance(field, ForeignKey) else None
        if above is not None and (found := owner_of(above)) is not None:
            return found
    return None


def names_of(shop: Shop) -> set[str]:
    """Every text that only this shop's rows hold, and their people's."""
    told: set[str] = set()
    for rows in rows_of(shop).values():
        for row in rows:
            told |= set(_texts(row))
            if user := getattr(row, "user", None):
                told |= {user.get_username(), user.email}
    return told


def _texts(row: Model) -> Iterator[str]:
    for field in row._meta.concrete_fields:
        if isinstance(field, (CharField, TextField)) and not field.choices:
            text = str(getattr(row, field.attname) or "")
            if len(text) >= SHORTEST_NAME:
                yield text


def snapshot(rows: dict[type[Model], list[Model]]) -> dict[str, list[dict[str, Any]]]:
    """What stands in these rows now. The login of their people is left out."""
    return {
        model._meta.label: list(
            model._default_manager.filter(pk__in=[row.pk for row in those]).order_by("pk").values()
        )
        for model, those in rows.items()
    }


def crossings() -> list[str]:
    """Rows of one shop that refer to a row of another."""
    return [
        f"{model._meta.label} {row.pk}: {field.name}"
        for model in our_models()
        for field in model._meta.concrete_fields
        if isinstance(field, ForeignKey) and field.related_model in set(our_models())
        for row in model._default_manager.exclude(**{field.name: None})
        if owner_of(getattr(row, field.name)) != owner_of(row)
    ]


def pages() -> dict[type[Model], Any]:
    """The pages of shops; those for who runs the installation are apart."""
    return {model: page for model, page in admin.site._registry.items() if shop_path_of(model) != OPERATORS}
