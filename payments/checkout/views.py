"""The order page: countdown, payment, cancelling, the keys. Whoever has the link may do all of it."""

from collections.abc import Callable
from itertools import chain

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import translation
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from cardshop.common.clock import db_now
from cardshop.common.errors import DomainError, NotHere
from cardshop.shops.middleware import shop_of
from cardshop.traffic.actions import counted
from cardshop.traffic.same_origin import View, same_origin
from inventory.models import Product
from orders.inputs import ContactInput
from orders.lookup.inputs import PasswordInput
from orders.lookup.limits import count_password
from orders.lookup.passwords import set_password
from orders.models import Order
from orders.selectors import bought_products, order_by_token
from orders.services.contact import correct_contact
from orders.services.resending import resend_mail
from orders.services.revealing import closed_keys, keys_for_buyer
from payments.checkout.cancelling import cancel_order
from payments.checkout.in_wechat import (
    channels_after,
    channels_to_try,
    forget_visit,
    is_in_wechat,
    payer_and_channels,
    to_login,
    visit_of,
)
from payments.checkout.inputs import PayInput
from payments.checkout.keys_file import keys_file
from payments.checkout.limits import count_press
from payments.checkout.pages import OrderState, order_state
from payments.checkout.paying import pay, remember_return
from payments.errors import UnknownCode, UnknownMethod
from payments.models import PaymentAttempt
from payments.selectors import return_path, to_scan
from payments.services.polling import ask_soon


def order_action(view: Callable[[HttpRequest, str], HttpResponse]) -> View[[str]]:
    """What one may do with an order's link, by POST. Whoever comes by GET finds the order."""

    def act(request: HttpRequest, /, token: str) -> HttpResponse:
        if request.method != "POST":
            return redirect("order", token=token)
        return view(request, token)

    return never_cache(same_origin(counted(require_http_methods(["GET", "HEAD", "POST"])(act))))


@never_cache
@require_safe
def order(request: HttpRequest, token: str) -> HttpResponse:
    return _page(request, token)


@order_action
def order_pay(request: HttpRequest, token: str) -> HttpResponse:
    """Off to the provider, or back to the page with the reason why not."""
    bought = order_by_token(shop_of(request), token)
    wanted = PayInput(data=request.POST.dict())
    if not wanted.is_valid():
        refusal = UnknownCode() if set(wanted.errors) == {"code"} else UnknownMethod()
        return _page(request, token, refusal=refusal)
    chosen = wanted.validated_data
    try:
        channels = channels_to_try(request, bought, chosen["method"])
        if channels and (login := to_login(request, bought, channels[0])):
            return login
        attempt = pay(request, bought, chosen["method"], code=chosen["code"], channels=channels)
    except DomainError as refusal:
        return _page(request, token, refusal=refusal)
    return _off_to(bought, attempt)


@never_cache
@require_safe
def pay_in_wechat(request: HttpRequest) -> HttpResponse:
    """Where WeChat's login sends the buyer back to: now that it is known who pays, the payment can begin."""
    visit = visit_of(request)
    bought = order_by_token(shop_of(request), visit.order_token)
    with translation.override(bought.language):
        try:
            count_press(request, bought)
            payer, channels = payer_and_channels(request, channels_after(visit, bought))
            attempt = pay(request, bought, channels[0].method, channels=channels, payer=payer)
        except DomainError as refusal:
            response = _page(request, bought.token, refusal=refusal)
        else:
            response = _off_to(bought, attempt)
            if not attempt.pay_url:
                # Browsers carry the fragment of a login's address along to here, unless there is another.
                response["Location"] += "#in-app"
    forget_visit(response)
    return response


@order_action
def order_cancel(request: HttpRequest, token: str) -> HttpResponse:
    bought = order_by_token(shop_of(request), token)
    try:
        cancel_order(bought, now=db_now())
    except DomainError as refusal:
        return _page(request, token, refusal=refusal)
    return _back_to(bought)


@order_action
def order_contact(request: HttpRequest, token: str) -> HttpResponse:
    bought = order_by_token(shop_of(request), token)
    wanted = ContactInput(data=request.POST.dict())
    if not wanted.is_valid():
        return _page(request, token, errors=wanted.errors)
    try:
        correct_contact(bought, now=db_now(), **wanted.validated_data)
    except DomainError as refusal:
        return _page(request, token, refusal=refusal)
    return _back_to(bought)


