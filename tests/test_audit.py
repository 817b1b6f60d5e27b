"""What staff do is written down: what was, what is, by whom; no secret, and nothing that is taken back."""

import json
from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.db import DatabaseError, connection, models, transaction
from django_otp.plugins.otp_totp.models import TOTPDevice

from cardshop.alerts.models import Destination
from cardshop.audit.models import AuditEntry
from cardshop.common.audit import deeds_between, is_secret
from cardshop.common.clock import db_now
from cardshop.operations.retention import prune
from cardshop.operations.sealed_values import COLUMNS
from cardshop.shops.models import Role
from inventory.models import Category, Product, Variant
from orders.models import LookupPassword, Order
from payments.ledger.entries import open_balance
from payments.models import Balance, PaymentChannel
from tests.factories import make_channel, make_shop, make_variant, the_shop
from tests.lines import make_sale
from tests.staff import PASSWORD, confirmed, logged_in, make_boss, make_device, make_member

pytestmark = pytest.mark.django_db

LOG = "/admin/audit/auditentry/"
CANARY = "canary-7f3a-in-clear"


@pytest.fixture
def boss():
    return confirmed(make_boss())


@pytest.fixture
def owner():
    return logged_in(make_member(the_shop()))


def told() -> list[tuple[str, str, dict[str, tuple]]]:
    """Everything in the log: what was done to what, and the fields."""
    return [
        (
            entry.action,
            entry.of,
            {change["field"]: (change.get("before"), change.get("after")) for change in entry.changes},
        )
        for entry in AuditEntry.objects.order_by("pk")
    ]


def whole_log() -> str:
    return json.dumps(list(AuditEntry.objects.values()), default=str, ensure_ascii=False)


def product_form(product: Product, **changes: object) -> dict[str, object]:
    variant = product.variants.get()
    return {
        "name": product.name,
        "name_en": product.name_en,
        "slug": product.slug,
        "position": 0,
        "stock_display": "exact",
        "variants-TOTAL_FORMS": 1,
        "variants-INITIAL_FORMS": 1,
        "variants-0-id": variant.pk,
        "variants-0-product": product.pk,
        "variants-0-name": variant.name,
        "variants-0-name_en": variant.name_en,
        "variants-0-code": variant.code,
        "variants-0-price": "9.90",
        "variants-0-currency": "CNY",
        "variants-0-min_quantity": 1,
        "variants-0-max_quantity": 10,
        "variants-0-selling": "direct",
        "variants-0-is_active": "on",
        "variants-0-position": 0,
        "images-TOTAL_FORMS": 0,
        "images-INITIAL_FORMS": 0,
        **changes,
    }


def change_page(row: models.Model) -> str:
    return f"/admin/{row._meta.app_label}/{row._meta.model_name}/{row.pk}/change/"


def test_a_form_is_told_field_by_field_for_each_row_it_has_changed(owner):
    variant = make_variant(price_minor=990)
    Product.objects.update(is_listed=False)
    category = Category.objects.create(shop=the_shop(), slug="games", name="游戏")

    form = product_form(variant.product, is_listed="on", category=category.pk, **{"variants-0-price": "12.9"})
    answer = owner.post(change_page(variant.product), form, headers={"x-forwarded-for": "198.51.100.7"})

    assert answer.status_code == 302, answer.content.decode()
    assert told() == [
        (
            "changed",
            "inventory.product",
            {"category": (None, f"游戏 (#{category.pk})"), "is_listed": (False, True)},
        ),
        (
            "changed",
            "inventory.variant",
            {"price_minor": ({"minor": 990, "currency": "CNY"}, {"minor": 1290, "currency": "CNY"})},
        ),
    ]
    entry = AuditEntry.objects.first()
    assert (entry.who, entry.shop, entry.address) == ("owner-of-demo", the_shop(), "127.0.0.1")
    assert (entry.of_id, entry.named) == (str(variant.pk), str(variant))


def test_a_form_that_changes_nothing_leaves_no_entry(owner):
    variant = make_variant(price_minor=990)
    Product.objects.update(is_listed=False)
    assert owner.post(change_page(variant.product), product_form(variant.product)).status_code == 302
    assert told() == []


