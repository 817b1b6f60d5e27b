"""What is asked of a shop: its pages and those of its administration, each under a name."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client, RequestFactory
from django.urls import reverse

import benchmarks.ready  # noqa: F401  models come after it
from cardshop.common.admin import CalendarFilter
from cardshop.common.clock import db_now
from cardshop.common.crypto import keyring
from cardshop.common.ids import new_order_number
from cardshop.common.shop_scope import OPERATORS, shop_path_of
from cardshop.shops.models import Shop
from inventory.card_keys import context_of
from inventory.models import CardKey, Category, KeyBatch, Product, Variant
from orders.lookup.links import make_link
from orders.models import Order, OrderItem, Sale
from orders.states import OrderStatus
from payments.models import Payment, PaymentAttempt, PaymentChannel, Receipt, Refund, WebhookEvent
from tests.staff import logged_in

ASKED = 20  # rows that are looked at in turn
LONG = 500  # rows of a list that a member of the smaller shop sees
ANSWERS = {200, 302, 303}  # look-ups lead on
Form = dict[str, str]


class Page(NamedTuple):
    """Addresses that are asked for in turn, and what is posted there."""

    who: Client
    paths: Sequence[str]
    forms: Sequence[Form] = ()

    def ask(self, turn: int) -> Any:
        path = self.paths[turn % len(self.paths)]
        form = self.forms[turn % len(self.forms)] if self.forms else None
        answer: Any = self.who.get(path) if form is None else self.who.post(path, form)
        if answer.status_code not in ANSWERS or "e=1" in answer.headers.get("Location", ""):
            raise RuntimeError(f"{path} answered {answer.status_code}")
        return answer


def pages(*, every_filter: bool) -> dict[str, Page]:
    """In the order in which they are measured. What is looked at is chosen evenly over the year."""
    shop, smaller = Shop.objects.order_by("pk")
    boss = logged_in(User.objects.get(username="boss"))
    clerk = logged_in(User.objects.get(username=f"owner-of-{smaller.slug}"))
    return (
        dict(_of_buyers(shop))
        | dict(_of_staff(boss))
        | dict(_lists(boss, clerk, smaller))
        | dict(_searches(boss, clerk))
        | dict(_filtered(boss, every_filter=every_filter))
    )


def _of_buyers(shop: Shop) -> Iterator[tuple[str, Page]]:
    buyer = Client(headers={"host": shop.host})
    bought, unpaid = _bought(shop), _evenly(Order, shop=shop, status=OrderStatus.PENDING)
    products, variants = Product.objects.filter(shop=shop), Variant.objects.filter(shop=shop)
    yield "catalogue", Page(buyer, ["/"])
    yield "category", Page(buyer, [f"/c/{one.slug}/" for one in Category.objects.filter(shop=shop)])
    yield "product", Page(buyer, [f"/p/{one.slug}/" for one in products])
    yield "search", Page(buyer, [f"/search/?{urlencode({'q': q})}" for q in ("星币", "7 月", "none")])
    yield "buy", Page(buyer, [f"/buy/{one.code}/" for one in variants])
    yield "sitemap", Page(buyer, ["/sitemap.xml"])
    yield "products by API", Page(buyer, ["/api/v1/products/"])
    yield "order, delivered", Page(buyer, [f"/o/{order.token}/" for order in bought])
    yield "order, unpaid", Page(buyer, [f"/o/{order.token}/" for order in unpaid])
    yield "order by API", Page(buyer, [f"/api/v1/orders/{order.token}/" for order in bought])
    yield "keys as a file", Page(buyer, [f"/o/{order.token}/keys.txt" for order in bought])
    yield "look-up, empty", Page(buyer, ["/orders/"])
    asked = [{"number": order.number, "contact_email": order.contact_email} for order in bought]
    yield "look-up by number", Page(buyer, ["/orders/"], asked)
    yield (
        "look-up by mail",
        Page(buyer, ["/orders/mail/"], [{"contact_email": order.contact_email} for order in bought]),
    )
    links = [make_link(shop_id=shop.pk, contact_email=order.contact_email, now=db_now()) for order in bought]
    yield (
        "look-up by link",
        Page(buyer, [f"/orders/mail/{link}/{one.number}/" for link, one in zip(links, bought, strict=True)]),
    )


def _bought(shop: Shop) -> list[Order]:
    """Completed orders, whose numbers are made such as people may type and whose keys such as open."""
    orders = _evenly(Order, shop=shop, status=OrderStatus.COMPLETED)
    for order in orders:
        order.number = new_order_number()
        order.save(update_fields=["number"])
        for key in CardKey.objects.filter(deliveredkey__item__order=order):
            key.sealed = keyring().seal(f"KEY-{key.pk}".encode(), context_of(key.uid, key.variant_id))
            key.save(update_fields=["sealed"])
    return orders


def _evenly(model: type[Any], **wanted: Any) -> list[Any]:
    """So many of these rows as are asked for in turn, from the oldest to the newest."""
    rows = model._default_manager.filter(**wanted).order_by("pk")
    first, last = rows.first().pk, rows.last().pk
    steps = (first + (last - first) * at // ASKED for at in range(ASKED))
    return [rows.filter(pk__gte=step).first() for step in steps]


def _of_staff(boss: Client) -> Iterator[tuple[str, Page]]:
    yield "dashboard", Page(boss, ["/admin/"])
    yield "right now", Page(boss, ["/admin/operations/"])
    yield "what needs you", Page(boss, ["/admin/orders/order/attention/"])
    yield "first steps", Page(boss, ["/admin/first-steps/"])
    looked_at: list[tuple[str, type[Model], dict[str, Any]]] = [
        ("order", Order, {"status": OrderStatus.COMPLETED}),
        ("payment", Payment, {}),
        ("attempt", PaymentAttempt, {}),
        ("receipt", Receipt, {}),
        ("refund", Refund, {}),
        ("notice", WebhookEvent, {}),
        ("card key", CardKey, {}),
        ("batch", KeyBatch, {}),
        ("product", Product, {}),
        ("variant", Variant, {}),
    ]
    for name, model, wanted in looked_at:
        paths = [_address(model, "change", row.pk) for row in _evenly(model, **wanted)]
        yield f"admin page: {name}", Page(boss, paths)
    batches = [_address(KeyBatch, "change", row.pk) for row in _evenly(KeyBatch)]
    yield "admin page: buyers of a batch", Page(boss, [f"{path[:-7]}buyers/" for path in batches])
    filled_in = OrderItem.objects.filter(due_at__isnull=False)[:ASKED]
    yield (
        "admin page: fill in",
        Page(boss, [reverse("admin:orders_orderitem_fill_in", args=[line.order_id]) for line in filled_in]),
    )
    sales = [reverse("admin:orders_sale_live", args=[sale.pk]) for sale in Sale.objects.all()]
    yield "admin page: sale, live", Page(boss, sales)
    channels = [
        f"{_address(PaymentChannel, 'changelist')}{one.pk}/health/" for one in _evenly(PaymentChannel)
    ]
    yield "admin page: channel", Page(boss, channels)


def _lists(boss: Client, clerk: Client, smaller: Shop) -> Iterator[tuple[str, Page]]:
    yield "dashboard of the smaller shop", Page(clerk, ["/admin/"])
    for model in admin.site._registry:
        path = _address(model, "changelist")
        yield f"list: {model._meta.verbose_name_plural}", Page(boss, [path])
        shop_path = shop_path_of(model)
        if shop_path != OPERATORS and _is_long(model, {shop_path: smaller.pk}):
            yield f"list of the smaller shop: {model._meta.verbose_name_plural}", Page(clerk, [path])
    orders = _address(Order, "changelist")
    yield "list: orders, second page", Page(boss, [f"{orders}?p=2"])
    yield "list: orders, hundredth page", Page(boss, [f"{orders}?p=100"])


def _is_long(model: type[Model], wanted: dict[str, Any]) -> bool:
    return bool(model._default_manager.filter(**wanted)[LONG : LONG + 1])


def _searches(boss: Client, clerk: Client) -> Iterator[tuple[str, Page]]:
    orders, attempts, receipts = _evenly(Order), _evenly(PaymentAttempt), _evenly(Receipt)
    refunds = _evenly(Refund)
    asked: list[tuple[str, type[Model], list[str]]] = [
        ("orders by number", Order, [row.number for row in orders]),
        ("orders by e-mail", Order, [row.contact_email for row in orders]),
        ("orders by our payment number", Order, [row.out_trade_no for row in attempts]),
        ("orders by the provider's number", Order, [row.provider_txn_id for row in receipts]),
        ("orders by nothing known", Order, ["nothing-known"]),
        ("payments by order", Payment, [row.number for row in orders]),
        ("attempts by number", PaymentAttempt, [row.out_trade_no for row in attempts]),
        ("attempts by order", PaymentAttempt, [row.number for row in orders]),
        ("receipts by number", Receipt, [row.provider_txn_id for row in receipts]),
        ("receipts by order", Receipt, [row.number for row in orders]),
        ("refunds by number", Refund, [row.out_refund_no for row in refunds]),
        ("refunds by order", Refund, [row.number for row in orders]),
    ]
    for name, model, words in asked:
        path = _address(model, "changelist")
        yield f"search: {name}", Page(boss, [f"{path}?{urlencode({'q': word})}" for word in words])
    for model, page in admin.site._registry.items():
        if page.search_fields and shop_path_of(model) != OPERATORS:
            path = f"{_address(model, 'changelist')}?q=nothing-known"
            yield f"search of the smaller shop: {model._meta.verbose_name_plural}", Page(clerk, [path])


def _filtered(boss: Client, *, every_filter: bool) -> Iterator[tuple[str, Page]]:
    """A list with each choice of each of its filters."""
    request = RequestFactory().get("/")
    request.user = User.objects.get(username="boss")
    for model, page in admin.site._registry.items():
        if not (every_filter or model is Order):
            continue
        changes = page.get_changelist_instance(request)
        path = _address(model, "changelist")
        for spec in changes.filter_specs:
            every = 6 if isinstance(spec, CalendarFilter) else 1
            for choice in list(spec.choices(changes))[::every]:
                asked = choice.get("query_string", "?")
                if asked != "?":
                    name = f"filter: {model._meta.verbose_name_plural}, {spec.title}: {choice['display']}"
                    yield name, Page(boss, [f"{path}{asked}"])


def _address(model: type[Model], page: str, *args: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)
