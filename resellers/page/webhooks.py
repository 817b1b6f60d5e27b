"""Webhooks, and what became of their deliveries."""

from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from cardshop.common.audit import Action
from cardshop.common.errors import DomainError, NotHere
from resellers.models import EventKind
from resellers.page.door import Visit, done, leads_here, member_page, new_form, note, require_first, show
from resellers.page.forms import WebhookForm
from resellers.page.paging import page_of
from resellers.webhooks.endpoints import (
    BY_HAND,
    deliveries_of,
    make_endpoint,
    pause,
    remove,
    resume,
    webhook_called,
    webhooks_of,
)
from resellers.webhooks.replaying import replay

LIST, ONE = "reseller_webhooks_page", "reseller_webhook_page"


@leads_here
@member_page("GET", "HEAD")
def webhooks(request: HttpRequest, visit: Visit) -> HttpResponse:
    context = {"section": "webhooks", "webhooks": webhooks_of(visit.reseller)}
    return show(request, visit, "resellers/webhooks.html", context)


@leads_here
@member_page("GET", "HEAD")
def webhook(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    """With its deliveries, those of the newest events first."""
    endpoint = webhook_called(visit.reseller, name)
    deliveries = deliveries_of(visit.reseller).filter(endpoint=endpoint)
    context = {
        "section": "webhooks",
        "webhook": endpoint,
        "is_paused_by_hand": endpoint.paused_because == BY_HAND,
        "kinds": [(kind, EventKind(kind).label) for kind in endpoint.kinds],
        "page": page_of(request, deliveries, by="event_id"),
    }
    return show(request, visit, "resellers/webhook.html", context)


@leads_here
@member_page("GET", "HEAD", "POST")
@sensitive_variables()
def new_webhook(request: HttpRequest, visit: Visit) -> HttpResponse:
    visit.require_fresh_owner(back_to=reverse("reseller_new_webhook"))
    form = WebhookForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _form(request, visit, form)
    require_first(visit, request.POST.get("form", ""))
    try:
        with transaction.atomic(durable=True):
            endpoint, secret = make_endpoint(
                visit.reseller.shop, reseller=visit.reseller, **form.cleaned_data, now=visit.now
            )
            note(request, visit, endpoint, Action.ADDED, ", ".join(endpoint.kinds))
    except DomainError as refused:
        form.add_error(refused.field or None, str(refused))
        return _form(request, visit, form)
    context = {"section": "webhooks", "webhook": endpoint, "secret": secret}
    return show(request, visit, "resellers/webhook_secret.html", context)


@member_page("POST")
def pause_webhook(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    visit.require_owner()
    endpoint = webhook_called(visit.reseller, name)
    with transaction.atomic(durable=True):
        if pause(endpoint, now=visit.now):
            note(request, visit, endpoint, Action.DONE, _("It is paused: what is promised to it waits."))
    return done(reverse(ONE, args=[name]), "paused")


@member_page("POST")
def resume_webhook(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    visit.require_owner()
    endpoint = webhook_called(visit.reseller, name)
    with transaction.atomic(durable=True):
        if resume(endpoint, now=visit.now):
            note(request, visit, endpoint, Action.DONE, _("What has waited for it is being sent."))
    return done(reverse(ONE, args=[name]), "resumed")


@member_page("POST")
def remove_webhook(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    visit.require_owner()
    endpoint = webhook_called(visit.reseller, name)
    with transaction.atomic(durable=True):
        if remove(endpoint, now=visit.now):
            note(request, visit, endpoint, Action.DONE, _("It hears of nothing any more."))
    return done(reverse(LIST), "removed")


@member_page("POST")
def send_again(request: HttpRequest, visit: Visit, uid: UUID) -> HttpResponse:
    visit.require_owner()
    mine = deliveries_of(visit.reseller).filter(uid=uid, endpoint__removed_at=None)
    if (delivery := mine.first()) is None:
        raise NotHere
    with transaction.atomic(durable=True):
        if is_sent := replay(mine, now=visit.now) == 1:
            note(request, visit, delivery, Action.DONE, _("It is being sent again."))
    return done(reverse(ONE, args=[delivery.endpoint.name]), "again" if is_sent else "not-again")


def _form(request: HttpRequest, visit: Visit, form: WebhookForm) -> HttpResponse:
    chosen = request.POST.getlist("kinds") if form.is_bound else EventKind.values
    context = {
        "section": "webhooks",
        "errors": form.errors,
        "others": form.non_field_errors() if form.is_bound else [],
        "entered": request.POST,
        "form": new_form(),
        "kinds": [(value, label, value in chosen) for value, label in EventKind.choices],
    }
    return show(request, visit, "resellers/new_webhook.html", context, status=400 if form.errors else 200)
