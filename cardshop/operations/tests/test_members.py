"""Who looks after a shop: inviting, roles, and what nobody can do to somebody who may do more."""

import re
from importlib import import_module
from threading import Barrier

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.core import mail
from django.test import Client
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter

from cardshop.common.admin import MerchantAdmin
from cardshop.common.shop_scope import OPERATORS
from cardshop.operations import inviting
from cardshop.operations.inviting import LastOwner, change_role
from cardshop.operations.tasks import mail_invitation
from cardshop.outbox.models import OutboxMessage
from cardshop.shops.checks import every_page_has_its_roles
from cardshop.shops.models import Membership, Role
from cardshop.shops.roles import RIGHTS, permissions_of
from inventory.models import Category
from orders.models import Order, Registration
from tests.factories import make_order, make_shop, make_variant
from tests.race.racing import race
from tests.staff import PASSWORD, confirmed, let_code_age, logged_in, make_boss, make_clerk, make_member

MEMBERS = "/admin/shops/membership/"
FRESH_PASSWORD = "a-long-and-unusual-one"

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return make_shop()


@pytest.fixture
def owner(shop):
    return logged_in(make_member(shop, username="owner"))


def invite(browser: Client, shop, email: str = "Lin@Example.org", role: str = Role.SUPPORT):
    return browser.post(f"{MEMBERS}add/", {"shop": shop.pk, "email": email, "role": role})


def link_in(message) -> str:
    return re.search(r"http://[^/]+(/admin/welcome/\S+)", message.body).group(1)


# Inviting


def test_somebody_new_is_invited_chooses_a_password_and_is_in(owner, shop):
    make_order(make_variant(keys=1), contact_email="buyer@example.org")
    assert invite(owner, shop).status_code == 302
    mail_invitation()

    (message,) = mail.outbox
    assert message.to == ["lin@example.org"]
    assert "lin@example.org" in message.body
    browser = Client(headers={"accept-language": "en"})
    form = browser.get(link_in(message), follow=True)
    sent = {"new_password1": FRESH_PASSWORD, "new_password2": FRESH_PASSWORD}
    assert browser.post(form.request["PATH_INFO"], sent).status_code == 302
    entered = browser.post("/admin/login/", {"username": "lin@example.org", "password": FRESH_PASSWORD})
    assert entered.status_code == 302
    assert "buyer@example.org" in browser.get("/admin/orders/order/").content.decode()
    assert browser.get("/admin/payments/receipt/").status_code == 403

    again = Client(headers={"accept-language": "en"}).get(link_in(message), follow=True)
    assert "has been used" in again.content.decode()


def test_the_link_is_shown_to_nobody_and_stands_in_no_row(owner, shop):
    invite(owner, shop)
    pages = [owner.get(MEMBERS), owner.get(f"{MEMBERS}{Membership.objects.last().pk}/change/")]
    assert not any("welcome/" in page.content.decode() for page in pages)
    assert not any("token" in str(row) for row in OutboxMessage.objects.values())
    assert not User.objects.get(username="lin@example.org").has_usable_password()


def test_who_has_an_account_becomes_a_member_and_gets_no_link(owner, shop):
    other = make_member(make_shop("other"), username="known")
    invite(owner, shop, other.email.upper())
    mail_invitation()

    assert "welcome/" not in mail.outbox[0].body
    assert [(m.shop_id, m.role) for m in Membership.objects.filter(user=other).order_by("pk")][1] == (
        shop.pk,
        Role.SUPPORT,
    )
    other.refresh_from_db()
    assert other.check_password(PASSWORD)


def test_an_invitation_is_mailed_again_until_there_is_a_password(owner, shop):
    invite(owner, shop)
    member = Membership.objects.get(user__email="lin@example.org")
    chosen = {"action": "invite_again", "_selected_action": [member.pk, Membership.objects.first().pk]}
    owner.post(MEMBERS, chosen)
    assert list(OutboxMessage.objects.values_list("subject_id", flat=True)) == [member.pk] * 2


@pytest.mark.parametrize("who", ["superuser", "closed", "twice", "named like it"])
def test_some_are_nobodys_to_add(owner, shop, who):
    if who == "superuser":
        make_boss("lin").save()
    elif who == "named like it":
        User.objects.create_user("lin@example.org", "somebody@example.org")
    else:
        User.objects.create_user("lin", "lin@example.org", is_active=who != "closed")
        if who == "twice":
            User.objects.create_user("lin2", "lin@example.org")
    before = list(User.objects.order_by("pk").values())

    page = owner.post(
        f"{MEMBERS}add/", {"shop": shop.pk, "email": "lin@example.org", "role": "viewer"}, follow=True
    )

    assert "cannot be added here" in page.content.decode()
    assert Membership.objects.count() == 1
    assert [{**row, "last_login": None} for row in User.objects.order_by("pk").values()] == [
        {**row, "last_login": None} for row in before
    ]


