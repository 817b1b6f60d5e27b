"""From an empty database to the first sale: what is done shows in what there is, and can be left at any time.

For who runs the installation. Sending a form twice makes nothing twice: the first shop has a name that only
one can have, a product the one that its form was given.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.models import ADDITION
from django.core.exceptions import PermissionDenied
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from cardshop.common.audit import Action, deed_on, deeds_between, values_of
from cardshop.common.clock import db_now
from cardshop.common.links import absolute_url
from cardshop.common.money import CURRENCIES, MAX_MINOR, to_minor
from cardshop.common.shop_scope import shop_id_of
from cardshop.operations.demo_channels import connect_sandbox
from cardshop.settings import env
from cardshop.shops.models import FirstSteps, Shop
from cardshop.traffic.display_cache import forget_on_commit
from inventory.models import Product, Stock, Variant
from orders.services.mail import post
from payments.models import Payment, PaymentChannel
from payments.services.channel_changes import Change, record_changes
from payments.shop_form import ShopForm
from payments.trying import what_is_wrong_with

FIRST = "shop"  # the short name of the first one
LOW_AT = 5
MAILING = 10.0  # seconds


class FirstShopForm(ShopForm):
    class Meta:
        model = Shop
        fields = ["name", "host", "currency", "contact_email"]
        widgets = {
            "name": UnfoldAdminTextInputWidget,
            "host": UnfoldAdminTextInputWidget,
            "currency": UnfoldAdminSelectWidget(choices=CURRENCIES),
            "contact_email": UnfoldAdminTextInputWidget({"type": "email"}),
        }


class MailForm(forms.Form):
    to = forms.EmailField(
        label=gettext_lazy("Send a test to"), widget=UnfoldAdminTextInputWidget({"type": "email"})
    )


class FirstProductForm(forms.Form):
    token = forms.RegexField(r"^p-[0-9a-f]{8}$", widget=forms.HiddenInput)
    name = forms.CharField(label=gettext_lazy("Product"), max_length=120, widget=UnfoldAdminTextInputWidget)
    variant = forms.CharField(
        label=gettext_lazy("Variant"),
        max_length=80,
        help_text=gettext_lazy("What exactly is bought, such as 1 month or 100 coins."),
        widget=UnfoldAdminTextInputWidget,
    )
    price = forms.CharField(
        label=gettext_lazy("Price"),
        max_length=20,
        help_text=gettext_lazy("Such as 9.90"),
        widget=UnfoldAdminTextInputWidget({"inputmode": "decimal"}),
    )

    def __init__(self, *args: Any, currency: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._currency = currency

    def clean_price(self) -> int:
        try:
            minor = to_minor(self.cleaned_data["price"].strip(), self._currency)
        except ValueError:
            raise forms.ValidationError(_("Enter an amount such as 9.90.")) from None
        if not 0 < minor <= MAX_MINOR:
            raise forms.ValidationError(_("Enter an amount above zero."))
        return minor


@dataclass(frozen=True)
class Step:
    name: str
    title: str
    is_done: bool


def steps(shop: Shop | None) -> list[Step]:
    """One query."""
    done = _done(shop) if shop else {}
    titles = {
        "shop": _("Your shop"),
        "mail": _("Mail arrives"),
        "channel": _("A way to pay"),
        "product": _("The first product"),
        "keys": _("Its card keys"),
        "sale": _("Buy it yourself"),
    }
    return [Step(name, title, bool(done.get(name))) for name, title in titles.items()]


def _done(shop: Shop) -> dict[str, bool]:
    of_shop = Q(shop=OuterRef("pk"))
    seen = Shop.objects.filter(pk=shop.pk).values(
        has_mail=Exists(FirstSteps.objects.filter(of_shop, mail_arrived_at__isnull=False)),
        has_channel=Exists(PaymentChannel.objects.filter(of_shop, is_enabled=True).exclude(driver="balance")),
        has_product=Exists(Variant.objects.filter(of_shop, is_active=True, product__is_listed=True)),
        has_keys=Exists(Stock.objects.filter(Q(released=None) | Q(released__gt=0), of_shop)),
        has_sale=Exists(Payment.objects.filter(of_shop, succeeded_at__isnull=False)),
    )
    return {"shop": True, **{name.removeprefix("has_"): bool(is_done) for name, is_done in seen[0].items()}}


def still_to_do(request: HttpRequest) -> list[Step]:
    """For the first page: nothing for others than who runs it, once all is done, or when it was dismissed."""
    if not request.user.is_superuser:
        return []
    shop = Shop.objects.order_by("pk").select_related("first_steps").first()
    if shop and _noted(shop).dismissed_at:
        return []
    all_steps = steps(shop)
    return [] if all(step.is_done for step in all_steps) else all_steps


def _noted(shop: Shop) -> FirstSteps:
    return getattr(shop, "first_steps", None) or FirstSteps(shop=shop)


def first_steps(request: HttpRequest) -> HttpResponse:
    if not request.user.is_superuser:
        raise PermissionDenied
    shop = Shop.objects.order_by("pk").first()
    forms_by_step = _forms(request, shop)
    if request.method == "POST":
        step = request.POST.get("step", "")
        act = ACTIONS.get(step)
        if act and act(request, shop, forms_by_step.get(step)):
            return redirect("admin:first_steps")
    all_steps = steps(shop)
    variant = Variant.objects.filter(shop=shop, is_active=True).order_by("pk").first() if shop else None
    context = {
        **admin.site.each_context(request),
        "title": _("First steps"),
        "steps": all_steps,
        "current": next((step.name for step in all_steps if not step.is_done), ""),
        "shop": shop,
        "forms": forms_by_step,
        "channels": PaymentChannel.objects.filter(shop=shop).exclude(driver="balance") if shop else [],
        "has_sandbox": _has_sandbox(),
        "variant": variant,
        "variant_pk": str(variant.pk) if variant else "",
        "product_link": _product_link(shop, variant),
        "mails_to_files": "filebased" in settings.EMAIL_BACKEND,
        "mail_folder": getattr(settings, "EMAIL_FILE_PATH", ""),
    }
    page = render(request, "admin/first_steps.html", context)
    page["Cache-Control"] = "no-store"
    return page


def _product_link(shop: Shop | None, variant: Variant | None) -> str:
    if shop is None or variant is None:
        return ""
    return absolute_url(shop, reverse("product", args=[variant.product.slug]))


def _forms(request: HttpRequest, shop: Shop | None) -> dict[str, Any]:
    """Each bound to what was sent if it is the one that was."""

    def sent(step: str) -> Any:
        return request.POST if request.method == "POST" and request.POST.get("step") == step else None

    host = request.get_host().rpartition(":")[0] or request.get_host()
    if shop is None:
        return {"shop": FirstShopForm(sent("shop"), initial={"host": host, "currency": "CNY"})}
    token = {"token": f"p-{secrets.token_hex(4)}"}
    return {
        "mail": MailForm(sent("mail"), initial={"to": request.user.email or shop.contact_email}),  # type: ignore[union-attr]
        "product": FirstProductForm(sent("product"), initial=token, currency=shop.currency),
    }


# What each form or button does; true when it is done, and the page is to be looked at anew.


def _open_shop(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    """Only where there is none: what changes a shop that sells has a page of its own, behind a fresh code."""
    if shop is not None:
        return True
    if not form.is_valid():
        return False
    with transaction.atomic():
        opened, is_new = Shop.objects.get_or_create(slug=FIRST, defaults=form.cleaned_data)
        if is_new:
            changes = [
                Change(label=field.verbose_name, after=form.cleaned_data[field.name])
                for field in Shop._meta.fields
                if form.cleaned_data.get(field.name)
            ]
            site: Any = admin.site
            site.write_down(request, [deed_on(opened, Action.ADDED, shop_id=opened.pk)])
            record_changes(
                opened,
                changes,
                action=ADDITION,
                user_id=request.user.pk,  # type: ignore[arg-type]
                address=request.META.get("REMOTE_ADDR", ""),
                now=db_now(),
            )
    return True


def _send_mail(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    if shop is None or not form.is_valid():
        return shop is None
    message = EmailMessage(
        subject=f"{shop.name}: " + _("a test"),
        body=_("If you read this, mail from your shop arrives."),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[form.cleaned_data["to"]],
    )
    if failed := post({0: message}, within=MAILING):
        error = failed[0]
        messages.error(request, _("It could not be sent: %s") % f"{type(error).__name__} {error}"[:200])
    else:
        messages.success(request, _("Sent. Look whether it has arrived, also among the unwanted."))
    return True


def _mail_arrived(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    return _note(shop, "mail_arrived_at")


def _dismiss(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    return _note(shop, "dismissed_at")


def _note(shop: Shop | None, moment: str) -> bool:
    if shop is not None:
        FirstSteps.objects.update_or_create(shop=shop, defaults={moment: db_now()})
    return True


def _has_sandbox() -> bool:
    """Only on a machine where providers may be programs of its own."""
    return bool(settings.PROVIDERS_ON_LOOPBACK and env.read("SANDBOX_KEY"))


def _take_sandbox(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    if shop is not None and _has_sandbox():
        connect_sandbox(shop)
        messages.success(request, _("Buyers can pay at the sandbox now. No real money moves there."))
    return True


def _try_channel(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    channel = PaymentChannel.objects.filter(shop=shop, pk=_number(request.POST.get("channel"))).first()
    if shop is None or channel is None:
        return True
    if wrong := what_is_wrong_with(channel):
        messages.error(request, f"{channel}: {wrong}")
    else:
        said = _("%s: the provider answers. A first payment will show the rest.")
        messages.success(request, said % channel)
    return True


def _number(text: str | None) -> int:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else 0


def _list_product(request: HttpRequest, shop: Shop | None, form: Any) -> bool:
    if shop is None or not form.is_valid():
        return shop is None
    said = form.cleaned_data
    with transaction.atomic():
        product, is_new = Product.objects.get_or_create(
            shop=shop, slug=said["token"], defaults={"name": said["name"], "is_listed": True}
        )
        if is_new:
            variant = Variant.objects.create(
                shop=shop,
                product=product,
                code=said["token"],
                name=said["variant"],
                price_minor=said["price"],
                currency=shop.currency,
                low_stock_at=LOW_AT,
            )
            Stock.objects.create(shop=shop, variant=variant)
            for row in (product, variant):
                site: Any = admin.site
                deeds = deeds_between({}, {row.pk: (row, values_of(row))}, shop_of=shop_id_of)
                site.write_down(request, deeds)
            forget_on_commit(shop.pk)
    return True


ACTIONS: dict[str, Callable[[HttpRequest, Shop | None, Any], bool]] = {
    "shop": _open_shop,
    "mail": _send_mail,
    "mail_arrived": _mail_arrived,
    "sandbox": _take_sandbox,
    "try": _try_channel,
    "product": _list_product,
    "dismiss": _dismiss,
}