@order_action
def order_mail(request: HttpRequest, token: str) -> HttpResponse:
    """The delivery's mail again."""
    bought = order_by_token(shop_of(request), token)
    try:
        resend_mail(bought, now=db_now())
    except DomainError as refusal:
        return _page(request, token, refusal=refusal)
    return _back_to(bought, "?done=mail#contact")


@order_action
def order_password(request: HttpRequest, token: str) -> HttpResponse:
    """The password that opens the order with its number."""
    bought = order_by_token(shop_of(request), token)
    wanted = PasswordInput(data=request.POST.dict())
    if not wanted.is_valid():
        return _page(request, token, password_errors=[*chain.from_iterable(wanted.errors.values())])
    try:
        count_password(request, bought)
        set_password(bought, wanted.validated_data["password"], now=db_now())
    except DomainError as refusal:
        return _page(request, token, refusal=refusal)
    return _back_to(bought, "?done=password#find-again")


@never_cache
@require_safe
def order_keys(request: HttpRequest, token: str) -> HttpResponse:
    """The keys as a file. Before they are delivered there is none, but there is the order."""
    now = db_now()
    state = order_state(shop_of(request), token, now)
    if not state.has_keys:
        return _back_to(state.order)
    return HttpResponse(
        keys_file(state.order, keys_for_buyer(state.order, now=now)),
        content_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{state.order.number}.txt"'},
    )


@never_cache
@require_safe
def pay_return(request: HttpRequest, out_trade_no: str) -> HttpResponse:
    """Where the provider sends the buyer back to.

    The address holds no secret, since the provider knows it; the cookie set when the buyer left leads
    to the order. A browser without it (the provider's app) is told to go back to the shop's page.
    """
    back = return_path(shop_of(request), out_trade_no)
    if back is None:
        raise NotHere
    ask_soon(back.attempt_id, db_now())
    with translation.override(back.order_language):
        if request.COOKIES.get("order") == back.order_token:
            return redirect("order", token=back.order_token)
        return render(request, "payments/returned.html", {"shop": shop_of(request)})


def _off_to(bought: Order, attempt: PaymentAttempt) -> HttpResponse:
    """To the provider's page, or else back to ours, which shows what to scan or opens the app."""
    response = redirect(attempt.pay_url) if attempt.pay_url else _back_to(bought)
    response.status_code = 303
    if attempt.pay_url:
        # WeChat lets nobody pass who comes from nowhere. Of the order's page, it learns the host and no more.
        response["Referrer-Policy"] = "strict-origin"
    remember_return(response, bought, attempt)
    return response


def _back_to(bought: Order, part: str = "") -> HttpResponse:
    response = redirect(reverse("order", args=[bought.token]) + part)
    response.status_code = 303
    return response


def _page(
    request: HttpRequest,
    token: str,
    *,
    refusal: DomainError | None = None,
    errors: dict[str, list[str]] | None = None,
    password_errors: list[str] | None = None,
) -> HttpResponse:
    now = db_now()
    state = order_state(shop_of(request), token, now)
    lines = keys_for_buyer(state.order, now=now) if state.has_keys else []
    in_wechat = is_in_wechat(request)
    context = {
        "shop": state.order.shop,
        "state": state,
        "order": state.order,
        "lines": lines,
        "closed": closed_keys(lines),
        "products": _bought(state) if state.is_paid or state.has_keys else [],
        "refusal": refusal,
        "errors": errors or {},
        "password_errors": password_errors,
        "scan": to_scan(state.order, in_wechat=in_wechat) if state.can_cancel else None,
        "in_wechat": in_wechat,
        "code_for": _code_for(request, refusal) if state.can_pay else "",
        "has_alipay": any(way.method == "alipay" for way in state.ways),
        "api": reverse("api_order", args=[token]),
    }
    status = 400 if errors or password_errors else refusal.http_status if refusal else 200
    response = render(request, "payments/order.html", context, status=status)
    if refusal and refusal.retry_after is not None:
        response["Retry-After"] = str(refusal.retry_after)
    return response


def _bought(state: OrderState) -> list[Product]:
    return bought_products([state.order.pk]).get(state.order.pk, [])


def _code_for(request: HttpRequest, refusal: DomainError | None) -> str:
    """The method whose code is being entered. Nothing refreshes the page under the buyer's hands then."""
    if refusal and refusal.field == "code":
        return str(request.POST.get("method", ""))
    return str(request.GET.get("by", ""))
