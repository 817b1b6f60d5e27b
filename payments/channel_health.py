"""The merchant's page of a channel: how it answers now, and when and why it was left alone."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import date
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.admin import ModelAdmin

from cardshop.traffic.breakers import Transition
from payments.channel_traffic import traffic
from payments.gateways import breaker_history, left_alone, operations_of
from payments.models import PaymentChannel

SHOWN = 50

OPERATION = {
    "create": gettext_lazy("Starting a payment"),
    "query": gettext_lazy("Asking about a payment"),
    "close": gettext_lazy("Closing a payment"),
    "refund": gettext_lazy("Giving money back"),
    "login": gettext_lazy("Asking WeChat who is paying"),
}
WHY = {
    "row": gettext_lazy("Five calls in a row had no answer."),
    "share": gettext_lazy("At least half of the last minute's calls failed."),
    "probe": gettext_lazy("It was tried again, and failed again."),
}


def channel_page(request: HttpRequest, model_admin: ModelAdmin, channel: PaymentChannel) -> HttpResponse:
    history = breaker_history(channel)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": str(channel),
        "opts": model_admin.opts,
        "channel": channel,
        "is_known": history is not None,
        "sections": [_now(channel), traffic(channel), _history(history)] if history is not None else [],
    }
    page = render(request, "admin/payments/channel_health.html", context)
    page["Cache-Control"] = "no-store"
    return page


def _now(channel: PaymentChannel) -> dict[str, Any]:
    waits = left_alone(channel)
    rows = [[OPERATION[operation], _state(waits.get(operation))] for operation in operations_of(channel)]
    return {
        "title": _("Now"),
        "note": _(
            "Who fails again and again is left alone for a while, so that nobody waits for it in vain."
        ),
        "table": {"headers": [_("what it is asked for"), _("state")], "rows": rows},
    }


def _state(wait: float | None) -> str:
    if wait is None:
        return _("is asked as usual")
    if wait == 0:
        return _("is being tried again")
    return _("left alone for another %(time)s") % {"time": _seconds(wait)}


def _history(history: list[tuple[str, Transition]]) -> dict[str, Any]:
    rows = [
        [
            date(localtime(transition.at), "Y-m-d H:i:s"),
            OPERATION[operation],
            _what(transition),
            WHY.get(transition.why, "-"),
        ]
        for operation, transition in history[:SHOWN]
    ]
    return {
        "title": _("Over time"),
        "note": "" if rows else _("In the last 30 days it was never left alone."),
        "table": {
            "headers": [_("time"), _("what it is asked for"), _("what happened"), _("why")],
            "rows": rows,
        },
    }


def _what(transition: Transition) -> str:
    if transition.until is None:
        return _("It answers again.")
    seconds = (transition.until - transition.at).total_seconds()
    return _("Left alone for %(time)s.") % {"time": _seconds(seconds)}


def _seconds(seconds: float) -> str:
    whole = max(1, round(seconds))
    return ngettext("%(count)d second", "%(count)d seconds", whole) % {"count": whole}