def test_of_a_long_text_the_part_that_differs_is_told(owner):
    variant = make_variant(price_minor=990)
    Product.objects.update(is_listed=False, description="x" * 5000 + "before" + "y" * 500)

    text = "x" * 5000 + "after" + "y" * 500
    owner.post(change_page(variant.product), product_form(variant.product, description=text))

    ((_action, _of, changes),) = told()
    before, after = changes["description"]
    assert before.startswith("…" + "x" * 30 + "before")
    assert after.startswith("…" + "x" * 30 + "after")
    assert len(before) == len(after) == 302


def test_what_is_added_and_deleted_is_told_with_what_stood_in_it(owner):
    added = {"shop": the_shop().pk, "name": "游戏", "slug": "games", "position": 3}
    assert owner.post("/admin/inventory/category/add/", added).status_code == 302
    category = Category.objects.get()
    assert owner.post(f"{change_page(category)[:-7]}delete/", {"post": "yes"}).status_code == 302

    (added, deleted) = told()
    assert added == (
        "added",
        "inventory.category",
        {"slug": (None, "games"), "name": (None, "游戏"), "position": (None, 3)},
    )
    assert deleted[2] == {field: (after, before) for field, (before, after) in added[2].items()}
    assert deleted[0] == "deleted"


def test_rights_and_passwords_of_accounts_are_told_without_the_password(boss):
    clerk = User.objects.create_user("clerk", "clerk@example.org", is_staff=True)
    group = Group.objects.create(name="night shift")
    page = f"/admin/auth/user/{clerk.pk}"
    form = {"username": "clerk", "email": clerk.email, "groups": [group.pk], "is_active": "on"}
    form |= {"date_joined_0": "2026-01-01", "date_joined_1": "00:00:00"}
    answer = boss.post(f"{page}/change/", form)
    assert answer.status_code == 302, answer.content.decode()
    passwords = {"usable_password": "true", "password1": CANARY, "password2": CANARY}
    assert boss.post(f"{page}/password/", passwords).status_code == 302
    assert boss.post("/admin/auth/user/nobody/password/", passwords).status_code == 404

    rights, password = told()[-2:]
    assert rights[2]["groups"] == ([], ["night shift"])
    assert rights[2]["is_staff"] == (True, False)
    assert password == ("changed", "auth.user", {"password": (None, None)})
    assert User.objects.get(pk=clerk.pk).password not in whole_log()
    assert CANARY not in whole_log()


def test_ones_own_password_is_told_as_changed(owner):
    new = {"new_password1": CANARY, "new_password2": CANARY}
    assert owner.post("/admin/password_change/", {"old_password": "wrong", **new}).status_code == 200
    assert told() == []
    assert owner.post("/admin/password_change/", {"old_password": PASSWORD, **new}).status_code == 302
    assert told() == [("changed", "auth.user", {"password": (None, None)})]


# Secrets


def columns_that_hold_secrets() -> list[models.Field]:
    sealed = [column.model._meta.get_field(column.field) for column in COLUMNS]
    named = [(User, "password"), (TOTPDevice, "key"), (Balance, "code_digest"), (Order, "token")]
    named += [(LookupPassword, "encoded"), (PaymentChannel, "provider_key"), (Order, "buyer_key")]
    binary = [
        column
        for model in apps.get_models()
        for column in model._meta.concrete_fields
        if isinstance(column, models.BinaryField)
    ]
    return list({*sealed, *binary, *(model._meta.get_field(name) for model, name in named)})


def test_no_column_that_holds_a_secret_is_ever_told(monkeypatch):
    columns = columns_that_hold_secrets()
    assert len(columns) >= len(COLUMNS) + 7
    for column in columns:
        monkeypatch.setattr(column.model, "__str__", lambda _row: "a row")
        before, after = (column.model(**{column.attname: f"{CANARY}-{at}"}) for at in (1, 2))
        values = [{column.name: getattr(row, column.attname)} for row in (before, after)]
        deeds = deeds_between({1: (before, values[0])}, {1: (after, values[1])}, shop_of=lambda _row: None)
        assert [deed.changes for deed in deeds] == [[{"field": column.name}]], column


