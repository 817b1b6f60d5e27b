"""The merchant's pages of resellers and of the keys that their programs call with. A secret is shown once."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST
from unfold.decorators import action
from unfold.enums import ActionVariant

from cardshop.common.admin import LINK, MadeOnceAdmin, MerchantAdmin, ReadOnlyAdmin
from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError
from cardshop.common.fresh_code import ask_for_code, has_fresh_code
from cardshop.common.money import display
from cardshop.common.shop_scope import ShopRelatedFilter, within
from cardshop.shops.models import Shop
from resellers.accounts import open_reseller
from resellers.claims import decline
from resellers.forms import ApiKeyForm
from resellers.keys import BETWEEN, follow, make_key, revoke
from resellers.member_admin import ResellerMemberAdmin
from resellers.models import ApiKey, Claim, MerchantScope, Proof, Reseller, ResellerOrder, Scope
from resellers.price_admin import PriceListAdmin
from resellers.price_forms import ResellerForm
from resellers.set_aside_page import set_aside_page
from resellers.webhooks.admin import WebhookDeliveryAdmin, WebhookEndpointAdmin

__all__ = [
    "ApiKeyAdmin",
    "PriceListAdmin",
    "ResellerAdmin",
    "ResellerMemberAdmin",
    "ResellerOrderAdmin",
    "WebhookDeliveryAdmin",
    "WebhookEndpointAdmin",
]

# What somebody has to be allowed to do themselves who gives it to a program of the shop's own.
NEEDED: dict[str, str] = {
    MerchantScope.CATALOGUE_READ: "inventory.view_variant",
    MerchantScope.CATALOGUE_WRITE: "inventory.change_variant",
    MerchantScope.STOCK_WRITE: "inventory.add_keybatch",
    MerchantScope.ORDERS_READ: "orders.view_order",
    MerchantScope.ORDERS_WRITE: "orders.change_order",
    MerchantScope.REFUNDS_WRITE: "payments.add_refund",
    MerchantScope.STATISTICS_READ: "payments.view_payment",
    MerchantScope.KEYS_READ: "inventory.reveal_cardkey",
}


@admin.register(Reseller)
class ResellerAdmin(MerchantAdmin):
    shop_path = "shop"
    form = ResellerForm
    list_display = ["name", "contact_email", "amount", "price_list", "is_let_in", "since"]
    list_filter = ["is_suspended", "shop", "price_list"]
    list_select_related = ["balance", "price_list"]
    search_fields = ["name", "contact_email"]
    fields = [
        "shop",
        ("name", "contact_email"),
        "price_list",
        "encrypted_to",
        "is_suspended",
        "its_balance",
        "its_members",
        "since",
    ]
    readonly_fields = ["its_balance", "its_members", "since"]
    actions_detail = ["stock"]
    actions_list = ["stock_for_all"]

    @action(
        description=gettext_lazy("Stock set aside"),
        url_path="stock",
        permissions=["set_aside"],
        icon="stacks",
        variant=ActionVariant.PRIMARY,
    )
    def stock(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return set_aside_page(request, self, self.row_or_404(request, object_id))

    @action(
        description=gettext_lazy("Stock set aside for all resellers"),
        url_path="stock",
        permissions=["set_aside"],
        icon="stacks",
    )
    def stock_for_all(self, request: HttpRequest) -> HttpResponse:
        return set_aside_page(request, self)

    def has_set_aside_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever says what is for sale, and how much of it."""
        return request.user.has_perm("inventory.change_variant")

    @admin.display(description=gettext_lazy("enabled"), boolean=True, ordering="is_suspended")
    def is_let_in(self, reseller: Reseller) -> bool:
        return not reseller.is_suspended

    @admin.display(description=gettext_lazy("balance"))
    def amount(self, reseller: Reseller) -> str:
        return display(reseller.balance.amount_minor, reseller.balance.currency)

    @admin.display(description=gettext_lazy("balance"))
    def its_balance(self, reseller: Reseller) -> str:
        """With the way to its entries, and to where money is booked."""
        if reseller._state.adding:
            return "-"
        address = reverse("admin:payments_balance_change", args=[reseller.balance_id])
        line = reseller.balance.credit_minor
        credit = f" + {display(line, reseller.balance.currency)}" if line else ""
        return format_html('<a href="{}" class="{}">{}{}</a>', address, LINK, self.amount(reseller), credit)

    @admin.display(description=gettext_lazy("people who log in"))
    def its_members(self, reseller: Reseller) -> str:
        """Who logs in on the page for resellers; with the way to where they are added and removed."""
        if reseller._state.adding:
            return "-"
        address = reverse("admin:resellers_resellermember_changelist")
        named = ", ".join(str(member) for member in reseller.members.all()) or _("nobody yet")
        return format_html(
            '<a href="{}?reseller__id__exact={}" class="{}">{}</a>', address, reseller.pk, LINK, named
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Reseller, form: Any, change: bool) -> None:
        if not change:
            opened = open_reseller(obj.shop, name=obj.name, contact_email=obj.contact_email, now=db_now())
            obj.pk, obj.balance, obj.since = opened.pk, opened.balance, opened.since
            obj._state.adding = False
        if "price_list" in form.changed_data:
            obj.priced_since = db_now()
        super().save_model(request, obj, form, change)


