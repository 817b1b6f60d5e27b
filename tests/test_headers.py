"""What protects a page comes with every answer: policies, no cookies for buyers, nothing private kept.

The addresses come from the resolver: a new one has to be given a sample in `buyers_pages` or `staff_pages`.
"""

import importlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings
from django.contrib import admin
from django.db import OperationalError, transaction
from django.http import HttpRequest, HttpResponse
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.test import Client
from django.test.utils import override_settings

from cardshop.common.clock import db_now
from cardshop.operations import standing
from cardshop.traffic.shedding import _refuse
from cardshop.traffic.short_way import security_headers
from inventory.models import KeyBatch, ProductImage
from orders.lookup.links import make_link
from orders.models import Order, Ticket
from payments.models import PaymentAttempt, TopUp
from resellers.models import ResellerOrder
from tests.staff import confirmed, make_boss
from tests.test_shops_apart import addresses
from tests.two_shops import fill

pytestmark = pytest.mark.django_db

HOST = "alpha.localhost"
CSP = "Content-Security-Policy"
ALWAYS = {
    "X-Content-Type-Options": {"nosniff"},
    "X-Frame-Options": {"DENY"},
    "Cross-Origin-Opener-Policy": {"same-origin"},
    # The second where the buyer goes to a provider, which may want to know from where.
    "Referrer-Policy": {"same-origin", "strict-origin"},
}
HSTS = "max-age=31536000; includeSubDomains; preload"
OWN, NONE = {"'self'"}, {"'none'"}
# What decides whose script runs, who may frame the page, and where else it may turn.
BUYERS_POLICY = {
    "default-src": NONE,
    "script-src": OWN,
    "style-src": OWN,
    "font-src": OWN,
    "connect-src": OWN,
    "img-src": OWN | {"data:"},
    "base-uri": NONE,
    "frame-ancestors": NONE,
    # To a provider, or to a gateway on the merchant's own machine.
    "form-action": OWN | {"https:", "http://127.0.0.1:*", "http://localhost:*"},
}
# Swagger UI sets style attributes.
API_DOCS_POLICY = BUYERS_POLICY | {"style-src": OWN | {"'unsafe-inline'"}}
STAFF_POLICY = BUYERS_POLICY | {
    "script-src": OWN | {"'unsafe-eval'"},
    "style-src": OWN | {"'unsafe-inline'"},
    "form-action": OWN,
}


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[None]:
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=tmp_path_factory.mktemp("pictures")):
        block = transaction.atomic()
        block._from_testcase = True
        with block:
            yield fill("alpha")
            transaction.set_rollback(True)


@pytest.fixture(scope="module")
def of_production() -> dict[str, Any]:
    """What the production settings say of transport and cookies."""
    with pytest.MonkeyPatch.context() as environment:
        for name in ("SECRET_KEY", "CARD_KEY_KEK", "ALLOWED_HOSTS", "MEDIA_ROOT", "STATIC_ROOT"):
            environment.setenv(name, "x")
        for name, url in {
            "DATABASE": "postgresql",
            "REDIS": "redis",
            "BROKER": "redis",
            "MAIL": "smtp",
        }.items():
            environment.setenv(f"{name}_URL", f"{url}://localhost")
        production = importlib.import_module("cardshop.settings.production")
    return {
        name: value
        for name, value in vars(production).items()
        if name.startswith(("SECURE_", "SESSION_COOKIE_", "CSRF_COOKIE_"))
    }


@pytest.fixture
def production(of_production: dict[str, Any]) -> Iterator[None]:
    with override_settings(**of_production):
        yield


@pytest.fixture(autouse=True)
def _stands_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """How all stands is read in a transaction of its own, which there is none of inside of another."""
    monkeypatch.setattr(standing, "_last", None)  # and put back: this is nobody else's standing
    monkeypatch.setattr(standing, "_read", lambda: standing.Standing(has_postgresql=True, has_redis=True))


def client() -> Client:
    return Client(raise_request_exception=False, HTTP_HOST=HOST, HTTP_X_FORWARDED_PROTO="https")


@pytest.fixture
def staff(shop: None, of_production: dict[str, Any]) -> Iterator[Client]:
    boss = client()
    boss.cookies = confirmed(make_boss()).cookies
    with override_settings(**of_production):
        yield boss


