"""Gives each request its shop, looked up when first asked for, and staff the shop they act in."""

from collections.abc import Callable
from typing import Any, cast

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from cardshop.shops.errors import ShopClosed
from cardshop.shops.models import Shop
from cardshop.shops.selectors import memberships_of, shop_for_host

ACTS_IN = "acts_in"  # of the session: the id of a shop


class ShopMiddleware:
    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.shop = SimpleLazyObject(lambda: shop_for_host(request.get_host()))  # type: ignore[attr-defined]
        return self.get_response(request)


def shop_of(request: HttpRequest) -> Shop:
    """The shop this request is for, open or not: who has ordered there keeps the order. Raises NotHere."""
    return cast(Shop, request.shop)  # type: ignore[attr-defined]


def open_shop_of(request: HttpRequest) -> Shop:
    """The shop this request is for, if it sells at the moment. Raises NotHere, ShopClosed."""
    shop = shop_of(request)
    if not shop.is_open:
        raise ShopClosed
    return shop


class MembershipMiddleware:
    """Staff act in one shop at a time, of those where they are a member: `request.user.membership` says where
    and as what, None for superusers, who see all, and for who belongs to no shop. The host does not matter.

    Buyers' requests have no user.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        user = getattr(request, "user", None)
        if user is not None:
            request.user = cast(Any, SimpleLazyObject(lambda: _acting(request, user)))
        return self.get_response(request)


def _acting(request: HttpRequest, user: Any) -> Any:
    user.memberships = memberships_of(user)
    chosen = request.session.get(ACTS_IN)
    user.membership = next(
        (each for each in user.memberships if each.shop_id == chosen), next(iter(user.memberships), None)
    )
    return user
