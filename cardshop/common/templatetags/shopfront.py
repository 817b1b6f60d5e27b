"""Template words that every page may use."""

from typing import Any

import segno
from django import template
from django.urls import translate_url
from django.utils.translation import get_language

from cardshop.common import rich_text
from cardshop.common.links import absolute_url
from cardshop.common.money import display

register = template.Library()
register.filter("rich", rich_text.rich_text)
register.filter("plain", rich_text.plain_text)


@register.filter
def money(minor: int, currency: str) -> str:
    """`{{ variant.price_minor|money:variant.currency }}` → ¥9.90"""
    return display(minor, currency)


@register.filter
def localized(thing: Any, field: str) -> str:
    """The field in the page's language; the main one where no translation was entered."""
    if get_language() == "en" and (text := getattr(thing, f"{field}_en", "")):
        return str(text)
    return str(getattr(thing, field))


@register.filter
def clock(seconds: int) -> str:
    """Seconds as a countdown shows them: 845 → 14:05"""
    return f"{seconds // 60}:{seconds % 60:02}"


@register.filter
def qr_picture(text: str) -> str:
    """A QR code as the source of an <img>: a picture that a phone can keep, as it cannot an SVG.

    Empty for a text that no QR code can hold.
    """
    try:
        code = segno.make(text, error="m")
    except segno.DataOverflowError:
        return ""
    return code.png_data_uri(scale=6, border=3)


@register.simple_tag(takes_context=True)
def in_language(context: dict[str, Any], code: str) -> str:
    """This page's address in another language. No page is another by its query, which strangers choose."""
    return str(translate_url(context["request"].path, code))


@register.simple_tag(takes_context=True)
def whole_address(context: dict[str, Any], path: str, code: str = "") -> str:
    """`https://shop.example/…`, of the page in another language if there is a `code`."""
    return absolute_url(context["shop"], translate_url(path, code) if code else path)