def faults(answer: HttpResponse) -> list[str]:
    """What is missing or too much."""
    path, method = answer.request["PATH_INFO"], answer.request["REQUEST_METHOD"]
    kept, is_staff = answer.headers.get("Cache-Control", ""), path.startswith("/admin/")
    wrong = [name for name, good in ALWAYS.items() if answer.headers.get(name) not in good]
    if answer.headers.get("Strict-Transport-Security") != HSTS:
        wrong.append("Strict-Transport-Security")
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        wrong += policy_faults(answer.headers.get(CSP, ""), policy_of(path))
    if answer.cookies and not is_staff:
        wrong.append("Set-Cookie")
    wrong += [
        name
        for name, cookie in answer.cookies.items()
        if cookie.value and not (cookie["secure"] and cookie["httponly"])
    ]
    if "public" in kept and (is_staff or answer.cookies or "Cookie" in answer.headers.get("Vary", "")):
        wrong.append("Cache-Control: public")
    if not any(word in kept for word in ("no-store", "private", "public")) and method == "GET":
        wrong.append("Cache-Control")
    return [f"{method} {path} {answer.status_code}: {name}" for name in wrong]


def policy_of(path: str) -> dict[str, set[str]]:
    if path.startswith("/admin/"):
        return STAFF_POLICY
    return API_DOCS_POLICY if path == "/api/docs/" else BUYERS_POLICY


def policy_faults(policy: str, wanted: dict[str, set[str]]) -> list[str]:
    said = {name: set(sources) for name, *sources in (part.split() for part in policy.split(";") if part)}
    # What needs nothing looser in the administration has what buyers get.
    return [
        f"{CSP}: {name}"
        for name, sources in wanted.items()
        if said.get(name) not in (sources, BUYERS_POLICY[name])
    ]


def routes() -> set[str]:
    """Every address but those of the models' own pages, of which two stand for all."""
    of_models = tuple(
        f"/admin/{model._meta.app_label}/{model._meta.model_name}/" for model in admin.site._registry
    )
    return {route for route in addresses() if not route.startswith(of_models)}


