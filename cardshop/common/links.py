"""Addresses that leave the shop: in mails, and for providers' notices."""

from typing import Protocol

from django.conf import settings


class HasHost(Protocol):
    host: str


def absolute_url(shop: HasHost, path: str) -> str:
    """`https://shop.example/path`, from the configured host and never from a request's."""
    return f"{settings.SITE_SCHEME}://{shop.host}{settings.SITE_PORT}{path}"
