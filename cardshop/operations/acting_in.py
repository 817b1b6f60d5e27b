"""The page on which somebody who looks after several shops chooses the one to act in."""

from typing import Any, cast

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from cardshop.shops.middleware import ACTS_IN
from cardshop.shops.models import Membership


def choose_shop(request: HttpRequest) -> HttpResponse:
    """Only shops of theirs are listed, and only one of them can be chosen."""
    mine = own_memberships(request)
    if request.method == "POST":
        chosen = [each for each in mine if str(each.shop_id) == request.POST.get("shop")]
        if not chosen:
            raise Http404
        request.session[ACTS_IN] = chosen[0].shop_id
        return redirect("admin:index")
    context = {
        **admin.site.each_context(request),
        "title": _("Which shop?"),
        "memberships": mine,
        "here": own_membership(request),
    }
    return render(request, "admin/choose_shop.html", context)


def own_memberships(request: HttpRequest) -> list[Membership]:
    return list(getattr(request.user, "memberships", []))


def own_membership(request: HttpRequest) -> Membership | None:
    """The one that they act under."""
    return cast(Membership | None, getattr(request.user, "membership", None))


def subheader(request: HttpRequest) -> Any:
    """Below the name of the site: where one acts, and as what."""
    here = own_membership(request)
    return f"{here.shop} · {here.get_role_display()}" if here else ""
