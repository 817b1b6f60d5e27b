"""What an attacker sends, through the real nginx: it ends there, or changes nothing for anybody else.

Requests are written byte by byte: no decent client would send these.
"""

import re
import socket
from contextlib import ExitStack, closing

import pytest

LORISES = 300
# Asks to be answered, if anybody takes it for a request of its own.
HIDDEN = "GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"


def request(line: str, *headers: str, body: str = "") -> str:
    return "\r\n".join([f"{line} HTTP/1.1", "Host: {host}", *headers, "", body])


def answers(gateway, said: str) -> list[int]:
    """The status of every answer to these bytes; [0] for one without a status line."""
    heard = b""
    with closing(socket.create_connection(("127.0.0.1", gateway.port))) as connection:
        connection.settimeout(20)  # nginx lingers for 5 s
        try:
            connection.sendall(said.replace("{host}", host_of(gateway)).encode())
            while chunk := connection.recv(65536):
                heard += chunk
        except ConnectionError:
            pass  # hung up on while still talking; what was heard counts
    found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]
    return found or [0] * bool(heard)


def host_of(gateway) -> str:
    return f"127.0.0.1:{gateway.port}"


CHUNKED = "Transfer-Encoding: chunked"
SMUGGLED = {
    "a length and chunks": (400, request("POST /", "Content-Length: 4", CHUNKED, body="0\r\n\r\n")),
    "chunks and a length": (400, request("POST /", CHUNKED, "Content-Length: 4", body="0\r\n\r\n")),
    "two lengths": (400, request("POST /", "Content-Length: 0", "Content-Length: 60")),
    "two lengths that agree": (400, request("POST /", "Content-Length: 0", "Content-Length: 0")),
    "two lengths in one line": (400, request("POST /", "Content-Length: 0, 60")),
    "a length with a sign": (400, request("POST /", "Content-Length: +0")),
    "a length in hexadecimal": (400, request("POST /", "Content-Length: 0x0")),
    "a length below zero": (400, request("POST /", "Content-Length: -1")),
    "a coding that nobody knows": (501, request("POST /", "Transfer-Encoding: xchunked")),
    "two codings": (501, request("POST /", "Transfer-Encoding: gzip, chunked", body="0\r\n\r\n")),
    "two codings in two lines": (400, request("POST /", CHUNKED, "Transfer-Encoding: x", body="0\r\n\r\n")),
    "a space before the colon": (400, request("POST /", "Content-Length : 60")),
    "a folded line": (400, request("POST /", "X-A: b", " Content-Length: 60")),
    "a zero in a name": (400, request("POST /", "X-A\0: b")),
    "a zero in a value": (400, request("POST /", "X-A: b\0c")),
    "a chunk whose size is no number": (400, request("POST /buy/direct/", CHUNKED, body="0x0\r\n\r\n")),
    "a chunk too large to count": (400, request("POST /buy/direct/", CHUNKED, body=f"{'f' * 17}\r\n\r\n")),
    "no host": (400, "GET / HTTP/1.1\r\n\r\n"),
    "two hosts": (400, request("GET /", "Host: elsewhere.example")),
    "another host in the line": (400, request("GET http://elsewhere.example/")),
    "a tunnel": (400, "CONNECT 127.0.0.1:5432 HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    "a protocol to come": (505, "GET / HTTP/2.0\r\nHost: {host}\r\n\r\n"),
}


@pytest.mark.parametrize(("status", "said"), SMUGGLED.values(), ids=SMUGGLED)
def test_a_request_that_two_servers_could_read_in_two_ways_is_refused_with_all_behind_it(
    gateway, status, said
):
    assert answers(gateway, said + HIDDEN) == [status]


def test_control_a_second_request_would_be_answered(gateway):
    assert answers(gateway, request("GET /") + HIDDEN) == [200, 200]


def test_a_request_in_chunks_reaches_django_with_a_length(gateway):
    """Extensions and trailers of chunks end here, so Django's server never reads chunks."""
    body = "2;a=b\r\n{}\r\n0\r\nContent-Length: 60\r\n\r\n"
    headers = ("Content-Type: application/json", CHUNKED)

    assert answers(gateway, request("POST /api/v1/passes/", *headers, body=body) + HIDDEN) == [400, 200]


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


def test_slow_clients_keep_nobody_waiting_and_are_hung_up_on(gateway):
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
            connection.sendall(halves[number % 2].replace("{host}", host_of(gateway)).encode())
            slow.append(connection)

        assert [answers(gateway, HIDDEN) for _ in range(20)] == [[200]] * 20
        assert {hung_up(connection) for connection in slow} == {True}


def hung_up(connection: socket.socket) -> bool:
    """Waits until the gateway says goodbye: a 408 or a reset."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


LIES = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Server": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Port": "6666",
    "Forwarded": "host=evil.example;proto=gopher",
    "X-Original-URL": "/evil/",
    "X-Rewrite-URL": "/evil/",
    "X-HTTP-Method-Override": "DELETE",
    "X-Method-Override": "DELETE",
    "X-Accel-Redirect": "/refused/403.en.html",
    "Cookie": "django_language=en; sessionid=evil",
    "Range": "bytes=0-1",
    "If-Match": '"evil"',
    "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT",
    "If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT",
    "Accept": "evil/*",
    "Accept-Language": "en-evil;q=9,,;;",
    "Origin": "https://evil.example",
    "User-Agent": "evil",
}


@pytest.mark.parametrize("path", ["/en/", "/api/v1/products/"])
@pytest.mark.parametrize("name", LIES)
def test_what_one_client_says_changes_nothing_for_the_next(gateway, name, path):
    """What is kept may be of an earlier test, if that one was within the second; it must be right, too."""
    with gateway.client(address="127.0.0.3") as client:
        honest = {"Accept-Language": "en"}
        client.get(f"{path}?evil={name}", headers={**honest, name: LIES[name]})
        seen = client.get(path, headers=honest)

    assert seen.status_code == 200
    assert "evil" not in seen.text + repr(seen.headers)
    assert seen.headers["Content-Language"] == "en"
    assert len(seen.content) > 2  # not the range that the liar asked for


ADDRESSES = ["/buy/direct/", "/en/buy/direct/"]


@pytest.mark.parametrize("path", ADDRESSES)
def test_each_buyer_is_given_a_pass_of_his_own(gateway, path):
    with gateway.client() as client:
        passes = {re.search(r'name="pass" value="([^"]+)"', client.get(path).text)[1] for _ in range(5)}

    assert len(passes) == 5


CONFUSED = [
    "/buy/direct/x.css",
    "/buy/direct/;x.css",
    "/buy/direct/%2e%2e/x.css",
    "/buy/direct%2fx.css",
    "/p/x%2f..%2f..%2fbuy/direct/",
    "/p/direct;a/",
    "/static/..%2f..%2fmanage.py",
    "/static/%2e%2e/manage.py",
    "/static../manage.py",
    "/media/products/..%2f..%2fmanage.py",
    "/form/buy/direct/",
    "/refused/403.en.html",
    "/metrics",
]


@pytest.mark.parametrize("path", CONFUSED)
def test_an_address_in_disguise_shows_nobody_anything(gateway, path):
    assert answers(gateway, request(f"GET {path}", "Connection: close")) in ([400], [404])


HOSTS = ["evil.example", "", "a b", "127.0.0.1@evil.example", "demo.localhost/evil", "[::1"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_is_none_of_ours_is_refused_before_django(gateway, host):
    assert answers(gateway, f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n") == [400]