def test_who_is_a_member_is_not_added_twice(owner, shop):
    for _ in range(2):
        page = owner.post(
            f"{MEMBERS}add/", {"shop": shop.pk, "email": "a@example.org", "role": "viewer"}, follow=True
        )
    assert "a member already" in page.content.decode()
    assert Membership.objects.count() == 2


# What nobody can do


@pytest.mark.parametrize("role", [role for role in Role if role not in (Role.OWNER, Role.CUSTOM)])
def test_only_owners_see_to_members(shop, role):
    person = logged_in(make_member(shop, role))
    mine = Membership.objects.get(role=role)
    assert person.get(MEMBERS).status_code == 403
    assert invite(person, shop).status_code == 403
    assert person.post(f"{MEMBERS}{mine.pk}/change/", {"role": Role.OWNER}).status_code == 403
    assert Membership.objects.get().role == role


def test_what_is_set_by_hand_is_given_by_superusers_alone(owner, shop):
    assert invite(owner, shop, role=Role.CUSTOM).status_code == 200
    assert Membership.objects.count() == 1
    assert invite(logged_in(make_boss()), shop, role=Role.CUSTOM).status_code == 302
    assert Membership.objects.last().role == Role.CUSTOM


def test_nobody_gives_or_takes_more_than_they_have(shop, owner):
    """Even where somebody was allowed by hand to see to members."""
    clerk = logged_in(
        make_clerk(*(f"shops.{what}_membership" for what in ("view", "add", "change", "delete")))
    )
    mine, owners = Membership.objects.get(role=Role.CUSTOM), Membership.objects.get(role=Role.OWNER)
    for role in (Role.OWNER, Role.VIEWER, Role.CUSTOM):
        assert invite(clerk, shop, role=role).status_code == 200
        clerk.post(f"{MEMBERS}{mine.pk}/change/", {"role": role})
        clerk.post(f"{MEMBERS}{owners.pk}/change/", {"role": role})
    clerk.post(f"{MEMBERS}{owners.pk}/delete/", {"post": "yes"})
    assert set(Membership.objects.values_list("role", flat=True)) == {Role.CUSTOM, Role.OWNER}


def test_a_shop_keeps_an_owner(owner, shop):
    mine = Membership.objects.get()
    for address, form in (("change/", {"role": Role.VIEWER}), ("delete/", {"post": "yes"})):
        page = owner.post(f"{MEMBERS}{mine.pk}/{address}", form, follow=True)
        assert "keeps an owner" in page.content.decode()
    assert Membership.objects.get().role == Role.OWNER

    make_member(shop, username="second")
    assert owner.post(f"{MEMBERS}{mine.pk}/delete/", {"post": "yes"}).status_code == 302
    assert Membership.objects.get().user.username == "second"
    assert owner.get(MEMBERS).status_code == 403


def test_who_has_a_device_needs_a_fresh_code(shop):
    owner = confirmed(make_member(shop))
    let_code_age(owner, 301)
    assert invite(owner, shop).status_code == 403
    assert not User.objects.filter(email="lin@example.org").exists()


def step_down(membership: Membership) -> str:
    try:
        change_role(membership, Role.VIEWER)
    except LastOwner:
        return "stays"
    return "went"


def two_owners_step_down_at_once() -> list[str]:
    shop = make_shop()
    for name in ("first", "second"):
        make_member(shop, username=name)
    both = list(Membership.objects.order_by("pk"))
    return sorted(race(2, lambda: step_down(both.pop())))


@pytest.mark.django_db(transaction=True)
def test_of_two_owners_who_step_down_at_once_one_stays():
    assert two_owners_step_down_at_once() == ["stays", "went"]


@pytest.mark.django_db(transaction=True)
def test_control_without_the_lock_none_is_left(monkeypatch):
    def unlocked(*querysets):
        found = [list(rows) for rows in querysets]
        waiting.wait(2)  # both have looked before one of them writes
        return found

    waiting = Barrier(2)
    monkeypatch.setattr(inviting, "lock_rows", unlocked)
    assert two_owners_step_down_at_once() == ["went", "went"]


# Roles


def test_every_role_may_do_less_than_the_owner():
    owners = permissions_of(Role.OWNER)
    for role in (Role.MANAGER, Role.SUPPORT, Role.FINANCE, Role.VIEWER):
        assert permissions_of(role) < owners
    assert not any(".view_" not in permission for permission in permissions_of(Role.VIEWER))
    assert not any("payments." in permission for permission in permissions_of(Role.SUPPORT))
    assert {"inventory.add_keybatch", "payments.add_refund"} <= permissions_of(Role.MANAGER)
    assert "shops.add_shop" not in owners


