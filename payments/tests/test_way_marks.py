"""Every way to pay has a mark in a colour of its own, on which its letter can be read."""

import re

import pytest
from django.conf import settings

from payments.models import PaymentChannel

STYLES = (settings.BASE_DIR / "static/css/shop.css").read_text()
COLOURS = dict(re.findall(r"\.way-(\w+) \.way-mark \{\s+background: (#[0-9a-f]{6});", STYLES))


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("method", [method for method, _name in PaymentChannel.METHODS])
def test_the_white_letter_can_be_read_on_it(method):
    assert 1.05 / (luminance(COLOURS[method]) + 0.05) >= 4.5


def test_no_two_share_a_colour():
    assert len(set(COLOURS.values())) == len(COLOURS)
