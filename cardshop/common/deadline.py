"""One deadline for all that a call does on the network. httpx's own time-outs are for each read or write:
a provider that sends a byte now and then would never hit them.
"""

import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx


@dataclass
class Call:
    """`ends` by time.monotonic(). `connected` once it has made a connection of its own: no kept one."""

    ends: float
    connected: bool = False


_call: ContextVar[Call | None] = ContextVar("call", default=None)


@contextmanager
def within(seconds: float) -> Iterator[Call]:
    """What this thread does through a DeadlineTransport ends then, however much of it there is: with a
    ConnectTimeout, ReadTimeout or WriteTimeout. Inside another deadline the earlier one counts.

    Looking up a name is the resolver's own time-out, which no program can shorten.
    """
    ends, outer = time.monotonic() + seconds, _call.get()
    call = Call(min(ends, outer.ends) if outer else ends)
    before = _call.set(call)
    try:
        yield call
    finally:
        _call.reset(before)


class DeadlineTransport(httpx.HTTPTransport):
    """As many connections as httpx would keep; no certificates from the environment.

    `refuse` is asked about every address that a name stands for before the first of them is called; what it
    raises ends the call.
    """

    def __init__(self, *, refuse: Callable[[str], None] | None = None) -> None:
        limits = httpx.Limits(max_connections=100, max_keepalive_connections=20)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(trust_env=False),
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(refuse),
        )


class _Backend(httpcore.SyncBackend):
    def __init__(self, refuse: Callable[[str], None] | None) -> None:
        self._refuse = refuse

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """One address after the other, as the standard library does it, which would begin the time-out
        anew for each of them.
        """
        if call := _call.get():
            call.connected = True
        failed: Exception = httpcore.ConnectError("no address")
        addresses = _addresses(host, port)
        for address in addresses if self._refuse else ():
            self._refuse(address)  # type: ignore[misc]
        for address in addresses:
            left = _left(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(super().connect_tcp(address, port, left, local_address, socket_options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        # Our calls are short: the kernel takes them at once, so nobody can make this a trickle.
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:  # UnicodeError: a label that is empty or too long
        raise httpcore.ConnectError(str(error)) from error
    return [str(where[0]) for *_, where in found]


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    """What this step may take: its own time-out, or what is left of the call."""
    call = _call.get()
    if call is None:
        return timeout
    left = call.ends - time.monotonic()
    if left <= 0:
        raise late("the time of this call is used up")
    return left if timeout is None else min(timeout, left)
