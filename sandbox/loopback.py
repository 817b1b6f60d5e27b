"""The sandbox's only HTTP client. It calls this machine and nothing else."""

from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

TIMEOUT_S = 5.0
ANSWER_BYTES = 4096  # enough to look for "success" in


class NotLoopback(ValueError):
    """The address is malformed, or leads off this machine."""


class NoAnswer(Exception):
    """The call got no HTTP answer; the message says why."""


def check(url: str) -> None:
    """Raise NotLoopback unless call() would call `url`."""
    _address(url)


def call(
    url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: bytes = b""
) -> tuple[int, str]:
    """Status and start of the body. Redirects are not followed.

    Raises NoAnswer.
    """
    host, port, parts = _address(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection = HTTPConnection(host, port, timeout=TIMEOUT_S)
    try:
        named = {**(headers or {}), "Host": parts.netloc, "Connection": "close"}
        connection.request(method, target, body or None, named)
        answer = connection.getresponse()
        return answer.status, answer.read(ANSWER_BYTES).decode(errors="replace")
    except TimeoutError as exc:
        raise NoAnswer("timed out") from exc
    except (OSError, HTTPException) as exc:
        raise NoAnswer(type(exc).__name__) from exc
    finally:
        connection.close()


def _address(url: str) -> tuple[str, int, SplitResult]:
    # Before urlsplit(): it drops line breaks silently.
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise NotLoopback("not a URL")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
    except ValueError as exc:
        raise NotLoopback("not a URL") from exc
    if parts.scheme != "http" or parts.username is not None:
        raise NotLoopback("not a plain http:// URL")
    if not is_here(host):
        raise NotLoopback("not on this machine")
    return "127.0.0.1" if _is_local_name(host) else host, port, parts


def is_here(host: str) -> bool:
    """Whether a host, without its port, is this machine.

    By name, never by DNS: a name that resolves here today may resolve elsewhere tomorrow.
    """
    try:
        return _is_local_name(host) or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_local_name(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")