def buyers_pages() -> dict[str, str]:
    order = Order.objects.get(contact_email="buyer@alpha.example")
    ticket = Ticket.objects.get()
    attempt = PaymentAttempt.objects.get(payment__order=order)
    link = make_link(shop_id=order.shop_id, contact_email=order.contact_email, now=db_now())
    theirs, api = f"/o/{order.token}/", f"/api/v1/orders/{order.token}/"
    asked = f"/api/reseller/v1/orders/{ResellerOrder.objects.get().number}/"
    webhooks = "/api/reseller/v1/webhooks/"
    top_up = TopUp.objects.get(order__shop=order.shop_id).order.number
    line = f"{ticket.variant.code}/{ticket.ticket_id}/"
    own, batch = "/api/merchant/v1/", KeyBatch.objects.earliest("pk")
    theirs_there, coins = f"{own}orders/{order.number}/", f"{own}variants/alpha-coins/"
    return {
        "/healthz": "/healthz",
        "/readyz": "/readyz",
        "/robots.txt": "/robots.txt",
        "/sitemap.xml": "/sitemap.xml",
        "/media/products/<slug:digest>.<slug:suffix>": ProductImage.objects.get().file.url,
        "/": "/",
        "/c/<slug:slug>/": "/c/alpha-cards/",
        "/p/<slug:slug>/": "/p/alpha-coins/",
        "/search/": "/search/?q=alpha",
        "/buy/<slug:code>/": "/buy/alpha-coins/",
        "/line/<slug:code>/<slug:ticket_id>/": f"/line/{line}",
        "/line/<slug:code>/<slug:ticket_id>/leave/": f"/line/{line}leave/",
        "/orders/": "/orders/",
        "/orders/mail/": "/orders/mail/",
        "/orders/mail/<slug:link>/<slug:number>/": f"/orders/mail/{link}/{order.number}/",
        "/o/<slug:token>/": theirs,
        "/o/<slug:token>/pay/": f"{theirs}pay/",
        "/o/<slug:token>/cancel/": f"{theirs}cancel/",
        "/o/<slug:token>/contact/": f"{theirs}contact/",
        "/o/<slug:token>/mail/": f"{theirs}mail/",
        "/o/<slug:token>/password/": f"{theirs}password/",
        "/o/<slug:token>/keys.txt": f"{theirs}keys.txt",
        "/pay/notify/<slug:channel_slug>/": "/pay/notify/alpha-pay/",
        "/pay/return/<slug:out_trade_no>/": f"/pay/return/{attempt.out_trade_no}/",
        "/pay/wechat/": "/pay/wechat/?state=x&code=y",
        "/api/schema/": "/api/schema/",
        "/api/docs/": "/api/docs/",
        "/api/v1/products/": "/api/v1/products/",
        "/api/v1/products/<slug:slug>/": "/api/v1/products/alpha-coins/",
        "/api/v1/passes/": "/api/v1/passes/",
        "/api/v1/tickets/": "/api/v1/tickets/",
        "/api/v1/tickets/<slug:code>/<slug:ticket_id>/": f"/api/v1/tickets/{line}",
        "/api/v1/orders/": "/api/v1/orders/",
        "/api/v1/orders/<slug:token>/": api,
        "/api/v1/orders/<slug:token>/payments/": f"{api}payments/",
        "/api/v1/orders/<slug:token>/cancel/": f"{api}cancel/",
        "/api/v1/orders/<slug:token>/contact/": f"{api}contact/",
        "/api/v1/orders/<slug:token>/keys/": f"{api}keys/",
        **{
            f"/reseller/{page}": f"/reseller/{page}"
            for page in (
                *[
                    "",
                    "pay-in/",
                    "statement.csv",
                    "log-in/",
                    "log-out/",
                    "confirm/",
                    "enter/",
                    "keys/",
                    "keys/new/",
                    "orders/",
                ],
                *["webhooks/", "webhooks/new/", "members/", "members/new/"],
            )
        },
        **{
            f"/reseller/{kind}/<{converter}>/{what}": f"/reseller/{kind}/{value}/{what}"
            for kind, converter, value, whats in (
                ("enter", "slug:code", "2222222222", [""]),
                ("keys", "slug:name", "ck_x", ["follow/", "revoke/"]),
                ("orders", "slug:number", "2222", ["", "keys/"]),
                ("webhooks", "slug:name", "wk_x", ["", "pause/", "resume/", "remove/"]),
                ("webhooks/deliveries", "uuid:uid", str(uuid4()), ["again/"]),
                ("members", "int:pk", "1", ["remove/"]),
            )
            for what in whats
        },
        "/api/reseller/v1/account/": "/api/reseller/v1/account/",
        "/api/reseller/v1/account/encryption-key/": "/api/reseller/v1/account/encryption-key/",
        "/api/reseller/v1/account/entries/": "/api/reseller/v1/account/entries/",
        "/api/reseller/v1/account/statement.csv": "/api/reseller/v1/account/statement.csv",
        "/api/reseller/v1/account/top-ups/": "/api/reseller/v1/account/top-ups/",
        "/api/reseller/v1/account/top-ups/<slug:number>/": f"/api/reseller/v1/account/top-ups/{top_up}/",
        "/api/reseller/v1/orders/": "/api/reseller/v1/orders/",
        "/api/reseller/v1/orders/batch/": "/api/reseller/v1/orders/batch/",
        "/api/reseller/v1/orders/<slug:number>/": asked,
        "/api/reseller/v1/orders/<slug:number>/keys/": f"{asked}keys/",
        "/api/reseller/v1/orders/<slug:number>/cancel/": f"{asked}cancel/",
        "/api/reseller/v1/orders/<slug:number>/claims/": f"{asked}claims/",
        "/api/reseller/v1/claims/": "/api/reseller/v1/claims/",
        "/api/reseller/v1/products/": "/api/reseller/v1/products/",
        "/api/reseller/v1/products/<slug:slug>/": "/api/reseller/v1/products/alpha-coins/",
        "/api/reseller/v1/stock/": "/api/reseller/v1/stock/?codes=alpha-coins",
        "/api/reseller/v1/quotes/": "/api/reseller/v1/quotes/",
        "/api/reseller/v1/events/": "/api/reseller/v1/events/",
        "/api/reseller/v1/webhooks/": "/api/reseller/v1/webhooks/",
        "/api/reseller/v1/webhooks/deliveries/": "/api/reseller/v1/webhooks/deliveries/",
        "/api/reseller/v1/webhooks/deliveries/<uuid:uid>/replay/": f"{webhooks}deliveries/{uuid4()}/replay/",
        "/api/reseller/v1/webhooks/<slug:key>/": f"{webhooks}wk_x/",
        "/api/reseller/v1/webhooks/<slug:key>/pause/": f"{webhooks}wk_x/pause/",
        "/api/reseller/v1/webhooks/<slug:key>/resume/": f"{webhooks}wk_x/resume/",
        "/api/merchant/v1/products/": f"{own}products/",
        "/api/merchant/v1/products/<slug:slug>/": f"{own}products/alpha-coins/",
        "/api/merchant/v1/variants/": f"{own}variants/",
        "/api/merchant/v1/variants/<slug:code>/": coins,
        "/api/merchant/v1/variants/<slug:code>/stock/": f"{coins}stock/",
        "/api/merchant/v1/variants/<slug:code>/imports/": f"{coins}imports/",
        "/api/merchant/v1/imports/": f"{own}imports/",
        "/api/merchant/v1/imports/<int:pk>/": f"{own}imports/{batch.pk}/",
        "/api/merchant/v1/imports/<int:pk>/left-out/": f"{own}imports/{batch.pk}/left-out/",
        "/api/merchant/v1/orders/": f"{own}orders/",
        "/api/merchant/v1/orders/<slug:number>/": theirs_there,
        "/api/merchant/v1/orders/<slug:number>/fill-in/": f"{theirs_there}fill-in/",
        "/api/merchant/v1/orders/<slug:number>/corrections/": f"{theirs_there}corrections/",
        "/api/merchant/v1/orders/<slug:number>/replacements/": f"{theirs_there}replacements/",
        "/api/merchant/v1/orders/<slug:number>/refunds/": f"{theirs_there}refunds/",
        "/api/merchant/v1/orders/<slug:number>/help/<slug:kind>/": f"{theirs_there}help/mail/",
        "/api/merchant/v1/refunds/": f"{own}refunds/",
        "/api/merchant/v1/refunds/<slug:number>/": f"{own}refunds/alpha-refund/",
        "/api/merchant/v1/card-keys/<int:pk>/reveal/": f"{own}card-keys/1/reveal/",
        "/api/merchant/v1/key-requests/<int:pk>/reveal/": f"{own}key-requests/1/reveal/",
        "/api/merchant/v1/statistics/days/": f"{own}statistics/days/",
    }