def test_two_shops_two_roles(shop):
    user = make_member(shop, Role.OWNER, username="both")
    make_member(second := make_shop("second"), Role.VIEWER, username="both")
    browser = logged_in(user)
    assert "Which shop?" in browser.get("/admin/shop/").content.decode()
    assert browser.get("/admin/inventory/category/add/").status_code == 200

    browser.post("/admin/shop/", {"shop": second.pk})

    assert browser.get("/admin/inventory/category/").status_code == 200
    assert browser.get("/admin/inventory/category/add/").status_code == 403


def test_a_form_that_was_opened_in_another_shop_changes_nothing(shop):
    user = make_member(shop, username="both")
    make_member(second := make_shop("second"), username="both")
    category = Category.objects.create(shop=shop, slug="c", name="C")
    browser = logged_in(user)
    browser.post("/admin/shop/", {"shop": second.pk})

    entered = {"shop": shop.pk, "slug": "new", "name": "New", "position": 0}
    assert browser.post(f"/admin/inventory/category/{category.pk}/change/", entered).status_code == 404
    assert browser.post("/admin/inventory/category/add/", entered).status_code == 200
    assert Category.objects.get().name == "C"


def test_the_shop_is_chosen_by_itself_and_never_changes(owner, shop):
    entered = {"shop": shop.pk, "slug": "c", "name": "C", "position": 0}
    assert owner.post("/admin/inventory/category/add/", entered).status_code == 302
    other = make_shop("other")
    boss = logged_in(make_boss())
    page = f"/admin/inventory/category/{Category.objects.get().pk}/change/"
    assert boss.post(page, {**entered, "shop": other.pk}).status_code == 302
    assert Category.objects.get().shop == shop


def test_an_owner_decides_about_the_shop_but_not_where_it_is(shop):
    owner = confirmed(make_member(shop))
    page = f"/admin/shops/shop/{shop.pk}/change/"
    entered = {"name": "Ours", "currency": "CNY", "host": "thief.example", "slug": "thief", "is_open": "on"}
    assert owner.post(page, entered).status_code == 302
    shop.refresh_from_db()
    assert (shop.name, shop.host, shop.slug) == ("Ours", "demo.localhost", "demo")
    assert owner.get("/admin/shops/shop/add/").status_code == 403


def test_somebody_whose_account_is_closed_may_do_nothing(shop):
    user = make_member(shop)
    user.is_active = False
    user.save()
    user.membership = Membership.objects.get()
    assert user.get_all_permissions() == set()


# The system checks


def errors_of(model, **attributes) -> list:
    page = type("SomeAdmin", (MerchantAdmin,), attributes)
    return [error for error in page(model, admin.site).check() if error.id.startswith("cardshop")]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("", "does not say which shop"),
        ("sale", "leads to orders.Sale"),
        ("sale__variant__stocks__shop", "not every step"),
        ("seller__shop", "there is no such way"),
        ("sale__shop", None),
        (OPERATORS, None),
    ],
)
def test_a_page_has_to_say_how_its_rows_lead_to_their_shop(path, said):
    errors = errors_of(Registration, shop_path=path)
    assert [said in error.msg for error in errors] == ([True] if said else [])
    assert all("shop_path" in error.hint and "roles.py" in error.hint for error in errors)


def test_filters_and_inlines_that_offer_everybodys_rows_are_refused():
    inline = type("Inline", (TabularInline,), {"model": Order})
    errors = errors_of(
        Order, shop_path="shop", list_filter=[("shop", AutocompleteSelectFilter)], inlines=[inline]
    )
    assert [error.id for error in errors] == ["cardshop.E011", "cardshop.E012"]


def test_a_page_that_no_role_may_open_is_refused(monkeypatch):
    assert every_page_has_its_roles(None) == []
    monkeypatch.delitem(RIGHTS, "orders.order")
    (error,) = every_page_has_its_roles(None)
    assert "orders.order" in error.msg
    assert "RIGHTS" in error.hint


def test_staff_of_before_become_members_of_every_shop(shop):
    make_shop("second")
    clerk = User.objects.create_user("old", is_staff=True)
    make_boss()
    User.objects.create_user("no staff")
    Group.objects.create(name="a group")

    import_module("cardshop.shops.migrations.0005_staff_become_members").make_members(apps, None)

    assert set(Membership.objects.values_list("user__username", "role")) == {("old", Role.CUSTOM)}
    assert Membership.objects.filter(user=clerk).count() == 2
