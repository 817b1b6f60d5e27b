"""The merchant's pages of resellers and their keys."""

import re

import pytest
from django.contrib.admin.models import LogEntry

from payments.models import Balance
from resellers.models import ApiKey, Reseller
from resellers.tests.calling import API, Program, make_program, make_reseller
from tests.factories import make_shop, the_shop
from tests.staff import confirmed, logged_in, make_boss, make_clerk, make_member

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
NEW_KEY = "/admin/resellers/apikey/add/"


def shown(page) -> dict[str, str]:
    assert "no-store" in page["Cache-Control"]
    return dict(re.findall(r'id="key-(name|secret)">([^<]+)<', page.content.decode()))


def form(reseller, **fields) -> dict[str, object]:
    return {
        "owner": f"reseller:{reseller.pk}",
        "label": "ERP",
        "proof": "signed",
        "scopes": ["balance"],
        **fields,
    }


def test_a_reseller_is_opened_with_an_empty_balance_that_no_code_opens():
    boss = logged_in(make_boss())
    typed = {"shop": the_shop().pk, "name": "Partner", "contact_email": "p@example.org"}

    boss.post("/admin/resellers/reseller/add/", typed)
    again = boss.post("/admin/resellers/reseller/add/", typed)

    reseller = Reseller.objects.get()
    assert (reseller.balance.amount_minor, reseller.balance.code_digest) == (0, "")
    assert again.status_code == 200
    assert "errorlist" in again.content.decode() or "already exists" in again.content.decode()
    assert Balance.objects.count() == 1
    page = boss.get(f"/admin/resellers/reseller/{reseller.pk}/change/").content.decode()
    assert f"/admin/payments/balance/{reseller.balance_id}/change/" in page
    assert (
        "new-code-form"
        not in boss.get(f"/admin/payments/balance/{reseller.balance_id}/change/").content.decode()
    )


def test_a_key_is_shown_once_and_opens_the_account():
    boss, reseller = confirmed(make_boss()), make_reseller()

    secret = shown(boss.post(NEW_KEY, form(reseller, networks="127.0.0.1")))

    key = ApiKey.objects.get()
    assert key.name == secret["name"]
    assert Program(key, secret["secret"]).call(f"{API}account/").status_code == 200
    page = boss.get(f"/admin/resellers/apikey/{key.pk}/change/").content.decode()
    assert secret["secret"] not in page
    assert secret["secret"] not in str(list(LogEntry.objects.values()))


def test_it_takes_a_fresh_code_but_to_stop_one_takes_none():
    boss, program = logged_in(make_boss()), make_program()

    assert boss.get(NEW_KEY).status_code == 302
    assert boss.post(NEW_KEY, form(program.key.reseller)).status_code == 403
    assert boss.post(f"/admin/resellers/apikey/{program.key.pk}/follow/").status_code == 403
    assert ApiKey.objects.count() == 1
    boss.post(f"/admin/resellers/apikey/{program.key.pk}/revoke/")
    assert program.call(f"{API}account/").status_code == 401


def test_a_key_is_followed_by_one_that_may_do_the_same():
    boss, program = confirmed(make_boss()), make_program(scopes=["balance"], networks="127.0.0.0/8")

    secret = shown(boss.post(f"/admin/resellers/apikey/{program.key.pk}/follow/"))
    again = boss.post(f"/admin/resellers/apikey/{program.key.pk}/follow/")

    new = ApiKey.objects.get(name=secret["name"])
    assert (new.scopes, new.networks) == (["balance"], "127.0.0.0/8")
    assert again.status_code == 302
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"networks": "10.0.0.0/8 home"}, "home is neither an address nor a network."),
        ({"proof": "bearer", "scopes": ["buy"]}, "has to sign"),
        ({"scopes": ["everything"]}, "everything is not one of the available choices"),
    ],
)
def test_what_cannot_be_is_refused(fields, complaint):
    page = confirmed(make_boss()).post(NEW_KEY, form(make_reseller(), **fields))

    assert complaint in page.content.decode()
    assert not ApiKey.objects.exists()


def test_a_key_of_the_shops_own_is_made_with_scopes_of_its_kind():
    boss, shop = confirmed(make_member(the_shop())), the_shop()
    own = {"owner": f"shop:{shop.pk}", "label": "ERP", "proof": "signed"}

    page = boss.get(NEW_KEY).content.decode()
    mixed = boss.post(NEW_KEY, {**own, "scopes": ["stock:write", "buy"]}).content.decode()
    shown(boss.post(NEW_KEY, {**own, "scopes": ["stock:write", "keys:read"]}))

    assert 'value="keys:read"' in page
    assert "may not do what your own may" in mixed
    key = ApiKey.objects.get()
    assert (key.shop, key.reseller, key.scopes) == (shop, None, ["keys:read", "stock:write"])
    assert "your own" in boss.get("/admin/resellers/apikey/").content.decode()


def test_nobody_gives_a_program_what_they_may_not_do_themselves():
    rights = [f"resellers.{verb}_apikey" for verb in ("view", "add", "change")]
    clerk = confirmed(make_clerk(*rights, "payments.add_refund", shop=the_shop()))
    looks_into_keys = make_program(the_shop(), scopes=["keys:read"])
    own = {"owner": f"shop:{the_shop().pk}", "label": "ERP", "proof": "signed"}

    page = clerk.get(NEW_KEY).content.decode()
    refused = clerk.post(NEW_KEY, {**own, "scopes": ["keys:read"]})
    followed = clerk.post(f"/admin/resellers/apikey/{looks_into_keys.key.pk}/follow/")

    assert 'value="refunds:write"' in page
    assert 'value="keys:read"' not in page
    assert (refused.status_code, followed.status_code) == (200, 403)
    assert ApiKey.objects.get() == looks_into_keys.key
    clerk.post(f"/admin/resellers/apikey/{looks_into_keys.key.pk}/revoke/")
    assert ApiKey.objects.exclude(revoked_at=None).exists()


def test_staff_of_another_shop_make_no_key_here():
    reseller = make_reseller()
    stranger = confirmed(make_member(make_shop("other")))

    page = stranger.post(NEW_KEY, form(reseller))

    assert page.status_code == 200
    assert not ApiKey.objects.exists()
