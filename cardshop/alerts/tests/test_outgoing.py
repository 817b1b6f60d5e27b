"""What somebody else's address may make us call, over real connections."""

import socket
import time

import pytest

from cardshop.common import outgoing
from cardshop.common.outgoing import NoAnswer, NotAllowed, is_public, post, require_callable


def call(url, *, private=False, seconds=5.0):
    return post(url, body=b"{}", headers={}, seconds=seconds, private=private)


@pytest.mark.parametrize(
    "address",
    [
        *["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"],
        *["100.64.0.1", "224.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::1", "::", "fe80::1"],
        *["fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"],
        *["64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1"],
        *["::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b:1::7f00:1", "fec0::1"],
    ],
)
def test_these_are_not_on_the_internet(address):
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_these_are(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        *["", "nonsense", "https://", "ftp://example.org/", "file:///etc/passwd", "http://example.org/"],
        *["https://user:pass@example.org/", "https://example.org:99999/", "https://exa mple.org/"],
        *["https://example.org/\r\nX-Evil: 1", "https://127.0.0.1/", "https://[::1]/", "https://[fe80::1]/"],
        "https://10.0.0.1:8443/hook",
    ],
)
def test_these_are_refused_by_their_looks(url):
    with pytest.raises(NotAllowed):
        require_callable(url, private=False)


@pytest.mark.parametrize("name", ["localhost", "2130706433", "0x7f.1", "127.1"])
def test_a_name_is_judged_by_what_it_stands_for_when_it_is_called(services, name):
    port = services.url.rpartition(":")[2]
    with pytest.raises((NotAllowed, NoAnswer)):
        call(f"https://{name}:{port}/hook")
    assert services.heard == []


def test_of_several_addresses_one_that_is_private_is_enough(monkeypatch):
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, 443)) for at in ("8.8.8.8", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: both)
    tried = []
    monkeypatch.setattr(socket, "create_connection", lambda *args, **_more: tried.append(args))

    with pytest.raises(NotAllowed):
        call("https://rebinding.example/hook")

    assert tried == []


def _forget_clients() -> None:
    for private in (False, True):
        outgoing._client(private).close()
    outgoing._client.cache_clear()


def test_control_without_the_guard_the_name_leads_into_this_machine(services, monkeypatch):
    """The same call, when nobody looks at the addresses: it is heard."""
    _forget_clients()
    monkeypatch.setattr(outgoing, "_require_public", lambda address: None)
    monkeypatch.setattr(outgoing, "require_callable", lambda url, private: None)
    assert call(services.url.replace("127.0.0.1", "localhost") + "/hook").is_yes
    assert len(services.heard) == 1
    _forget_clients()


def test_a_redirect_is_an_answer_and_is_not_followed(services):
    answer = call(f"{services.url}/away", private=True)
    assert (answer.status, answer.is_yes) == (302, False)
    assert [path for path, _headers, _body in services.heard] == ["/away"]


def test_who_never_answers_is_left_in_time(services):
    began = time.monotonic()
    with pytest.raises(NoAnswer, match="no answer in time"):
        call(f"{services.url}/hang", private=True, seconds=0.2)
    assert time.monotonic() - began < 0.8


def test_an_endless_answer_is_read_up_to_a_limit(services):
    answer = call(f"{services.url}/endless", private=True)
    assert len(answer.body) == outgoing.ANSWER_BYTES


@pytest.mark.parametrize("host", ["a..b", f"{'a' * 64}.example"])
def test_a_name_that_cannot_be_one_is_no_answer(host):
    with pytest.raises(NoAnswer):
        call(f"https://{host}/hook")


def test_nobody_there_is_told_without_the_address():
    with pytest.raises(NoAnswer) as nobody:
        call("http://127.0.0.1:9/secret-path", private=True)
    assert "secret-path" not in str(nobody.value)
