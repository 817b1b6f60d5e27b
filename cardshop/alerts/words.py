"""What is said of an alert, in the language of the moment, and where to look."""

from collections.abc import Mapping, Sequence
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from cardshop.alerts.models import Alert, Kind
from cardshop.common.links import absolute_url
from cardshop.shops.models import Shop
from payments.checkout.reasons import in_words

LISTED = 10  # alerts that one message tells one by one
WAITS = {
    "order": gettext_lazy("Order %(name)s needs you: %(why)s"),
    "receipt": gettext_lazy("Money through %(name)s needs you: %(why)s"),
    "refund": gettext_lazy("Refund %(name)s needs you: %(why)s"),
    "statement": gettext_lazy("The statement %(name)s needs you: %(why)s"),
}
SENTENCES = {
    Kind.LOW_STOCK: gettext_lazy("%(name)s runs low: %(free)s left"),
    Kind.SOLD_OUT: gettext_lazy("%(name)s is sold out"),
    Kind.CHANNEL: gettext_lazy("The way to pay “%(name)s” does not answer and is left alone for now"),
    Kind.IMPORT: gettext_lazy(
        "Keys for %(name)s were imported: %(imported)s new, %(duplicates)s duplicates, %(refused)s refused"
    ),
    Kind.DESTINATION: gettext_lazy("Alerts to “%(name)s” do not arrive: %(error)s"),
    Kind.WEBHOOK: gettext_lazy(
        "The webhook at %(name)s has taken nothing for three days and is paused. Resume it once it works"
    ),
    Kind.SUPPLIER: gettext_lazy("The supplier “%(name)s” does not answer: %(error)s"),
    Kind.GIVEN_UP: gettext_lazy("Work was given up: %(name)s, %(count)s times. It can be tried again"),
    Kind.WORKERS: gettext_lazy(
        "Nobody does “%(name)s”: %(count)s wait, for %(minutes)s minutes. Do the workers run?"
    ),
    Kind.BACKUP: gettext_lazy("The last backup is %(hours)s hours old"),
}
IMPORT_FAILED = gettext_lazy("An import of keys for %(name)s has failed: %(imported)s were stored before")
LEDGERS_DIFFER = gettext_lazy("The ledger of the supplier “%(name)s” and ours differ: %(differences)s")
NO_SIGN_OF_LIFE = gettext_lazy("The workers of “%(name)s” have shown no life for %(minutes)s minutes")
PAGES = {
    Kind.ATTENTION: "admin:attention",
    Kind.LOW_STOCK: "admin:inventory_variant_changelist",
    Kind.SOLD_OUT: "admin:inventory_variant_changelist",
    Kind.CHANNEL: "admin:payments_paymentchannel_changelist",
    Kind.IMPORT: "admin:inventory_keybatch_changelist",
    Kind.DESTINATION: "admin:alerts_destination_changelist",
    Kind.WEBHOOK: "admin:resellers_webhookendpoint_changelist",
    Kind.SUPPLIER: "admin:suppliers_supplier_changelist",
    Kind.GIVEN_UP: "admin:outbox_outboxmessage_changelist",
    Kind.WORKERS: "admin:operations",
    Kind.BACKUP: "admin:index",
}


def sentence(alert: Alert, *, is_end: bool) -> str:
    about: dict[str, Any] = alert.about
    if alert.kind == Kind.ATTENTION:
        why = in_words(about["why"]) or _("waiting for a second person")
        said = WAITS[about["what"]] % {**about, "why": why}
    else:
        said = _sentence_of(Kind(alert.kind), about) % about
    said = _("Over: %s") % said if is_end else str(said)
    return " ".join(said.split())


def _sentence_of(kind: Kind, about: Mapping[str, Any]) -> Any:
    if kind == Kind.IMPORT and not about["is_done"]:
        return IMPORT_FAILED
    if kind == Kind.SUPPLIER and about["differences"]:
        return LEDGERS_DIFFER
    if kind == Kind.WORKERS and "count" not in about:
        return NO_SIGN_OF_LIFE
    return SENTENCES[kind]


def title_of(sentences: Sequence[str], shop: Shop | None) -> str:
    """Of one the sentence itself, of many their number."""
    name = shop.name if shop else "Cardshop"
    if len(sentences) == 1:
        return f"{name}: {sentences[0]}"[:200]
    return f"{name}: " + _("%(count)d alerts") % {"count": len(sentences)}


def text_of(sentences: Sequence[str], link: str) -> str:
    """Each on a line of its own, and where to look."""
    lines = [f"· {said}" for said in sentences[:LISTED]]
    if (more := len(sentences) - LISTED) > 0:
        lines.append(_("… and %(count)d more") % {"count": more})
    return "\n".join([*lines, link] if link else lines)


def link_to(alerts: Sequence[Alert], shop: Shop | None) -> str:
    """The page of what they all are, or the first page; empty while there is no shop at all."""
    host = shop or Shop.objects.order_by("pk").first()
    kinds = {alert.kind for alert in alerts}
    page = PAGES[Kind(kinds.pop())] if len(kinds) == 1 else "admin:index"
    return absolute_url(host, reverse(page)) if host else ""
