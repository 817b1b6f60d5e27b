"""Too much, or too slowly: neither is read to its end, and nobody else waits for it."""

import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest

from tests.gateway.wire import CHUNKED, HIDDEN, answers, host_of, request
from tests.gateways import Gateway, replacing

LORISES = 300
TOO_MUCH = {
    "one long header": (400, request("GET /", "X-A: " + "a" * 9000, "Connection: close")),
    "many headers": (400, request("GET /", *(f"X-{n}: {'a' * 1000}" for n in range(40)))),
    "a long address": (414, request("GET /" + "a" * 9000)),
    "a long body": (413, request("POST /buy/direct/", "Content-Length: 65537")),
    "a long body in chunks": (413, request("POST /buy/direct/", CHUNKED, body=f"11000\r\n{'a' * 0x11000}")),
    "a long click": (
        413,
        request("POST /api/v1/tickets/", "Content-Type: application/json", "Content-Length: 65537"),
    ),
}


@pytest.mark.parametrize(("status", "said"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_what_is_too_large_is_not_read_to_its_end(gateway, status, said):
    assert answers(gateway, said) == [status]
    assert answers(gateway, HIDDEN) == [200]


@contextmanager
def slow_clients(gateway: Gateway) -> Iterator[list[socket.socket]]:
    """Half of them stop in their headers, half in a body."""
    halves = [
        "GET / HTTP/1.1\r\nHost: {host}\r\nX-A: ",
        request("POST /buy/direct/", "Content-Length: 1000", body="quantity="),
    ]
    with ExitStack() as stack:
        slow = []
        for number in range(LORISES):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port)))
            connection.settimeout(60)
            slow.append(connection)
            with suppress(ConnectionError):
                connection.sendall(halves[number % 2].replace("{host}", host_of(gateway)).encode())
        yield slow


def hung_up(connection: socket.socket) -> bool:
    """Waits until the gateway says goodbye: a 408 or a reset."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_slow_clients_keep_nobody_waiting_and_are_hung_up_on(gateway):
    with slow_clients(gateway) as slow:
        assert [answers(gateway, HIDDEN) for _ in range(20)] == [[200]] * 20
        assert {hung_up(connection) for connection in slow} == {True}


def few_connections(configuration: str) -> str:
    changed = re.sub(r"worker_connections \d+", "worker_connections 50", configuration)
    return replacing("worker_processes auto", "worker_processes 1")(changed)


def is_answered(gateway: Gateway) -> bool:
    try:
        return answers(gateway, HIDDEN, patience=2) == [200]
    except TimeoutError:
        return False


def test_control_with_few_connections_slow_clients_would_keep_everybody_out(changed):
    small = changed(few_connections)
    assert is_answered(small)

    # Not always at once: nginx lets one in for a slow one that has said nothing yet.
    with ExitStack() as waves:
        for _ in range(10):
            waves.enter_context(slow_clients(small))
            if not is_answered(small):
                return
    pytest.fail("everybody was answered")
