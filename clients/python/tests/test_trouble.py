"""A shop that is away for a moment, or says no: a real server that says what it is told to say."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from cardshop_client import Cardshop, NotAnswered, NotEnoughBalance, Refused, TooOften
from cardshop_client import client as subject

ACCOUNT = {"name": "Partner", "currency": "CNY", "balance_minor": 990}
Said = tuple[int, dict[str, str], bytes]


class Server(ThreadingHTTPServer):
    """Answers with what is in `answers`, one after the other; None hangs up."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[Said | None] = []
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.heard.append(self.headers["Authorization"])
        said = self.server.answers.pop(0)
        if said is None:
            self.close_connection = True
            return
        status, headers, body = said
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815  by this name it is called

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        Thread(target=running.serve_forever, args=[0.01]).start()
        yield running
        running.shutdown()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it would have waited."""
    waited: list[float] = []
    monkeypatch.setattr(subject.time, "sleep", waited.append)
    return waited


def calling(server: Server, tries: int = 3) -> Cardshop:
    return Cardshop(server.url, key="ck_" + "a" * 20, secret="s", tries=tries)


def ok() -> Said:
    return 200, {}, json.dumps(ACCOUNT).encode()


def test_after_a_pause_it_is_asked_again_with_another_nonce(server: Server, waits: list[float]):
    server.answers = [(503, {"Retry-After": "7"}, b"<html>"), None, ok()]

    assert calling(server).account().balance_minor == 990

    assert len(set(server.heard)) == 3
    assert waits[0] == 7.0
    assert 0.5 <= waits[1] <= 30.0


def test_who_is_never_answered_is_told_so(server: Server, waits: list[float]):
    server.answers = [None, None, None]

    with pytest.raises(NotAnswered):
        calling(server).account()


def test_too_often_is_told_after_the_last_try(server: Server, waits: list[float]):
    problem = json.dumps({"code": "too_many_requests", "detail": "slowly"}).encode()
    server.answers = [(429, {"Retry-After": "1"}, problem)] * 3

    with pytest.raises(TooOften):
        calling(server).account()
    assert len(waits) == 2


def test_a_no_is_not_asked_again(server: Server, waits: list[float]):
    problem = {"code": "not_enough_balance", "needed_minor": 990, "balance_minor": 1}
    server.answers = [(409, {}, json.dumps(problem).encode())]

    with pytest.raises(NotEnoughBalance) as refused:
        calling(server).order({"steam-50": 1}, idempotency_key="the-key-1")

    assert (refused.value.needed_minor, refused.value.balance_minor) == (990, 1)
    assert waits == []


def test_whatever_stands_before_the_shop_may_speak_no_json(server: Server, waits: list[float]):
    server.answers = [(403, {}, b"<html>no</html>")]

    with pytest.raises(Refused, match="<html>no</html>"):
        calling(server).account()
