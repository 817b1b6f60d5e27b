"""API keys. A secret is shown once, in the answer to the press that made it."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from cardshop.common.audit import Action
from cardshop.common.errors import DomainError
from resellers.keys import BETWEEN, OVERLAP, follow, key_called, keys_of, make_key, revoke
from resellers.models import ApiKey, Proof, Scope
from resellers.page.door import Visit, done, leads_here, member_page, new_form, note, require_first, show
from resellers.page.forms import KeyForm
from resellers.page.paging import page_of

LIST = "reseller_keys"


@leads_here
@member_page("GET", "HEAD")
def keys(request: HttpRequest, visit: Visit) -> HttpResponse:
    page = page_of(request, keys_of(visit.reseller))
    rows = [(key, _standing(key, visit), [Scope(each).label for each in key.scopes]) for key in page.rows]
    context = {"section": "keys", "page": page, "keys": rows, "hours": int(OVERLAP.total_seconds() // 3600)}
    return show(request, visit, "resellers/keys.html", context)


def _standing(key: ApiKey, visit: Visit) -> str:
    if key.revoked_at:
        return "revoked"
    if not key.works_at(visit.now):
        return "over"
    return "followed" if key.followed_by_id else "works"


@leads_here
@member_page("GET", "HEAD", "POST")
@sensitive_variables()
def new_key(request: HttpRequest, visit: Visit) -> HttpResponse:
    visit.require_fresh_owner(back_to=reverse("reseller_new_key"))
    form = KeyForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _form(request, visit, form)
    require_first(visit, request.POST.get("form", ""))
    said = form.cleaned_data
    with transaction.atomic(durable=True):
        key, secret = make_key(
            visit.reseller,
            label=said["label"],
            proof=said["proof"],
            scopes=said["scopes"],
            networks=said["networks"],
            expires_at=said["expires_on"],
            now=visit.now,
        )
        note(request, visit, key, Action.ADDED, ", ".join(key.scopes))
    return _show_secret(request, visit, key, secret)


@member_page("POST")
@sensitive_variables()
def follow_key(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    visit.require_fresh_owner(back_to=reverse(LIST))
    key = key_called(visit.reseller, name)
    try:
        with transaction.atomic(durable=True):
            new, secret = follow(key, now=visit.now)
            note(request, visit, key, Action.DONE, f"→ {new.name}")
            note(request, visit, new, Action.ADDED, f"{key.name} →")
    except DomainError:
        return done(reverse(LIST), "not-followed")
    return _show_secret(request, visit, new, secret)


@member_page("POST")
def revoke_key(request: HttpRequest, visit: Visit, name: str) -> HttpResponse:
    """Takes no fresh code: who has to stop something is in a hurry."""
    visit.require_owner()
    key = key_called(visit.reseller, name)
    with transaction.atomic(durable=True):
        if revoke(key, now=visit.now):
            note(request, visit, key, Action.DONE, _("It opens nothing any more."))
    return done(reverse(LIST), "revoked")


def _form(request: HttpRequest, visit: Visit, form: KeyForm) -> HttpResponse:
    chosen = request.POST.getlist("scopes") if form.is_bound else [Scope.CATALOGUE, Scope.ORDERS]
    context = {
        "section": "keys",
        "errors": form.errors,
        "entered": request.POST,
        "form": request.POST.get("form") or new_form(),
        "proofs": Proof.choices,
        "proof": request.POST.get("proof") or Proof.SIGNED,
        "scopes": [(value, label, value in chosen) for value, label in Scope.choices],
    }
    return show(request, visit, "resellers/new_key.html", context, status=400 if form.errors else 200)


def _show_secret(request: HttpRequest, visit: Visit, key: ApiKey, secret: str) -> HttpResponse:
    shown = secret if key.proof == Proof.SIGNED else f"{key.name}{BETWEEN}{secret}"
    context = {"section": "keys", "key": key, "secret": shown, "signs": key.proof == Proof.SIGNED}
    return show(request, visit, "resellers/key_secret.html", context)
