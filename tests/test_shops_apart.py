"""A merchant sees and changes only their own: every address of the administration is tried with the rows of
another shop.

The addresses come from the resolver, so that a page of tomorrow is tried too; what it needs in its address
stands in `filled`.
"""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection, transaction
from django.db.models import Model
from django.forms import FileField, ModelChoiceField
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext, override_settings
from django.urls import get_resolver, reverse
from django_otp.plugins.otp_totp.models import TOTPDevice

from cardshop.common.clock import db_now
from cardshop.shops.models import Role
from inventory.models import KeyBatch, Product, Variant
from orders.lookup.links import make_link
from orders.models import Order, Ticket, Wave
from payments.models import PaymentAttempt
from resellers.models import WebhookDelivery, WebhookEndpoint
from tests.edited_lists import shown_of
from tests.staff import confirmed, logged_in, make_boss, make_device, make_member
from tests.two_shops import (
    crossings,
    fill,
    names_of,
    our_models,
    pages,
    rows_of,
    snapshot,
    tell_history_of,
)

pytestmark = pytest.mark.django_db

REFUSED = {403, 404}
NO_SUCH_METHOD = 405


class World:
    """Shop A, which the tests look at as its owner, and shop B, of which nothing may be seen."""

    def __init__(self) -> None:
        self.a, self.b = fill("alpha"), fill("beta")
        self.rows_a, self.rows_b = rows_of(self.a), rows_of(self.b)
        tell_history_of(self.rows_b, "beta")
        self.names_a, self.names_b = names_of(self.a), names_of(self.b)
        ours, theirs = self.names_a - self.names_b, self.names_b - self.names_a
        self.names_a, self.names_b = ours, {*theirs, "beta-history", "beta-field", "beta-boss"}
        Group.objects.create(name="beta-group")
        make_device(User.objects.get(username="owner-of-beta"))

    def leaks(self, answer: HttpResponse, *, besides: str = "") -> list[str]:
        """The names of B in the answer, but for what the question itself said."""
        text = answer.content.decode()
        return [name for name in sorted(self.names_b) if name in text and name not in besides]


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: Any) -> Iterator[World]:
    """Filled once, and rolled back at the end; what a test does is rolled back after it."""
    pictures = tmp_path_factory.mktemp("pictures")
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=pictures):
        block = transaction.atomic()
        block._from_testcase = True
        with block:
            yield World()
            transaction.set_rollback(True)


@pytest.fixture
def owner(world: World) -> Client:
    """Of A, with a fresh code."""
    return confirmed(User.objects.get(username="owner-of-alpha"))


def test_both_shops_have_a_row_of_every_model(world):
    for rows in (world.rows_a, world.rows_b):
        assert [model.__name__ for model in our_models() if not rows[model]] == []
    assert len(world.names_b) > 50
    assert crossings() == []


# Every address


def addresses(patterns: Any = None, before: str = "") -> Iterator[str]:
    for pattern in patterns or get_resolver().url_patterns:
        route = before + str(pattern.pattern)
        if hasattr(pattern, "url_patterns"):
            yield from addresses(pattern.url_patterns, route)
        else:
            yield "/" + route


ADMIN = sorted(route for route in addresses() if route.startswith("/admin/"))
PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
ONE_ROW = {"object_id", "pk", "id"}


def filled(route: str, world: World) -> str:
    """The address with what is B's in the place of its parameters."""
    model = model_of(route)
    said = {
        "kind": "order",
        "remedy": "deliver",
        "wave_pk": world.rows_b[Wave][0].pk,
        "uidb64": "MQ",
        "token": "none",
        "content_type_id": 1,
    }
    if model is not None:
        row = world.rows_b.get(model, [None])[0] or model._default_manager.last()
        said |= dict.fromkeys(ONE_ROW, row.pk)
        if "/orderitem/order/" in route:  # lines are filled in on the page of their order
            said["pk"] = world.rows_b[Order][0].pk
    else:
        said |= dict.fromkeys(ONE_ROW, world.rows_b[Order][0].pk)
    for name in PARAMETER.findall(route):
        assert name in said, f"Say in `filled` what stands for <{name}> in {route}"
    return PARAMETER.sub(lambda found: str(said[found.group(1)]), route)