@admin.register(ApiKey)
class ApiKeyAdmin(MadeOnceAdmin):
    """Only made, followed by another, and revoked: what one may do is never changed under its program."""

    shop_path = "shop"
    list_display = ["label", "whose", "public_name", "proof", "may", "expires_at", "revoked_at"]
    list_filter = ["proof", "reseller", "shop"]
    list_select_related = ["reseller", "shop"]
    search_fields = ["label", "=name", "reseller__name"]
    fields = [
        ("whose", "label"),
        ("public_name", "proof"),
        "in_words",
        "networks",
        ("created_at", "expires_at", "revoked_at"),
    ]
    readonly_fields = [
        "whose",
        "label",
        "public_name",
        "proof",
        "in_words",
        "networks",
        "created_at",
        "expires_at",
        "revoked_at",
    ]
    change_form_outer_before_template = "admin/resellers/key_forms.html"

    @admin.display(description=gettext_lazy("of whom"), ordering="reseller")
    def whose(self, key: ApiKey) -> str:
        return str(key.reseller or _("your own"))

    @admin.display(description=gettext_lazy("name of the key"), ordering="name")
    def public_name(self, key: ApiKey) -> str:
        return key.name

    @admin.display(description=gettext_lazy("may"))
    def may(self, key: ApiKey) -> str:
        return ", ".join(key.scopes)

    @admin.display(description=gettext_lazy("may"))
    def in_words(self, key: ApiKey) -> str:
        meant = dict((MerchantScope if key.reseller_id is None else Scope).choices)
        return format_html_join("", "<p>{} ({})</p>", ((meant.get(each, each), each) for each in key.scopes))

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        views = {"follow": self.follow_view, "revoke": self.revoke_view}
        ours = [
            path(
                f"<int:pk>/{name}/",
                self.admin_site.admin_view(require_POST(view)),
                name=f"resellers_apikey_{name}",
            )
            for name, view in views.items()
        ]
        return [*ours, *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Ends on the page with the secret."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        if not has_fresh_code(request):
            return ask_for_code(request)
        form = ApiKeyForm(
            request.POST or None,
            initial=request.GET.dict(),
            shops=within(request, Shop.objects.order_by("name")),
            resellers=within(request, Reseller.objects.select_related("shop").order_by("name")),
            own_scopes=[scope for scope, right in NEEDED.items() if request.user.has_perm(right)],
        )
        if form.is_valid():
            with transaction.atomic(durable=True):
                key, secret = make_key(**form.cleaned_data, now=db_now())
                self.log_addition(request, key, f"{self.whose(key)}: {', '.join(key.scopes)}")
            return self._show_secret(request, key, secret)
        context = {**self.admin_site.each_context(request), "title": _("A new API key"), "form": form}
        return render(request, "admin/resellers/new_key.html", context)

    def follow_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        key = self._changeable(request, pk)
        if not request.user.has_perms({NEEDED[scope] for scope in key.scopes if scope in NEEDED}):
            raise PermissionDenied  # who is shown its secret may do all that it may
        if not has_fresh_code(request):
            return ask_for_code(request, back_to=_page_of(key))
        try:
            with transaction.atomic(durable=True):
                new, secret = follow(key, now=db_now())
                self.log_change(request, key, f"→ {new.name}")
                self.log_addition(request, new, f"{key.name} →")
        except DomainError as refused:
            messages.warning(request, str(refused))
            return redirect(_page_of(key))
        return self._show_secret(request, new, secret)

    def revoke_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Takes no code: who has to stop something is in a hurry."""
        key = self._changeable(request, pk)
        said = _("It opens nothing any more.")
        with transaction.atomic(durable=True):
            if is_new := revoke(key, now=db_now()):
                self.log_change(request, key, said)
        if is_new:
            messages.success(request, said)
        return redirect(_page_of(key))

    def _changeable(self, request: HttpRequest, pk: int) -> ApiKey:
        key: ApiKey = self.row_or_404(request, pk)
        if not self.has_change_permission(request, key):
            raise PermissionDenied
        return key

    def _show_secret(self, request: HttpRequest, key: ApiKey, secret: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": _("Secret of %s") % key.label,
            "key": key,
            "secret": secret if key.proof == Proof.SIGNED else f"{key.name}{BETWEEN}{secret}",
            "page": _page_of(key),
        }
        response = render(request, "admin/resellers/secret.html", context)
        response["Cache-Control"] = "no-store"
        return response


class ResellerFilter(ShopRelatedFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("reseller")


@admin.register(ResellerOrder)
class ResellerOrderAdmin(ReadOnlyAdmin):
    """What their programs asked for. What became of it is done on the order's own page."""

    shop_path = "reseller__shop"
    list_display = ["number", "whose", "reference", "what", "status", "its_order", "asked_at"]
    list_filter = ["status", ("reseller", ResellerFilter)]
    list_select_related = ["reseller", "order"]
    search_fields = ["=number", "=reference"]
    fields = [
        ("whose", "reference"),
        ("number", "status"),
        "what",
        "why_not",
        "its_order",
        ("asked_at", "ended_at"),
    ]
    readonly_fields = ["whose", "what", "why_not", "its_order"]

    @admin.display(description=gettext_lazy("reseller"), ordering="reseller")
    def whose(self, one: ResellerOrder) -> str:
        address = reverse("admin:resellers_reseller_change", args=[one.reseller_id])
        return format_html('<a href="{}" class="{}">{}</a>', address, LINK, one.reseller)

    @admin.display(description=gettext_lazy("asked for"))
    def what(self, one: ResellerOrder) -> str:
        return ", ".join(f"{line['quantity']} × {line['variant']}" for line in one.lines)

    @admin.display(description=gettext_lazy("refused because"))
    def why_not(self, one: ResellerOrder) -> str:
        return str(one.problem.get("code", "")) or "-"

    @admin.display(description=gettext_lazy("order"))
    def its_order(self, one: ResellerOrder) -> str:
        if one.order is None:
            return "-"
        address = reverse("admin:orders_order_change", args=[one.order.pk])
        return format_html('<a href="{}" class="{}">{}</a>', address, LINK, one.order.get_status_display())


@admin.register(Claim)
class ClaimAdmin(ReadOnlyAdmin):
    """Keys are replaced and money is given back on the order's page, which answers the claim."""

    shop_path = "reseller__shop"
    list_display = ["claimed_at", "reseller", "its_order", "what", "reason", "state"]
    list_filter = ["reseller"]
    list_select_related = ["reseller", "asked", "delivered__item__variant"]
    search_fields = ["=asked__number"]
    fields = [
        "reseller",
        "its_order",
        "what",
        "reason",
        "state",
        "claimed_at",
        ("declined_at", "declined_by"),
    ]
    readonly_fields = ["its_order", "what", "state"]
    actions = ["decline_them"]

    def has_decline_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("resellers.change_claim")

    @action(description=gettext_lazy("Decline: the key works"), permissions=["decline"])
    def decline_them(self, request: HttpRequest, queryset: QuerySet[Claim]) -> None:
        with self.noting(request, queryset):
            declined = decline(queryset, actor=str(request.user), now=db_now())
        self.message_user(
            request,
            ngettext("%(count)d claim was declined.", "%(count)d claims were declined.", declined)
            % {"count": declined},
            messages.SUCCESS if declined else messages.WARNING,
        )

    @admin.display(description=gettext_lazy("order"))
    def its_order(self, claim: Claim) -> str:
        address = reverse("admin:orders_order_change", args=[claim.asked.order_id])
        return format_html('<a href="{}" class="{}">{}</a>', address, LINK, claim.asked.number)

    @admin.display(description=gettext_lazy("variant"))
    def what(self, claim: Claim) -> str:
        return str(claim.delivered.item.variant.code)

    @admin.display(description=gettext_lazy("state"))
    def state(self, claim: Claim) -> str:
        return str(claim.status.label)


def _page_of(key: ApiKey) -> str:
    return reverse("admin:resellers_apikey_change", args=[key.pk])