def staff_pages() -> dict[str, str]:
    plain = ["code", "confirm", "enrol", "shop", "first-steps", "operations", "operations/numbers"]
    plain += ["search", "login", "password_change", "password_change/done", "autocomplete", "jsi18n"]
    batch = f"/admin/inventory/keybatch/{KeyBatch.objects.earliest('pk').pk}"
    return {
        "/admin/": "/admin/",
        **{f"/admin/{name}/": f"/admin/{name}/" for name in plain},
        "/admin/welcome/<uidb64>/<token>/": "/admin/welcome/MQ/none/",
        "/admin/r/<path:content_type_id>/<path:object_id>/": "/admin/r/1/1/",
        "/admin/(?P<url>.*)$": "/admin/nothing/",
        "list": "/admin/orders/order/",
        "form": "/admin/inventory/product/add/",
        "csv": f"{batch}/left-out/",
    }


def test_every_address_has_a_sample(shop):
    pages = buyers_pages() | staff_pages()
    # These are walked below, in tests of their own.
    elsewhere = {"/metrics", "/admin/logout/"}
    apps = {route for route in routes() if "(?P<app_label>" in route}

    assert routes() - apps - elsewhere == pages.keys() - {"list", "form", "csv"}


def test_pages_and_answers_for_buyers(shop, production):
    buyer, found, told = client(), [], set()
    for path in buyers_pages().values():
        for answer in (buyer.get(path), buyer.post(path), buyer.post(path, {"foreign": "1"})):
            found += faults(answer)
            told.add(answer.status_code)
        if not path.startswith(("/api/", "/pay/", "/media/")) and path.endswith("/"):
            found += faults(buyer.get(f"/en{path}"))

    assert found == [], "\n".join(found)
    assert {200, 302, 400, 404, 405, 415} <= told < set(range(500))


def test_pages_of_the_administration(staff):
    found = []
    for path in staff_pages().values():
        for answer in (staff.get(path), client().get(path)):
            found += faults(answer)
    page = staff.get(staff_pages()["csv"])

    assert found == [], "\n".join(found)
    assert (page.status_code, page["Content-Type"]) == (200, "text/csv; charset=utf-8")
    assert "no-store" in page["Cache-Control"]
    assert faults(staff.post("/admin/logout/")) == []


