"""Whose keys open the merchant's addresses, and what each may do there."""

import pytest
from django.db import IntegrityError

from cardshop.common.clock import db_now
from cardshop.common.errors import Invalid
from cardshop.merchant_api.tests.calling import API, make_own, write
from resellers.keys import BETWEEN, follow
from resellers.models import ApiKey, MerchantScope, Proof, Scope
from resellers.tests.calling import API as RESELLERS_API
from resellers.tests.calling import make_program, make_reseller
from tests.factories import make_shop, make_variant, the_shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


def refused(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_a_key_opens_what_is_its_owners_and_nothing_else():
    own, theirs = make_own(), make_program()

    assert own.call(f"{API}variants/").status_code == 200
    assert theirs.call(f"{RESELLERS_API}account/").status_code == 200
    assert refused(own.call(f"{RESELLERS_API}account/")) == (401, "not_authenticated")
    assert refused(theirs.call(f"{API}variants/")) == (401, "not_authenticated")
    make_shop("other")
    assert refused(own.call(f"{API}variants/", headers={"host": "other.localhost"}))[0] == 401


def test_a_key_does_what_its_scopes_say():
    variant = make_variant(keys=1)
    own = make_own(scopes=[MerchantScope.CATALOGUE_READ])

    assert own.call(f"{API}variants/{variant.code}/").status_code == 200
    answer = write(own, f"variants/{variant.code}/", {"price_minor": 1}, "PATCH")
    assert refused(answer) == (403, "scope_missing")
    assert answer.json()["scope"] == "catalogue:write"


def test_what_is_sent_along_only_reads_and_never_card_keys():
    own = make_own(proof=Proof.BEARER, scopes=[MerchantScope.ORDERS_READ])
    along = {"Authorization": f"Bearer {own.key.name}{BETWEEN}{own.secret}"}

    assert own.call(f"{API}orders/", headers=along).status_code == 200
    for scope in MerchantScope.values:
        if not scope.endswith(":read") or scope == MerchantScope.KEYS_READ:
            with pytest.raises(Invalid):
                make_own(proof=Proof.BEARER, scopes=[scope])


def test_scopes_of_one_owner_are_not_given_to_keys_of_the_other():
    with pytest.raises(Invalid):
        make_own(scopes=[Scope.BUY])
    with pytest.raises(Invalid):
        make_program(make_reseller(), scopes=[MerchantScope.REFUNDS_WRITE])


def test_nor_may_anything_else_give_them():
    own = make_own()

    with pytest.raises(IntegrityError):
        ApiKey.objects.filter(pk=own.key.pk).update(scopes=["orders:read", "buy"])


def test_the_key_that_follows_one_of_the_shops_own_is_the_shops_own():
    new, _secret = follow(make_own().key, now=db_now())

    assert ApiKey.objects.values_list("shop", "reseller").get(pk=new.pk) == (the_shop().pk, None)
