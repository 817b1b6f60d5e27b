"""Whatever a service may write as a reason is known to the translators."""

import pytest

from orders.lookup import passwords
from orders.services import delivery, replacing, resending, revealing, transitions
from payments.checkout.reasons import KNOWN, in_words
from payments.services import evidence, recalls, resolving, shortage


@pytest.mark.parametrize(
    "module",
    [
        *(delivery, evidence, passwords, recalls, replacing, resending, resolving, revealing),
        *(shortage, transitions),
    ],
)
def test_every_named_reason_is_known(module):
    named = [value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)]
    assert named
    assert set(named) <= set(KNOWN)


def test_what_is_not_known_is_shown_as_it_is():
    assert in_words("typed by hand") == "typed by hand"
    assert in_words("") == ""