def model_of(route: str) -> type[Model] | None:
    return next(
        (
            model
            for model in admin.site._registry
            if route.startswith(f"/admin/{model._meta.app_label}/{model._meta.model_name}/")
        ),
        None,
    )


ROUTES = [route for route in ADMIN if "(?P" not in route]
OF_ONE_ROW = [route for route in ROUTES if ONE_ROW & set(PARAMETER.findall(route))]
OTHERS = [route for route in ROUTES if route not in OF_ONE_ROW and "welcome" not in route]
# Django's own, from an address of before to the page of the row.
FORWARDS = re.compile(r"^/admin/\w+/\w+/<path:object_id>/$")


def test_there_are_addresses_to_try():
    assert len(OF_ONE_ROW) > 80
    assert "/admin/orders/order/<int:pk>/refund/" in OF_ONE_ROW
    assert "/admin/orders/order/attention/<slug:kind>/<int:pk>/<slug:remedy>/" in OF_ONE_ROW
    assert "/admin/inventory/keybatch/import/" in OTHERS


def test_no_page_of_a_row_of_another_shop_opens_or_takes_a_form(world, owner):
    before = snapshot(world.rows_b)
    for route in OF_ONE_ROW:
        address = filled(route, world)
        got, posted = owner.get(address), owner.post(address, {"post": "yes", "why": "x", "what": "x"})
        told = {got.status_code, posted.status_code} - {NO_SUCH_METHOD}
        if FORWARDS.search(route):  # to the page of the row
            assert told == {302}, address
        else:
            assert told, address
            assert told <= REFUSED, (address, told)
        assert world.leaks(got) + world.leaks(posted) == [], address
    assert snapshot(world.rows_b) == before


def test_the_same_addresses_open_for_the_rows_of_ones_own(world, owner):
    """Control: they are refused for whose they are, and not for how they are asked."""
    opened = [
        model._meta.label
        for model, page in pages().items()
        if any(
            owner.get(change_page(model, row), follow=True).status_code == 200 for row in world.rows_a[model]
        )
    ]
    assert opened == [model._meta.label for model in pages()]


def change_page(model: type[Model], row: Model) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_change", args=[row.pk])


def list_page(model: type[Model]) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def test_no_other_page_names_anything_of_another_shop(world, owner):
    told = []
    for route in OTHERS:
        answer = owner.get(route)
        assert world.leaks(answer) == [], route
        assert answer.status_code in {200, 302, 403, 404, 405}, route
        told += [route] if answer.status_code == 200 else []
    assert {"/admin/", "/admin/inventory/keybatch/import/", "/admin/orders/order/attention/"} <= set(told)


def test_lists_show_the_rows_of_ones_own_shop(world, owner):
    """Control: they are not merely empty."""
    for model in pages():
        page = owner.get(list_page(model)).content.decode()
        assert any(change_page(model, row) in page for row in world.rows_a[model]), model


def questions(page: Any, world: World) -> Iterator[dict[str, Any]]:
    """What may be asked of a list, with what is B's."""
    theirs = world.rows_b[page.model][0]
    yield {"pk__in": theirs.pk, "_to_field": "id", "_popup": "1"}
    if page.search_fields:
        yield from ({"q": name, "_facets": "True"} for name in (f"{theirs}", "beta"))
    for entry in page.get_list_filter(None):
        if isinstance(entry, tuple):
            field = page.model._meta.get_field(entry[0])
            related = world.rows_b[field.related_model][0]
            yield {f"{entry[0]}__{field.target_field.name}__exact": related.pk}


def test_no_search_filter_or_popup_of_a_list_finds_anything_of_another_shop(world, owner):
    asked = 0
    for model, page in pages().items():
        for question in questions(page, world):
            address = f"{list_page(model)}?{urlencode(question)}"
            answer = owner.get(address)
            asked += 1
            assert world.leaks(answer, besides=str(question.get("q", ""))) == [], address
            assert change_page(model, world.rows_b[model][0]) not in answer.content.decode(), address
    assert asked > 60


