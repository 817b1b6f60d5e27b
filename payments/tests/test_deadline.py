"""A provider that spreads its answer over time, over real connections."""

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from threading import Thread

import httpcore
import httpx
import pytest

from cardshop.common import deadline
from cardshop.common.deadline import DeadlineTransport, within
from payments.gateways.base import Unreachable
from payments.gateways.exchange import fetch

TOTAL, PAUSE = 0.15, 0.01  # seconds; each answer below needs at least twice the total
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """`behave(connection, how many requests came over it before)`, until it returns False."""

    def __init__(self, behave: Callable[[socket.socket, int], bool | None]) -> None:
        self._behave = behave
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.connections = 0
        self._threads = [Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._threads.append(Thread(target=self._serve, args=[connection]))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            requests = 0
            while connection.recv(65536) and self._behave(connection, requests):
                requests += 1

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive(), "the caller has not hung up"


@pytest.fixture
def serve():
    servers = []

    def start(behave):
        servers.append(server := Server(behave))
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def http():
    with httpx.Client(transport=DeadlineTransport(), timeout=5, trust_env=False) as client:
        yield client


@pytest.fixture(autouse=True)
def _short(settings):
    settings.PROVIDER_TOTAL_TIMEOUT = TOTAL


def trickle(connection, content):
    for byte in content:
        connection.sendall(bytes([byte]))
        time.sleep(PAUSE)


def headers_trickle(connection, _):
    trickle(connection, ANSWER)


def body_trickles(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 30\r\n\r\n")
    trickle(connection, b"x" * 30)


def silence(connection, _):
    connection.recv(1)  # until the caller hangs up


def one_header_after_the_other(connection, _):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-Padding: yes\r\n" * 100)


def it_will_not_be_long(connection, _):
    while True:
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")
        time.sleep(PAUSE)


def handshake_trickles(connection, _):
    trickle(connection, b"\x16\x03\x03\x40\x00" + bytes(30))


@pytest.mark.parametrize(
    ("behave", "said", "scheme"),
    [
        (headers_trickle, "ReadTimeout", "http"),
        (body_trickles, "ReadTimeout", "http"),
        (silence, "ReadTimeout", "http"),
        (one_header_after_the_other, "RemoteProtocolError", "http"),
        (it_will_not_be_long, "ReadTimeout", "http"),
        (handshake_trickles, "ConnectTimeout", "https"),
    ],
)
def test_a_call_ends_within_its_time_and_is_made_once(serve, http, behave, said, scheme):
    server = serve(behave)

    with pytest.raises(Unreachable, match=said):
        fetch(http, "GET", f"{scheme}://127.0.0.1:{server.port}/")

    assert server.connections == 1


def test_control_with_time_outs_of_each_read_only_a_trickle_is_read_to_its_end(serve):
    server = serve(headers_trickle)

    with httpx.Client(timeout=5, trust_env=False) as plain:
        assert fetch(plain, "GET", f"http://127.0.0.1:{server.port}/") == b"ok"


def test_an_answer_in_time_is_read_and_its_connection_kept(serve, http, settings):
    settings.PROVIDER_TOTAL_TIMEOUT = 60
    server = serve(lambda connection, _: connection.sendall(ANSWER) or True)

    for _ in range(3):
        assert fetch(http, "GET", f"http://127.0.0.1:{server.port}/") == b"ok"

    assert server.connections == 1
    http.close()


def test_what_was_sent_into_a_closed_connection_is_sent_again_over_a_new_one(serve, http, settings):
    settings.PROVIDER_TOTAL_TIMEOUT = 60

    def once_a_connection(connection, requests):
        if requests:
            return False
        connection.sendall(ANSWER)
        return True

    server = serve(once_a_connection)
    url = f"http://127.0.0.1:{server.port}/"

    assert [fetch(http, "GET", url), fetch(http, "GET", url)] == [b"ok", b"ok"]

    assert server.connections == 2
    http.close()


def test_who_closes_a_new_connection_is_not_called_again(serve, http, settings):
    settings.PROVIDER_TOTAL_TIMEOUT = 60
    server = serve(lambda connection, _: False)

    with pytest.raises(Unreachable):
        fetch(http, "GET", f"http://127.0.0.1:{server.port}/")

    assert server.connections == 1


def test_many_addresses_where_nobody_answers_are_tried_for_as_long_as_one(http, monkeypatch):
    tried = []

    def nobody(self, address, port, timeout, *_):
        tried.append(address)
        time.sleep(min(timeout, TOTAL / 3))
        raise httpcore.ConnectTimeout

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", nobody)
    monkeypatch.setattr(deadline, "_addresses", lambda host, port: [f"192.0.2.{n}" for n in range(50)])

    with pytest.raises(Unreachable, match="ConnectTimeout"):
        fetch(http, "GET", "http://pay.example/")

    assert 1 < len(tried) <= 4


def test_the_second_address_is_tried_when_the_first_refuses(serve, http, monkeypatch):
    server = serve(lambda connection, _: connection.sendall(ANSWER) or True)
    monkeypatch.setattr(deadline, "_addresses", lambda host, port: ["127.0.0.2", "127.0.0.1"])

    assert fetch(http, "GET", f"http://pay.example:{server.port}/") == b"ok"
    http.close()


def test_several_calls_inside_one_deadline_share_its_time(serve, http, settings):
    settings.PROVIDER_TOTAL_TIMEOUT = 60
    server = serve(lambda connection, _: time.sleep(PAUSE) or connection.sendall(ANSWER) or True)

    def again_and_again():
        while True:
            fetch(http, "GET", f"http://127.0.0.1:{server.port}/")

    with within(TOTAL), pytest.raises(Unreachable, match="Timeout"):
        again_and_again()
    http.close()
