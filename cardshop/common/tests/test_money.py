"""Money without floats."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cardshop.common.money import MAX_MINOR, display, to_minor, to_text


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("1", "CNY", 100), ("1.0", "CNY", 100), ("9.9", "CNY", 990), ("0.010", "CNY", 1), ("500", "JPY", 500)],
)
def test_plain_decimals_become_minor_units(text, currency, minor):
    assert to_minor(text, currency) == minor


@pytest.mark.parametrize(
    "text", ["", "-1", "+1", "1e3", "1_0", " 1", "1.", ".5", "0.001", "٣", "１", "NaN", "1,00", "1.0\n"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match=r"amount|finer"):
        to_minor(text, "CNY")


@given(st.integers(0, MAX_MINOR - 1), st.sampled_from(["CNY", "JPY"]))
def test_text_and_back_is_the_same(minor, currency):
    assert to_minor(to_text(minor, currency), currency) == minor


def test_people_read_a_symbol():
    assert (display(990, "CNY"), display(-5, "USD"), display(500, "JPY")) == ("¥9.90", "-$0.05", "JP¥500")