def test_no_field_is_completed_with_anything_of_another_shop(world, owner):
    found = 0
    for model in admin.site._registry:
        for field in [*model._meta.fields, *model._meta.many_to_many]:
            if not field.is_relation:
                continue
            asked = {
                "app_label": model._meta.app_label,
                "model_name": model._meta.model_name,
                "field_name": field.name,
            }
            for term in ("", "beta"):
                answer = owner.get(reverse("admin:autocomplete"), {**asked, "term": term})
                assert world.leaks(answer) == [], asked
                found += len(answer.json()["results"]) if answer.status_code == 200 else 0
    assert found > 0


# What is sent


def test_no_action_reaches_a_row_of_another_shop(world, owner):
    before = snapshot(world.rows_b)
    tried = []
    for model, page in pages().items():
        request = owner.get(list_page(model)).wsgi_request
        for name in page.get_actions(request):
            chosen = [row.pk for row in world.rows_b[model]]
            for more in ({}, {"select_across": "1"}):
                answer = owner.post(
                    f"{list_page(model)}?{urlencode({'id__exact': chosen[0]})}",
                    {"action": name, "_selected_action": chosen, "post": "yes", "index": "0", **more},
                )
                assert not world.leaks(answer), (model, name)
                tried.append((model.__name__, name))
    assert ("OutboxMessage", "try_again") in tried
    assert ("Product", "delete_selected") in tried
    assert snapshot(world.rows_b) == before


def test_no_list_that_can_be_edited_writes_a_row_of_another_shop(world, owner):
    before = snapshot(world.rows_b)
    tried = 0
    for model, page in pages().items():
        if not page.list_editable:
            continue
        row = world.rows_b[model][0]
        form = {"form-TOTAL_FORMS": 1, "form-INITIAL_FORMS": 1, "form-0-id": row.pk, "_save": "Save"}
        form |= shown_of(row, *page.list_editable)
        owner.post(list_page(model), form | {f"form-0-{name}": "7" for name in page.list_editable})
        tried += 1
    assert tried >= 3
    assert snapshot(world.rows_b) == before


def form_data(form: Any) -> dict[str, Any]:
    """What a browser would send back of a form as it is."""
    data = {}
    for bound in form:
        value = bound.value()
        widget = bound.field.widget
        if hasattr(widget, "decompress") and not isinstance(value, list):
            data |= {
                f"{bound.html_name}_{at}": part for at, part in enumerate(widget.decompress(value)) if part
            }
        elif value not in (None, False) and not isinstance(bound.field, FileField):
            data[bound.html_name] = "on" if value is True else value
    return data


def sent_back(answer: HttpResponse) -> tuple[dict[str, Any], dict[str, Any]]:
    """The data of a page's forms, and the fields that choose a row, by their names."""
    forms = [answer.context["adminform"].form]
    data: dict[str, Any] = {}
    for inline in answer.context["inline_admin_formsets"]:
        data |= form_data(inline.formset.management_form)
        forms += inline.formset.forms
    choosing = {}
    for form in forms:
        data |= form_data(form)
        choosing |= {
            form.add_prefix(name): field
            for name, field in form.fields.items()
            if isinstance(field, ModelChoiceField)
        }
    return data, choosing


def test_no_form_offers_or_takes_a_row_of_another_shop(world, owner):
    """Forms of A's rows and of new ones, with B's in the place of whatever they choose, inlines and all."""
    before = snapshot(world.rows_b)
    tried = set()
    for model in pages():
        add = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_add")
        for address in (change_page(model, world.rows_a[model][0]), add, f"{add}?driver=epay_v1"):
            answer = owner.get(address)
            assert not world.leaks(answer), address
            if answer.status_code != 200 or "adminform" not in (answer.context or {}):
                continue
            data, choosing = sent_back(answer)
            for name, field in choosing.items():
                theirs = world.rows_b.get(field.queryset.model)
                if not name.endswith("-id"):  # of the rows that an inline writes, which are never listed
                    offered = set(field.queryset.values_list("pk", flat=True))
                    assert theirs is None or not offered & {row.pk for row in theirs}, (address, name)
                answer = owner.post(address, {**data, name: theirs[0].pk if theirs else "1"})
                assert not world.leaks(answer), (address, name)
                tried.add(f"{model.__name__}.{name}")
    assert {"Product.category", "Product.variants-0-id", "Variant.product", "Sale.variant"} <= tried
    assert crossings() == []
    assert snapshot(world.rows_b) == before


