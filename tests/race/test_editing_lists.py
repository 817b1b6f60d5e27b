"""Two merchants who save the list of variants at the same moment: one of them hears of the other."""

import pytest
from django.http import HttpResponse

from inventory.models import Variant
from tests.edited_lists import sent_back
from tests.factories import make_variant, the_shop
from tests.race.racing import linger, race_all, read_unlocked
from tests.staff import logged_in, make_member

VARIANTS = "/admin/inventory/variant/"
BETWEEN = "cardshop.common.audited.standing"  # a form has been found good, and is about to be saved

pytestmark = pytest.mark.django_db(transaction=True)


def two_save_a_price() -> list[int]:
    """The answers of two who were shown the same price and typed another one each."""
    variant = make_variant(price_minor=1000)
    people = [logged_in(make_member(the_shop(), username=name)) for name in ("lin", "wang")]
    sent = [
        sent_back(person.get(VARIANTS), **{f"price_minor_{variant.pk}": price})
        for person, price in zip(people, ("11", "12"), strict=True)
    ]

    def save(at: int) -> HttpResponse:
        return people[at].post(VARIANTS, sent[at])

    answers = race_all(lambda: save(0), lambda: save(1))
    return [answer.status_code for answer in answers]


def test_of_two_who_save_at_once_the_second_is_told(monkeypatch):
    linger(monkeypatch, BETWEEN, 0.2)
    assert sorted(two_save_a_price()) == [200, 302]
    assert Variant.objects.get().price_minor in (1100, 1200)


def test_control_without_the_lock_both_believe_it_saved(monkeypatch):
    """If this one fails, the test above proves nothing."""
    monkeypatch.setattr("cardshop.common.edited_lists.lock_rows", read_unlocked)
    linger(monkeypatch, BETWEEN, 0.2)
    assert two_save_a_price() == [302, 302]
