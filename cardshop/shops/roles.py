"""What each role may do in its shop, page by page. What is not listed here is for nobody but superusers, and
the system checks say so.
"""

from collections.abc import Iterable
from functools import cache

from cardshop.shops.models import Role

ACTIONS = {"v": "view", "a": "add", "c": "change", "d": "delete"}
COLUMNS = (Role.OWNER, Role.MANAGER, Role.SUPPORT, Role.FINANCE, Role.VIEWER)

# One letter for each of Django's permissions; "-" for none.
#                              owner   manager support finance viewer
RIGHTS: dict[str, str] = {
    # Catalogue
    "inventory.category":     "vacd    vacd    v       -       v",
    "inventory.product":      "vacd    vacd    v       v       v",
    "inventory.productimage": "vacd    vacd    v       v       v",
    "inventory.variant":      "vacd    vacd    v       v       v",
    "inventory.buyerfield":   "vacd    vacd    v       -       v",
    "inventory.stock":        "v       v       v       -       v",
    "orders.sale":            "vacd    vacd    v       -       v",
    "orders.wave":            "vacd    vacd    v       -       v",
    # Card keys: what they say is shown on none of these pages. To change a batch is to take it out of sale or
    # to call it back, to delete it to undo it.
    "inventory.keybatch":     "vacd    vacd    -       -       v",
    "inventory.cardkey":      "v       v       -       -       v",
    "inventory.keyaccess":    "v       -       -       -       -",
    "inventory.keyrequest":   "v       -       -       -       -",
    # Orders: to change one is to deliver or mail again, or to say that it was dealt with.
    "orders.order":           "vc      vc      vc      v       v",
    "orders.orderitem":       "v       v       v       v       v",
    "orders.ticket":          "v       v       v       -       v",
    "orders.registration":    "v       v       v       -       v",
    # Money: to add a refund is to ask for one, to change it to approve it or to say what came of it.
    "payments.payment":       "v       v       -       v       v",
    "payments.paymentattempt":"v       v       -       v       v",
    "payments.receipt":       "vc      vc      -       vc      v",
    "payments.refund":        "vac     vac     -       vac     v",
    "payments.keyrecall":     "v       v       -       v       v",
    "payments.statement":     "vc      v       -       vc      v",
    "payments.balance":       "vac     v       -       vac     v",
    "payments.webhookevent":  "v       -       -       v       -",
    "payments.refusednotice": "v       -       -       v       -",
    "payments.paymentchannel":"vacd    v       -       v       -",
    # Resellers: an API key spends their balance, and a member can make one. To change a key is to renew or
    # revoke it.
    "resellers.reseller":     "vac     v       v       v       v",
    "resellers.resellermember":"vacd    v       -       -       v",
    "resellers.apikey":       "vac     v       -       -       v",
    "resellers.pricelist":    "vacd    vacd    v       v       v",
    "resellers.pricetier":    "vacd    vacd    v       v       v",
    "resellers.onwardprice":  "vacd    vacd    v       v       v",
    "resellers.resellerorder":"v       v       v       v       v",
    # Webhooks: to change one is to resume or remove it, to change a delivery to send it again.
    "resellers.webhookendpoint":"vac     vac     -       -       v",
    "resellers.webhookdelivery":"vc      vc      -       -       v",
    "resellers.claim":        "vc      vc      v       vc      v",
    # Suppliers: a key of theirs spends our money. To change an order is to have it tried again.
    "suppliers.supplier":     "vac     v       -       v       v",
    "suppliers.suppliedvariant":"vacd    v       v       v       v",
    "suppliers.supplierorder":"vc      vc      v       v       v",
    # The shop itself
    "shops.shop":             "vc      v       v       v       v",
    "shops.membership":       "vacd    -       -       -       -",
    "alerts.destination":     "vacd    vacd    -       -       -",
    "alerts.alert":           "v       v       v       v       v",
    "alerts.message":         "v       v       -       -       -",
    "outbox.outboxmessage":   "vc      vc      -       -       -",
    "audit.auditentry":       "v       -       -       -       -",
}  # fmt: skip

# Permissions of a model besides those four, such as "inventory.reveal_cardkey", with the roles that have it.
FURTHER: dict[str, set[Role]] = {
    "inventory.reveal_cardkey": {Role.OWNER},
    "inventory.export_cardkey": {Role.OWNER},
}


@cache
def permissions_of(role: Role) -> frozenset[str]:
    """As Django names them: `orders.view_order`. Of CUSTOM none: those are not decided here."""
    if role not in COLUMNS:
        return frozenset()
    at = COLUMNS.index(role)
    listed = (
        permission for model, cells in RIGHTS.items() for permission in _named(model, cells.split()[at])
    )
    return frozenset({*listed, *(permission for permission, roles in FURTHER.items() if role in roles)})


def _named(model: str, letters: str) -> Iterable[str]:
    app, name = model.split(".")
    return [f"{app}.{ACTIONS[letter]}_{name}" for letter in letters if letter != "-"]
