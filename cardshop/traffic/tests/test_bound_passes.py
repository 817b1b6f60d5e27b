"""A pass that was bound to a contact at registration is good with that contact only."""

from datetime import timedelta

import pytest

from cardshop.traffic.passes import LIFETIME, BadPass, BuyerPass, bind_pass, mint_pass, read_pass
from tests.factories import NOON

BUYER = BuyerPass(buyer_id="A" * 22, variant_code="steam-50", expires_at=1772373600)


def bound(contact_email="Lin@Example.org", *, good_until=NOON, buyer=BUYER):
    return bind_pass(buyer, contact_email, good_until=good_until)


@pytest.mark.parametrize(
    ("contact_email", "bound_and_mac"),
    [
        ("Lin@Example.org", "ViNQcrXUIANBhgYt.E5IC3RQl7sMFLZq2oa6337JFgeySltFO7J3tw5_AESo"),
        ("lin@example.org", "ViNQcrXUIANBhgYt.E5IC3RQl7sMFLZq2oa6337JFgeySltFO7J3tw5_AESo"),
        ("ВАСЯ@пример.рф", "c5DJSPIWoJH8QY-o.si5PQT6zUOqdUU0QbJFY-kcs2DZ6L2yyO9tyrhfvuTo"),
    ],
)
def test_the_format_is_the_one_an_edge_may_rely_on(settings, contact_email, bound_and_mac):
    settings.SECRET_KEY = "vector"

    assert bound(contact_email) == f"v2.AAAAAAAAAAAAAAAAAAAAAA.steam-50.1772373600.{bound_and_mac}"


def test_a_bound_pass_names_the_same_buyer():
    text = mint_pass(variant_code="steam-50", now=NOON)
    buyer = read_pass(text, variant_code="steam-50", now=NOON)

    again = read_pass(bound(buyer=buyer), variant_code="steam-50", now=NOON)

    assert (again.buyer_id, again.expires_at) == (buyer.buyer_id, buyer.expires_at)
    assert again.bound_to


def test_it_is_good_with_its_contact_however_that_is_written_and_with_no_other():
    buyer = read_pass(bound(), variant_code="steam-50", now=NOON)

    buyer.require_contact("lin@example.org")
    buyer.require_contact("LIN@EXAMPLE.ORG")
    for other in ("lin@example.com", "", "lin@example.org ", "lín@example.org"):
        with pytest.raises(BadPass):
            buyer.require_contact(other)


def test_an_unbound_pass_is_good_with_any_contact():
    BUYER.require_contact("anybody@example.org")


def test_binding_may_lengthen_a_pass_and_never_shortens_it():
    opening = NOON + timedelta(days=3)

    assert read_pass(bound(), variant_code="steam-50", now=NOON).expires_at == BUYER.expires_at
    long = bound(good_until=opening + LIFETIME)
    assert read_pass(long, variant_code="steam-50", now=opening)
    with pytest.raises(BadPass):
        read_pass(long, variant_code="steam-50", now=opening + LIFETIME)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good.replace("v2.", "v1."),
        lambda good: ".".join([*good.split(".")[:4], "A" * 16, good.split(".")[5]]),
        lambda good: ".".join([*good.split(".")[:4], good.split(".")[5]]),
        lambda good: ".".join(["v1", *good.split(".")[1:4], good.split(".")[5]]),
        lambda good: good.replace("steam-50", "steam-99"),
        lambda good: good + "\n",
        lambda good: good[:-1] + ("A" if good[-1] != "A" else "B"),
    ],
)
def test_an_altered_bound_pass_admits_nobody(spoil):
    for variant_code in ("steam-50", "steam-99"):
        with pytest.raises(BadPass):
            read_pass(spoil(bound()), variant_code=variant_code, now=NOON)