def test_control_what_is_no_secret_is_told():
    assert not any(
        is_secret(model._meta.get_field(name))
        for model, name in ((Variant, "price_minor"), (Variant, "code"), (PaymentChannel, "merchant_id"))
    )


def test_of_a_credential_there_is_only_that_it_changed(boss):
    shop = make_shop()
    form = {"name": "phone", "shop": shop.pk, "address": "https://api.telegram.org", "secret": CANARY}
    form |= {"chat_id": "42", "kinds": ["sold_out"], "language": "en", "every_minutes": 0, "per_hour": 20}
    answer = boss.post("/admin/alerts/destination/add/?driver=telegram", form)
    assert answer.status_code == 302, answer.content.decode()
    destination = Destination.objects.get()
    for change in ({"name": "my phone", "secret": ""}, {"secret": f"{CANARY}-2"}):
        form |= change
        assert boss.post(change_page(destination), form).status_code == 302

    added, renamed, changed = told()[-3:]
    assert added[2]["sealed_secret"] == (None, None)
    assert set(renamed[2]) == {"name"}
    assert changed[2] == {"sealed_secret": (None, None)}
    assert CANARY not in whole_log()


def test_who_pays_in_beforehand_is_no_staff_and_their_names_are_not_told(boss):
    shop = make_shop()
    said = {"currency": "CNY", "reason": "paid in", "actor": "boss"}
    balance, _code = open_balance(shop_id=shop.pk, holder="Lin", amount_minor=500, now=db_now(), **said)
    form = {"holder": CANARY, "contact_email": "lin@example.org"}
    assert boss.post(change_page(balance), form).status_code == 302
    entry = AuditEntry.objects.first()
    assert entry.changes == [{"field": "holder"}, {"field": "contact_email"}]


# What is done by other means than forms


def test_a_button_is_told_as_a_sentence(boss):
    sale = make_sale(keys=1)
    boss.post(f"/admin/orders/sale/{sale.pk}/pause/")
    entry = AuditEntry.objects.first()
    assert (entry.action, entry.of, entry.of_id, entry.said) == (
        "done",
        "orders.sale",
        str(sale.pk),
        "Paused.",
    )


def test_what_a_command_does_is_told_as_the_commands():
    make_device(User.objects.create_user("clerk"))
    call_command("forget_second_factor", "clerk")
    entry = AuditEntry.objects.get()
    assert (entry.who, entry.action, entry.of) == (
        "manage.py forget_second_factor",
        "deleted",
        "otp_totp.totpdevice",
    )
    assert {"field": "key"} in entry.changes