def test_hand_written_forms_take_no_row_of_another_shop(world, owner):
    before = snapshot(world.rows_b)
    variant = world.rows_b[Variant][0]
    answer = owner.post("/admin/inventory/keybatch/import/", {"variant": variant.pk, "keys": "STOLEN-KEY"})
    assert (answer.status_code, world.leaks(answer)) == (200, [])
    opening = {
        "shop": world.b.pk,
        "holder": "Lin",
        "currency": "CNY",
        "amount": "5",
        "reason": "x",
        "reference": "x",
    }
    answer = owner.post("/admin/payments/balance/add/", opening)
    assert (answer.status_code, world.leaks(answer)) == (200, [])
    assert owner.post("/admin/shop/", {"shop": world.b.pk}).status_code == 404
    assert snapshot(world.rows_b) == before
    assert {model: len(rows) for model, rows in rows_of(world.b).items()} == {
        model: len(rows) for model, rows in world.rows_b.items()
    }


@pytest.mark.parametrize("role", [role for role in Role if role != Role.OWNER])
def test_no_role_sees_more_than_its_shop(world, role):
    """What is narrowed down does not ask for the role; a page that does may have forgotten it."""
    person = logged_in(make_member(world.a, role, username=f"{role}-tries"))
    for address in ("/admin/", "/admin/orders/order/attention/", list_page(Order), list_page(Product)):
        assert world.leaks(person.get(address)) == [], address


def test_who_is_in_both_shops_sees_one_at_a_time(world, owner):
    user = User.objects.get(username="owner-of-alpha")
    make_member(world.b, Role.VIEWER, username=user.username)
    orders = list_page(Order)
    assert "buyer@alpha.example" in owner.get(orders).content.decode()
    assert world.leaks(owner.get(orders)) in ([], ["beta-shop"])

    assert owner.post("/admin/shop/", {"shop": world.b.pk}).status_code == 302

    page = owner.get(orders).content.decode()
    assert "buyer@beta.example" in page
    assert "alpha.example" not in page
    assert owner.get("/admin/shops/membership/").status_code == 403
    assert owner.post(change_page(Order, world.rows_a[Order][0])).status_code in REFUSED


def test_what_is_for_those_who_run_the_installation_is_for_nobody_else(world, owner):
    for model in (User, Group, TOTPDevice):
        assert owner.get(list_page(model)).status_code == 403
        assert owner.get(change_page(model, model._default_manager.last())).status_code == 403
    assert owner.get("/admin/operations/").status_code == 403


def test_whoever_runs_the_installation_sees_both(world):
    boss = logged_in(make_boss("both"))
    page = boss.get(list_page(Order)).content.decode()
    assert "buyer@alpha.example" in page
    assert "buyer@beta.example" in page


def test_staff_of_no_shop_see_nothing(world):
    nobody = User.objects.create_user("nobody", is_staff=True)
    browser = logged_in(nobody)
    assert browser.get("/admin/").status_code == 200
    assert {browser.get(list_page(model)).status_code for model in admin.site._registry} == {403}


# Controls: each of the walks finds what it is there to find


LISTS = test_no_search_filter_or_popup_of_a_list_finds_anything_of_another_shop
COMPLETING = test_no_field_is_completed_with_anything_of_another_shop
ACTIONS = test_no_action_reaches_a_row_of_another_shop
FORMS = test_no_form_offers_or_takes_a_row_of_another_shop
BY_HAND = test_hand_written_forms_take_no_row_of_another_shop
OTHER_PAGES = test_no_other_page_names_anything_of_another_shop


