"""The admin's sidebar. A page that a person may not see is not listed for them."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from cardshop.operations.acting_in import own_membership, own_memberships
from orders.fulfilling_admin import waiting_badge


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    here = own_membership(request)
    return [
        {
            "items": [
                {
                    "title": here.shop.name if here else "",
                    "icon": "storefront",
                    "link": reverse_lazy("admin:choose_shop"),
                    "permission": _has_several_shops,
                    "active": request.path == reverse("admin:choose_shop"),
                },
                {"title": _("Today"), "icon": "monitoring", "link": reverse_lazy("admin:index")},
                {
                    "title": _("Right now"),
                    "icon": "ecg_heart",
                    "link": reverse_lazy("admin:operations"),
                    "permission": _is_superuser,
                },
                {
                    "title": _("What needs you"),
                    "icon": "notification_important",
                    "link": reverse_lazy("admin:attention"),
                    "permission": _may("orders.view_order"),
                },
                {**_page(_("Orders"), "receipt_long", "orders.order"), "active": _shows_orders},
                {
                    "title": _("To be filled in"),
                    "icon": "edit_note",
                    "link": reverse_lazy("admin:orders_orderitem_changelist"),
                    "permission": _may("orders.view_order"),
                    # Named by a text, it would be there for none as well, and empty.
                    "badge": waiting_badge(request),
                },
            ]
        },
        {
            "title": _("For sale"),
            "separator": True,
            "items": [
                _page(_("Products"), "inventory_2", "inventory.product"),
                _page(_("Variants and prices"), "sell", "inventory.variant"),
                _page(_("Categories"), "category", "inventory.category"),
            ],
        },
        {
            "title": _("Rushes"),
            "separator": True,
            "items": [
                _page(_("Sales"), "bolt", "orders.sale"),
                _page(_("Line"), "hourglass_top", "orders.ticket"),
                _page(_("Registrations"), "how_to_reg", "orders.registration"),
            ],
        },
        {
            "title": _("Card keys"),
            "separator": True,
            "items": [
                {
                    "title": _("Import keys"),
                    "icon": "upload",
                    "link": reverse_lazy("admin:inventory_keybatch_import_keys"),
                    "permission": _may("inventory.add_keybatch"),
                },
                {
                    **_page(_("Imports"), "deployed_code_history", "inventory.keybatch"),
                    "active": _shows_batches,
                },
                _page(_("Card keys"), "key", "inventory.cardkey"),
                _page(_("Stock"), "stacks", "inventory.stock"),
                _page(_("Recalls"), "assignment_return", "payments.keyrecall"),
                _page(_("Requests for keys"), "lock_open", "inventory.keyrequest"),
                _page(_("Who saw keys"), "visibility", "inventory.keyaccess"),
            ],
        },
        {
            "title": _("Money"),
            "separator": True,
            "items": [
                _page(_("Receipts"), "payments", "payments.receipt"),
                _page(_("Refunds"), "undo", "payments.refund"),
                _page(_("Statements"), "fact_check", "payments.statement"),
                _page(_("Balances"), "wallet", "payments.balance"),
                _page(_("Payments"), "account_balance_wallet", "payments.payment"),
                _page(_("Attempts"), "sync_alt", "payments.paymentattempt"),
                _page(_("Providers' notices"), "inbox", "payments.webhookevent"),
                _page(_("Refused notices"), "block", "payments.refusednotice"),
                _page(_("Ways to pay"), "credit_card", "payments.paymentchannel"),
            ],
        },
        {
            "title": _("Resellers"),
            "separator": True,
            "items": [
                _page(_("Resellers"), "handshake", "resellers.reseller"),
                _page(_("Members of resellers"), "badge", "resellers.resellermember"),
                _page(_("Price lists"), "price_change", "resellers.pricelist"),
                _page(_("API keys"), "vpn_key", "resellers.apikey"),
                _page(_("Webhooks"), "webhook", "resellers.webhookendpoint"),
                _page(_("Sent to webhooks"), "outbound", "resellers.webhookdelivery"),
            ],
        },
        {
            "title": _("Suppliers"),
            "separator": True,
            "items": [
                _page(_("Suppliers"), "warehouse", "suppliers.supplier"),
                _page(_("Supplied variants"), "conveyor_belt", "suppliers.suppliedvariant"),
                _page(_("Orders at suppliers"), "local_shipping", "suppliers.supplierorder"),
            ],
        },
        {
            "title": _("Operations"),
            "separator": True,
            "items": [
                _page(_("Shops"), "storefront", "shops.shop"),
                _page(_("Members"), "group", "shops.membership"),
                _page(_("Where alerts go"), "notifications", "alerts.destination"),
                _page(_("Alerts"), "notification_important", "alerts.alert"),
                _page(_("Sent alerts"), "mark_email_read", "alerts.message"),
                _page(_("Audit log"), "history", "audit.auditentry"),
                _page(_("Outbox"), "outbox", "outbox.outboxmessage"),
                _page(_("Accounts"), "manage_accounts", "auth.user", superuser=True),
                _page(_("Groups"), "badge", "auth.group", superuser=True),
                _page(_("Two-step login"), "phonelink_lock", "otp_totp.totpdevice", superuser=True),
            ],
        },
    ]


def stylesheet(request: HttpRequest) -> str:
    return static("admin/cardshop.css")


def _page(title: str | Promise, icon: str, model: str, *, superuser: bool = False) -> dict[str, Any]:
    link = reverse_lazy(f"admin:{model.replace('.', '_')}_changelist")
    allowed = _is_superuser if superuser else _may(model.replace(".", ".view_"))
    return {"title": title, "icon": icon, "link": link, "permission": allowed}


def _may(permission: str) -> Callable[[HttpRequest], bool]:
    def allowed(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return allowed


def _shows_batches(request: HttpRequest) -> bool:
    """Unfold compares beginnings, and the import page's address begins like the list's."""
    here = request.path
    return here.startswith(reverse("admin:inventory_keybatch_changelist")) and here != reverse(
        "admin:inventory_keybatch_import_keys"
    )


def _shows_orders(request: HttpRequest) -> bool:
    here = request.path
    return here.startswith(reverse("admin:orders_order_changelist")) and here != reverse("admin:attention")


def _has_several_shops(request: HttpRequest) -> bool:
    return len(own_memberships(request)) > 1


def _is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_superuser)