def test_keys_are_never_kept(shop, production):
    for path in ("keys.txt", ""):
        page = client().get(f"/o/{Order.objects.get(contact_email='buyer@alpha.example').token}/{path}")
        assert page.status_code == 200
        assert "no-store" in page["Cache-Control"]


def raising(error: Exception) -> Any:
    def view(*args: object, **names: object) -> None:
        raise error

    return view


def test_refusals_and_outages(shop, production, monkeypatch, settings):
    settings.ACTIONS_AT_ONCE, settings.ACTIONS_PER_SECOND, settings.BODY_LIMIT = 1, 0.001, 1000
    buyer = client()
    refused = {
        400: buyer.get("/", HTTP_HOST="elsewhere.example"),
        403: buyer.post("/buy/alpha-coins/", HTTP_SEC_FETCH_SITE="cross-site"),
        404: buyer.get("/nothing/"),
        405: buyer.post("/"),
        413: buyer.post("/buy/alpha-coins/", {"x": "y" * 2000}),
        429: [buyer.post(f"/o/{'A' * 22}/mail/", REMOTE_ADDR="203.0.114.9") for _twice in range(2)][1],
    }
    for status, error in {500: RuntimeError(), 503: OperationalError()}.items():
        monkeypatch.setattr("payments.checkout.views._page", raising(error))
        refused[status] = buyer.get(f"/o/{'A' * 22}/")

    assert {status: answer.status_code for status, answer in refused.items()} == {
        each: each for each in refused
    }
    assert [fault for answer in refused.values() for fault in faults(answer)] == []


def test_whoever_is_locked_out_is_told_with_the_same_care(shop, production):
    wrong = {"username": "owner-of-alpha", "password": "wrong"}
    answers = [client().post("/admin/login/", wrong) for _try in range(settings.AXES_FAILURE_LIMIT + 1)]

    assert answers[-1].status_code == 429
    assert [fault for answer in answers for fault in faults(answer)] == []


def test_answers_in_front_of_django_have_the_headers_that_django_adds(production):
    security_headers.cache_clear()
    secure = SecurityMiddleware(lambda request: HttpResponse())
    request = HttpRequest()
    request.META = {"HTTP_X_FORWARDED_PROTO": "https"}
    of_django = XFrameOptionsMiddleware(secure)(request).headers

    try:
        assert dict(security_headers()).items() == dict(of_django).items() - {
            ("Content-Type", of_django["Content-Type"])
        }
    finally:
        security_headers.cache_clear()


def test_a_page_that_is_turned_away_has_its_policy():
    said = {}
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    _refuse(environ, lambda status, headers: said.update(headers))

    assert policy_faults(said[CSP], BUYERS_POLICY) == []
    assert dict(security_headers()).items() <= said.items()


def test_figures_for_prometheus(production, settings):
    settings.METRICS_TOKEN = "t" * 32
    answer = client().get("/metrics", HTTP_AUTHORIZATION=f"Bearer {settings.METRICS_TOKEN}")

    assert (answer.status_code, faults(answer)) == (200, [])


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("cardshop.traffic.middleware.PagePolicyMiddleware", f"{CSP}: script-src"),
        ("django.middleware.security.SecurityMiddleware", "X-Content-Type-Options"),
        ("django.middleware.clickjacking.XFrameOptionsMiddleware", "X-Frame-Options"),
    ],
)
def test_control_without_its_middleware_it_is_missed(shop, production, without, missing):
    with override_settings(MIDDLEWARE=[name for name in settings.MIDDLEWARE if name != without]):
        found = faults(client().get("/"))

    assert f"GET / 200: {missing}" in found


def test_control_cookies_without_their_flags_are_missed(shop, production):
    with override_settings(CSRF_COOKIE_SECURE=False):
        found = faults(client().get("/admin/login/"))

    assert found == ["GET /admin/login/ 200: csrftoken"]


def test_control_a_looser_policy_is_missed():
    assert policy_faults("script-src 'self' 'unsafe-inline'", {"script-src": OWN}) == [f"{CSP}: script-src"]
    assert policy_faults("script-src 'self' cdn.example", {"script-src": OWN}) == [f"{CSP}: script-src"]
    assert policy_faults("", {"script-src": OWN}) == [f"{CSP}: script-src"]
