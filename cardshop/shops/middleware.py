"""Gives each request its shop, looked up when first asked for."""

from collections.abc import Callable
from typing import cast

from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from cardshop.shops.errors import ShopClosed
from cardshop.shops.models import Shop
from cardshop.shops.selectors import shop_for_host


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
