"""Names that reveal nothing, and catch slips of the finger."""

from hypothesis import given
from hypothesis import strategies as st

from cardshop.common.ids import ALPHABET, is_order_number, keyed_digest, new_order_number


@given(st.data())
def test_every_single_wrong_character_is_caught(data):
    number = new_order_number()
    at = data.draw(st.integers(0, len(number) - 1))
    wrong = data.draw(st.sampled_from(ALPHABET.replace(number[at], "")))

    assert is_order_number(number)
    assert not is_order_number(number[:at] + wrong + number[at + 1 :])


@given(st.data())
def test_every_swap_of_neighbours_is_caught(data):
    number = new_order_number()
    at = data.draw(st.integers(0, len(number) - 2))
    swapped = number[:at] + number[at + 1] + number[at] + number[at + 2 :]

    assert swapped == number or not is_order_number(swapped)


def test_digests_of_different_lists_differ():
    assert keyed_digest("t", "ab", "c") != keyed_digest("t", "a", "bc") != keyed_digest("u", "a", "bc")
