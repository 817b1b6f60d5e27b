"""A pass admits one buyer to one variant for a while, and nothing else does."""

from datetime import timedelta

import pytest

from cardshop.traffic.passes import LIFETIME, BadPass, mint_pass, read_pass
from tests.factories import NOON


def test_a_fresh_pass_names_a_fresh_buyer():
    first, second = (
        read_pass(mint_pass(variant_code="steam-50", now=NOON), variant_code="steam-50", now=NOON)
        for _ in range(2)
    )

    assert first.buyer_id != second.buyer_id
    assert first.variant_code == "steam-50"


def test_the_format_is_the_one_an_edge_may_rely_on(settings, monkeypatch):
    settings.SECRET_KEY = "vector"
    monkeypatch.setattr("secrets.token_urlsafe", lambda n: "A" * 22)

    assert mint_pass(variant_code="steam-50", now=NOON) == (
        "v1.AAAAAAAAAAAAAAAAAAAAAA.steam-50.1772373600.REFWMyxf3FzXKA5qr9ByKAEIKdOltioGqa3stn_CmS0"
    )


@pytest.mark.parametrize(
    "spoil",
    [
        lambda good: good[:-1] + ("A" if good[-1] != "A" else "B"),
        lambda good: good.replace("steam-50", "steam-99"),
        lambda good: good.replace("v1.", "v2."),
        lambda good: good + "\n",
        lambda good: "",
        lambda good: "v1....",
        lambda good: good.replace(".1", ".2"),
    ],
)
def test_an_altered_pass_admits_nobody(spoil):
    good = mint_pass(variant_code="steam-50", now=NOON)

    for variant_code in ("steam-50", "steam-99"):
        with pytest.raises(BadPass):
            read_pass(spoil(good), variant_code=variant_code, now=NOON)


def test_an_old_pass_and_one_for_another_variant_admit_nobody():
    good = mint_pass(variant_code="steam-50", now=NOON)

    with pytest.raises(BadPass):
        read_pass(good, variant_code="steam-50", now=NOON + LIFETIME)
    with pytest.raises(BadPass):
        read_pass(good, variant_code="other", now=NOON)
    assert read_pass(good, variant_code="steam-50", now=NOON + LIFETIME - timedelta(seconds=1))
