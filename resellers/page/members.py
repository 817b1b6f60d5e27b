"""Who looks after the account: owners add and remove others."""

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from cardshop.common.audit import Action
from cardshop.common.errors import DomainError, NotHere
from resellers.members.joining import add_member, remove_member
from resellers.members.limits import count_invitation
from resellers.models import MemberRole
from resellers.page.door import Visit, done, leads_here, member_page, note, show
from resellers.page.forms import MemberForm

LIST = "reseller_members"


@leads_here
@member_page("GET", "HEAD")
def members(request: HttpRequest, visit: Visit) -> HttpResponse:
    context = {"section": "members", "members": visit.reseller.members.order_by("email")}
    return show(request, visit, "resellers/members.html", context)


@leads_here
@member_page("GET", "HEAD", "POST")
def new_member(request: HttpRequest, visit: Visit) -> HttpResponse:
    visit.require_fresh_owner(back_to=reverse("reseller_new_member"))
    form = MemberForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        return _form(request, visit, form)
    try:
        count_invitation(visit.reseller)
        with transaction.atomic(durable=True):
            member = add_member(visit.reseller, **form.cleaned_data, now=visit.now)
            note(request, visit, member, Action.ADDED, f"{member.email}: {member.role}")
    except DomainError as refused:
        form.add_error(None, str(refused))
        return _form(request, visit, form)
    return done(reverse(LIST), "invited")


@member_page("POST")
def let_go(request: HttpRequest, visit: Visit, pk: int) -> HttpResponse:
    """Of another. Nobody sends themselves away: so there is always an owner left."""
    visit.require_fresh_owner(back_to=reverse(LIST))
    other = visit.reseller.members.filter(pk=pk).exclude(pk=visit.member.pk).first()
    if other is None:
        raise NotHere
    with transaction.atomic(durable=True):
        note(request, visit, other, Action.DELETED, f"{other.email}: {other.role}")
        remove_member(other)
    return done(reverse(LIST), "let-go")


def _form(request: HttpRequest, visit: Visit, form: MemberForm) -> HttpResponse:
    context = {
        "section": "members",
        "errors": form.errors,
        "others": form.non_field_errors() if form.is_bound else [],
        "entered": request.POST,
        "roles": MemberRole.choices,
        "role": request.POST.get("role") or MemberRole.VIEWER,
    }
    return show(request, visit, "resellers/new_member.html", context, status=400 if form.errors else 200)
