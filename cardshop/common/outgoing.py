"""Calls to addresses that somebody has entered, who may not be who may look around in our network.

The name is resolved once, and what is connected to is what was judged: no name can lead elsewhere in between.
Redirects are not followed, proxies and certificates of the environment are not used, and an answer is read up
to a limit. Errors never name the address: it may be a secret.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import httpx
from django.utils.translation import gettext_lazy as _

from cardshop.common.deadline import DeadlineTransport, within
from cardshop.common.errors import DomainError

ANSWER_BYTES = 64 * 1024
_NAT64 = IPv6Network("64:ff9b::/96")
# All that has been given out of IPv6. Outside of it lie more ways to stand for an IPv4 address.
_UNICAST = IPv6Network("2000::/3")


class NotAllowed(DomainError):
    """The address is malformed, or leads where calls must not go."""

    code = "address_not_allowed"
    message = _("This address may not be called.")


class NoAnswer(Exception):
    """There was no HTTP answer; the message says why."""


@dataclass(frozen=True)
class Answer:
    """`body` has the beginning of what was said."""

    status: int
    body: bytes

    @property
    def is_yes(self) -> bool:
        return 200 <= self.status < 300


def require_callable(url: str, *, private: bool) -> None:
    """Raise NotAllowed for what `post` would not call by its looks; names are judged when they are called."""
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise NotAllowed from None
    is_clean = url.isascii() and url.isprintable() and " " not in url
    if not is_clean or not host or parts.username is not None:
        raise NotAllowed(_("This is not a web address."))
    if parts.scheme != "https" and not (private and parts.scheme == "http"):
        raise NotAllowed(_("It has to begin with https://."))
    try:
        address = ip_address(host)
    except ValueError:
        return
    if not private:
        _require_public(str(address))


def get(
    url: str, *, headers: Mapping[str, str], seconds: float, private: bool, most: int = ANSWER_BYTES
) -> Answer:
    """Network. The same as `post`, with nothing to send."""
    return _call("GET", url, None, headers, seconds=seconds, private=private, most=most)


def post(
    url: str,
    *,
    body: bytes,
    headers: Mapping[str, str],
    seconds: float,
    private: bool,
    most: int = ANSWER_BYTES,
) -> Answer:
    """Network. POST and read the answer, up to so many bytes of it, all within so many seconds.

    With `private` also addresses of this machine and of private networks may be called, and without TLS.
    Raises NotAllowed, NoAnswer.
    """
    return _call("POST", url, body, headers, seconds=seconds, private=private, most=most)


def _call(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    seconds: float,
    private: bool,
    most: int,
) -> Answer:
    require_callable(url, private=private)
    sent = {"Accept-Encoding": "identity", "User-Agent": "Cardshop", **headers}
    try:
        with within(seconds), _client(private).stream(method, url, content=body, headers=sent) as answer:
            return Answer(answer.status_code, _beginning(answer, most))
    except httpx.TimeoutException:
        raise NoAnswer("no answer in time") from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NoAnswer(type(error).__name__) from None


def is_public(address: str) -> bool:
    """Whether it is on the internet; so must be an IPv4 address that an IPv6 one stands for."""
    parsed = ip_address(address.partition("%")[0])
    if inner := _inside(parsed):
        return _is_global(inner)
    return _is_global(parsed) and (isinstance(parsed, IPv4Address) or parsed in _UNICAST)


def _is_global(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not address.is_multicast


def _inside(address: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def _require_public(address: str) -> None:
    if not is_public(address):
        raise NotAllowed(_("It leads into this machine or a private network."))


@cache
def _client(private: bool) -> httpx.Client:
    return httpx.Client(
        transport=DeadlineTransport(refuse=None if private else _require_public),
        trust_env=False,
        follow_redirects=False,
    )


def _beginning(answer: httpx.Response, most: int) -> bytes:
    read = b""
    for chunk in answer.iter_raw():
        read += chunk
        if len(read) >= most:
            break
    return read[:most]