# One transaction


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("way", ["form", "deletion"])
def test_what_is_taken_back_leaves_no_entry_and_what_is_not_noted_does_not_happen(owner, monkeypatch, way):
    category = Category.objects.create(shop=the_shop(), slug="games", name="游戏")
    owner.raise_request_exception = False

    def act() -> int:
        if way == "form":
            form = {"name": "卡", "slug": "games", "position": 0}
            return owner.post(change_page(category), form).status_code
        chosen = {"action": "delete_selected", "_selected_action": [category.pk], "post": "yes"}
        return owner.post("/admin/inventory/category/", chosen).status_code

    def fail(*_args: object, **_said: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr("inventory.admin.forget_on_commit", fail)
        assert act() == 500
    assert (told(), Category.objects.get().name) == ([], "游戏")

    with monkeypatch.context() as broken:
        broken.setattr("cardshop.operations.admin_site.record", fail)
        assert act() == 500
    assert (told(), Category.objects.get().name) == ([], "游戏")

    assert act() == 302
    assert [entry.action for entry in AuditEntry.objects.all()] == ["changed" if way == "form" else "deleted"]


# The rows stay


def an_entry(**said: object) -> AuditEntry:
    return AuditEntry.objects.create(
        **{"at": db_now(), "who": "lin", "action": "done", "of": "shops.shop", "of_id": "1", **said}
    )


def tampering() -> list[str]:
    """Which of the ways to change the log the database refuses."""
    ways = {
        "update": "UPDATE audit_auditentry SET who = 'nobody'",
        "delete": "DELETE FROM audit_auditentry",
        "truncate": "TRUNCATE audit_auditentry",
    }
    refused = []
    for name, sql in ways.items():
        try:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute(sql)
        except DatabaseError:
            refused.append(name)
    return refused


def test_the_database_refuses_every_change_of_the_log():
    an_entry()
    assert tampering() == ["update", "delete", "truncate"]
    assert AuditEntry.objects.get().who == "lin"
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL cardshop.pruning = 'on'; UPDATE audit_auditentry SET who = 'nobody'")


def test_control_without_the_triggers_every_change_works():
    an_entry()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE audit_auditentry DISABLE TRIGGER USER")
    assert tampering() == []
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE audit_auditentry ENABLE TRIGGER USER")


def test_old_entries_are_pruned_and_nobody_may_delete_afterwards(settings):
    an_entry(at=db_now() - timedelta(days=731))
    young = an_entry(at=db_now() - timedelta(days=729))
    settings.RETAIN_AUDIT_DAYS = 0
    assert prune(db_now()) == {}
    settings.RETAIN_AUDIT_DAYS = 730
    assert prune(db_now()) == {"what staff did": 1}
    assert AuditEntry.objects.get() == young


# The pages


def test_the_page_of_a_row_leads_to_what_was_done_to_it_and_to_nothing_else(owner):
    variant, other = make_variant(code="one", price_minor=990), make_variant(code="two")
    Variant.objects.update(name="月卡")
    for each in (variant, other):
        an_entry(
            shop=the_shop(),
            of="inventory.variant",
            of_id=str(each.pk),
            named=each.code,
            changes=[{"field": "selling", "before": "direct", "after": "queued"}, {"field": "is_active"}],
        )
    link = f"{LOG}?row=inventory.variant:{variant.pk}"
    assert link in owner.get(change_page(variant)).content.decode()
    page = owner.get(link).content.decode()
    assert f"Variant: {variant.code}" in page
    assert f"Variant: {other.code}" not in page
    assert "Way of selling: directly → through a line, for a rush" in page
    assert "For sale: changed; not shown here" in page
    chinese = owner.get(link, headers={"accept-language": "zh-hans"}).content.decode()
    assert "销售方式" in chinese


def test_the_log_is_for_owners_and_can_be_searched_and_filtered(owner):
    for who in ("lin", "wang"):
        an_entry(shop=the_shop(), who=who, named=f"of {who}")
    an_entry(named="of nobody's shop", who="boss")
    manager = logged_in(make_member(the_shop(), Role.MANAGER))
    variant = make_variant()
    assert manager.get(LOG).status_code == 403
    assert LOG not in manager.get(change_page(variant)).content.decode()
    for question in ("who=lin", "q=lin", "of=shops.shop&who=lin", "action__exact=done&who=lin"):
        page = owner.get(f"{LOG}?{question}").content.decode()
        assert ("of lin" in page, "of wang" in page, "of nobody" in page) == (True, False, False), question
    for hostile in (
        "who=%00",
        "of=%00",
        "row=%00:1",
        "row=:",
        "row=no.model:x",
        "q=%00",
        f"who={'x' * 5000}",
    ):
        assert owner.get(f"{LOG}?{hostile}").status_code in (200, 400), hostile
    entry = AuditEntry.objects.get(who="lin")
    assert owner.get(f"{LOG}{entry.pk}/change/").status_code == 200
    for page in ("add/", f"{entry.pk}/delete/"):
        assert owner.post(f"{LOG}{page}", {"post": "yes"}).status_code == 403


def test_a_channel_is_told_and_its_secret_is_not(boss):
    channel = make_channel()
    deleted = boss.post(f"{change_page(channel)[:-7]}delete/", {"post": "yes"})
    assert deleted.status_code == 302
    ((action, of, changes),) = told()[-1:]
    assert (action, of, changes["sealed_secret"]) == ("deleted", "payments.paymentchannel", (None, None))
    assert changes["merchant_id"] == (channel.merchant_id, None)
