"""Bytes that two servers could read in two ways: refused, or exactly one request to the server behind."""

import secrets

import pytest

from tests.gateway.upstream import Upstream
from tests.gateway.wire import CHUNKED, HIDDEN, answers, request
from tests.gateways import Gateway, replacing

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


# What nginx is lenient about. Whoever stands behind it must find one request, in the strict spelling.
COVERED = f"Content-Length: {len(HIDDEN.replace('{host}', '127.0.0.1:10000'))}"
LAST = "Connection: close"
ONE_AT_MOST = {
    "line feeds alone": (200, request("GET /first/", LAST).replace("\r", "")),
    "line feeds alone, and a body": (200, request("POST /first/", COVERED, LAST).replace("\r", "")),
    "a length behind a line feed": (200, request("POST /first/", f"X-A: b\n{COVERED}", LAST)),
    "an end by a line feed": (200, request("GET /first/", "X-A: b", LAST).removesuffix("\r\n") + "\n"),
    "empty lines before": (200, "\r\n\n\r\n" + request("GET /first/", LAST)),
    "two carriage returns": (200, request("GET /first/", "X-A: b\r", LAST)),
    "a length behind a carriage return": (400, request("POST /first/", f"X-A: b\r{COVERED}", LAST)),
    "carriage returns alone": (400, request("GET /first/").replace("\n", "")),
    "a carriage return in the first line": (400, request("GET /first/\rX")),
    "a carriage return in a name": (400, request("GET /first/", "X-A\r: b")),
    "a line folded by a tab": (400, request("POST /first/", "X-A: b", f"\t{COVERED}", LAST)),
    "a line folded at once": (400, "GET /first/ HTTP/1.1\r\n Host: {host}\r\n\r\n"),
    "the first version, which has no headers": (0, "GET /first/\r\n"),
    "the first version, with a host": (0, "GET http://{host}/first/\r\n"),
    "the first version, by a line feed": (0, "GET http://{host}/first/\n"),
    "chunks in an older version": (400, request("POST /first/", CHUNKED).replace("HTTP/1.1", "HTTP/1.0")),
    "a chunk by line feeds": (200, request("POST /first/", CHUNKED, LAST, body="3\nabc\n0\n\n")),
    "a line feed in a chunk's extension": (
        200,
        request("POST /first/", CHUNKED, LAST, body="3;a\nabc\r\n0\r\n\r\n"),
    ),
    "a carriage return in a chunk's extension": (
        400,
        request("POST /first/", CHUNKED, LAST, body="3;a\rabc\r\n0\r\n\r\n"),
    ),
    "a chunk longer than it says": (
        400,
        request("POST /first/", CHUNKED, LAST, body="3\r\nabcd\r\n0\r\n\r\n"),
    ),
    "a length in a trailer": (
        200,
        request("POST /first/", CHUNKED, LAST, body=f"3\r\nabc\r\n0\r\n{COVERED}\r\n\r\n"),
    ),
    "chunks by another name": (200, request("POST /first/", "Transfer_Encoding: chunked", COVERED, LAST)),
    "chunks behind a tab": (501, request("POST /first/", "Transfer-Encoding: \tchunked")),
    "a length behind a tab": (400, request("POST /first/", "Content-Length: \t3")),
    "a length that belongs to the connection": (
        200,
        request("POST /first/", COVERED, "Connection: close, Content-Length"),
    ),
    "a GET with a body": (200, request("GET /first/", COVERED, LAST)),
    "a GET with a body, of a page that is kept": (200, request("GET /p/first/", COVERED, LAST)),
    "a way to the second version": (
        200,
        request(
            "GET /first/", "Connection: close, Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: "
        ),
    ),
}


def heard_behind(
    listener: Gateway | Upstream, upstream: Upstream, said: str
) -> tuple[list[int], list[bytes]]:
    """What is answered to these bytes with a second request behind them, and what the server behind heard."""
    return answers(listener, said + HIDDEN), upstream.heard


def reads_in_one_way(request: bytes) -> bool:
    """Lines end with both characters, nothing folds, and only a length says where the body ends."""
    head = request.partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    names = {line.partition(b":")[0].lower() for line in lines[1:]}
    return (
        not any(odd in line for line in lines for odd in (b"\r", b"\n", b"\t", b"\0"))
        and not any(line.startswith(b" ") for line in lines)
        and not names & {b"transfer-encoding", b"transfer_encoding", b"upgrade"}
    )


@pytest.mark.parametrize(("status", "said"), ONE_AT_MOST.values(), ids=ONE_AT_MOST)
def test_the_server_behind_hears_one_request_or_none(fronted, upstream, status, said):
    told, heard = heard_behind(fronted, upstream, said)

    assert told == [status]
    assert len(heard) <= 1
    assert bool(heard) or status != 200
    assert all(each.split()[1] in (b"/first/", b"/p/first/") and reads_in_one_way(each) for each in heard)


def test_control_a_second_request_would_be_heard(fronted, upstream):
    told, heard = heard_behind(fronted, upstream, request("GET /first/"))

    assert (told, len(heard)) == ([200, 200], 2)


@pytest.mark.parametrize("name", ["a length behind a line feed", "chunks by another name"])
def test_control_without_the_gateway_it_would_arrive_as_it_was_sent(upstream, name):
    _, heard = heard_behind(upstream, upstream, ONE_AT_MOST[name][1])

    assert not reads_in_one_way(heard[0])


LENGTHS = (30, 40, 60, 80, 100, 120, 150, 200)


def bodies_are_announced(configuration: str) -> str:
    """To the server that has pages made, and that waits for them a second."""
    changed = replacing("client_body_timeout 10s", "client_body_timeout 1s")(configuration)
    return replacing('proxy_set_header Content-Length "";', "")(changed)


def pages_are_made_at_once(configuration: str) -> str:
    """Without that server between, by one process, so that all requests share its connections."""
    changed = replacing("worker_processes auto", "worker_processes 1")(configuration)
    changed = replacing("proxy_pass http://pages;", "proxy_pass http://storefront$uri;")(changed)
    return replacing('proxy_set_header Content-Length "";', "")(changed)


def told_with_a_body(gateway: Gateway, method: str, length: int) -> list[int]:
    """For a page, which needs no body. Of a host of its own, so that nothing is kept and Django is asked."""
    host = f"{secrets.token_hex(4)}.localhost"
    odd = f"{method} /en/p/direct/ HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{LAST}\r\n\r\n"
    return answers(gateway, odd + "a" * length)


def told_after_a_body(gateway: Gateway) -> set[int]:
    """What buyers are told whose requests follow those with a body."""
    with gateway.client() as next_one:
        told = set()
        for length in LENGTHS:
            assert told_with_a_body(gateway, "GET", length) == [200]
            told.add(next_one.get("/en/o/nobodys/").status_code)
        return told


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_who_sends_a_body_for_a_page_is_given_the_page(gateway, method):
    assert [told_with_a_body(gateway, method, length) for length in LENGTHS] == [[200]] * len(LENGTHS)


def test_a_body_that_is_not_passed_on_leaves_the_next_request_whole(gateway):
    assert told_after_a_body(gateway) == {404}


def test_control_if_it_were_announced_the_page_would_wait_for_it(changed):
    assert told_with_a_body(changed(bodies_are_announced), "GET", 60) == [503]


def test_control_if_django_were_told_of_it_the_next_request_would_be_taken_for_it(changed):
    assert 400 in told_after_a_body(changed(pages_are_made_at_once))