@pytest.mark.parametrize(
    ("walk", "taken_away"),
    [
        (LISTS, "cardshop.common.admin.within"),
        (LISTS, "cardshop.common.shop_scope.within"),
        (COMPLETING, "cardshop.common.admin.within"),
        (ACTIONS, "cardshop.common.admin.within"),
        (FORMS, "cardshop.common.shop_scope.within"),
        (BY_HAND, "inventory.key_import_page.within"),
        (OTHER_PAGES, "cardshop.operations.dashboard.within"),
        (OTHER_PAGES, "payments.checkout.attention.within"),
    ],
)
def test_control_without_the_scope_the_walk_fails(world, owner, monkeypatch, walk, taken_away):
    monkeypatch.setattr(taken_away, lambda _request, rows: rows)
    with pytest.raises(AssertionError):
        walk(world, owner)


def test_control_without_any_scope_the_pages_of_rows_open(world, owner, monkeypatch):
    """Twice guarded: by the rows a page finds, and by the question whose a found row is."""
    monkeypatch.setattr("cardshop.common.admin.within", lambda _request, rows: rows)
    monkeypatch.setattr("cardshop.common.admin.is_within", lambda _request, row: True)
    with pytest.raises(AssertionError):
        test_no_page_of_a_row_of_another_shop_opens_or_takes_a_form(world, owner)


# Queries, and buyers


@pytest.mark.parametrize("model", list(pages()), ids=lambda model: model.__name__)
def test_lists_of_a_member_take_the_same_queries_however_long_they_are(world, owner, model):
    owner.get(list_page(model))
    with CaptureQueriesContext(connection) as few:
        owner.get(f"{list_page(model)}?id__exact={world.rows_a[model][0].pk}")
    with CaptureQueriesContext(connection) as all_of_them:
        owner.get(list_page(model))
    assert len(all_of_them) <= len(few) + 1


BUYERS = sorted(
    route
    for route in addresses()
    if PARAMETER.search(route) and not route.startswith(("/admin/", "/media/", "/en/"))
)


def of_buyer(route: str, world: World) -> str:
    order = next(row for row in world.rows_b[Order] if row.delivered_at)
    said = {
        "slug": "beta-coins",
        "code": "beta-coins",
        "variant_code": "beta-coins",
        "ticket_id": world.rows_b[Ticket][0].ticket_id,
        "token": order.token,
        "channel_slug": "beta-pay",
        "link": make_link(shop_id=order.shop_id, contact_email=order.contact_email, now=db_now()),
        "number": order.number,
        "out_trade_no": world.rows_b[PaymentAttempt][0].out_trade_no,
        "key": world.rows_b[WebhookEndpoint][0].name,
        "uid": world.rows_b[WebhookDelivery][0].uid,
        "kind": "mail",
        "name": world.rows_b[WebhookEndpoint][0].name,
        "pk": world.rows_b[KeyBatch][0].pk,
    }
    for name in PARAMETER.findall(route):
        assert name in said, f"Say in `of_buyer` what stands for <{name}> in {route}"
    return PARAMETER.sub(lambda found: str(said[found.group(1)]), route)


@pytest.mark.parametrize("is_staff", [False, True])
def test_under_the_host_of_one_shop_nothing_of_the_other_is_served(world, owner, is_staff):
    browser = owner if is_staff else Client()
    wrong = []
    for route in BUYERS:
        address = of_buyer(route, world)
        for answer in (
            browser.get(address, headers={"host": world.a.host}),
            browser.post(address, headers={"host": world.a.host}),
        ):
            if answer.status_code not in {401, 403, 404, 405, 410, 400, 422}:
                wrong.append((address, answer.status_code))
            wrong += [(address, leak) for leak in world.leaks(answer, besides=address)]
    # Who comes back to a form of an order's page is led to that page, whether there is one or not.
    token = re.compile(r"^/o/[^/]+/[a-z]+/$")
    # And who is no member of a reseller to where members log in: tests/test_members_apart.py.
    leads_on = {
        *((address, 302) for address, _ in wrong if token.match(address)),
        *((address, 303) for address, _ in wrong if address.startswith("/reseller/")),
    }
    assert [told for told in wrong if told not in leads_on] == []
    assert len(BUYERS) > 10


def test_the_host_under_which_the_administration_is_opened_does_not_matter(world, owner):
    page = owner.get(list_page(Order), headers={"host": world.b.host})
    assert "buyer@alpha.example" in page.content.decode()
    assert world.leaks(page) == []
