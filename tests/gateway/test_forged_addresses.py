"""Who is calling: whatever a client says of himself, his address is the one that he calls from."""

import pytest

from tests.gateway.log import lines_of
from tests.gateway.upstream import Upstream, headers_of
from tests.gateways import Gateway, replacing

pytestmark = pytest.mark.timeout(240)

EVERYBODY_IS_TRUSTED = replacing("real_ip_header", "set_real_ip_from 0.0.0.0/0;\n    real_ip_header")
ONLY_THE_LAST_COUNTS = replacing("real_ip_recursive on", "real_ip_recursive off")
UNDERSCORES_ARE_READ = replacing("server_tokens", "underscores_in_headers on;\n    server_tokens")

FORGED = {
    "one": [("X-Forwarded-For", "203.0.113.9")],
    "several": [("X-Forwarded-For", "203.0.113.9, 203.0.113.10")],
    "in two lines": [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-For", "203.0.113.10")],
    "a proxy of ours": [("X-Forwarded-For", "203.0.113.9, 127.0.0.1")],
    "no address": [("X-Forwarded-For", "203.0.113.9:80, unknown")],
    "by other names": [("X-Real-IP", "203.0.113.9"), ("Forwarded", "for=203.0.113.9;proto=https")],
    "with underscores": [("X_Forwarded_For", "203.0.113.9"), ("X_Forwarded_Proto", "https")],
    "and a scheme": [("X-Forwarded-For", "203.0.113.9"), ("X-Forwarded-Proto", "https")],
}


def heard_of_who_calls(gateway: Gateway, upstream: Upstream, *, address: str, said: list) -> dict[str, list]:
    """What the server behind hears of him, without the names of the headers that are every request's."""
    with gateway.client(address=address) as client:
        assert client.get("/somewhere/", headers=said).status_code == 200
    heard = headers_of(upstream.heard[-1])
    common = ("host", "x-request-id", "accept", "accept-encoding", "user-agent")
    return {name: values for name, values in heard.items() if name not in common}


@pytest.mark.parametrize("said", FORGED.values(), ids=FORGED)
def test_a_stranger_is_heard_of_by_the_address_that_he_calls_from(fronted, upstream, said):
    heard = heard_of_who_calls(fronted, upstream, address="127.0.0.2", said=said)

    assert heard == {"x-forwarded-for": ["127.0.0.2"], "x-forwarded-proto": ["http"]}


@pytest.mark.parametrize(
    ("change", "forged"), [(EVERYBODY_IS_TRUSTED, "one"), (UNDERSCORES_ARE_READ, "with underscores")]
)
def test_control_a_careless_gateway_would_pass_on_what_he_says(before, upstream, change, forged):
    heard = heard_of_who_calls(before(change), upstream, address="127.0.0.2", said=FORGED[forged])

    assert "203.0.113.9" in repr(heard)


PROXIED = {
    "one": ("203.0.113.9", "203.0.113.9"),
    "what the client had said, and what the proxy saw": ("192.0.2.66, 203.0.113.9", "203.0.113.9"),
    "two proxies of ours": ("192.0.2.66, 203.0.113.9, 127.0.0.1", "203.0.113.9"),
    "a client who claims to be a proxy of ours": ("127.0.0.1, 203.0.113.9", "203.0.113.9"),
    "nothing": ("", "127.0.0.1"),
    "nothing that could be read": ("192.0.2.66, unknown", "127.0.0.1"),
}


@pytest.mark.parametrize(("said", "address"), PROXIED.values(), ids=PROXIED)
def test_a_proxy_of_ours_is_believed_about_who_called_it_and_no_further(fronted, upstream, said, address):
    headers = [("X-Forwarded-For", said), ("X-Forwarded-Proto", "https")]

    heard = heard_of_who_calls(fronted, upstream, address="127.0.0.1", said=headers)

    assert heard == {"x-forwarded-for": [address], "x-forwarded-proto": ["https"]}


def test_control_the_last_address_alone_would_be_that_of_our_own_proxy(before, upstream):
    said = [("X-Forwarded-For", PROXIED["two proxies of ours"][0])]

    heard = heard_of_who_calls(before(ONLY_THE_LAST_COUNTS), upstream, address="127.0.0.1", said=said)

    assert heard["x-forwarded-for"] == ["127.0.0.1"]


def test_the_log_has_the_address_that_is_believed(gateway):
    said = {"X-Forwarded-For": "192.0.2.66, 203.0.113.200"}
    with gateway.client(**said) as proxied, gateway.client(address="127.0.0.2", **said) as stranger:
        answers = [client.get("/healthz") for client in (proxied, stranger)]

    logged = [lines_of(gateway, answer)[0]["address"] for answer in answers]
    assert logged == ["203.0.113.200", "127.0.0.2"]


def test_control_a_stranger_who_is_trusted_would_write_the_log_himself(changed):
    careless = changed(EVERYBODY_IS_TRUSTED)
    with careless.client(address="127.0.0.2", **{"X-Forwarded-For": "203.0.113.200"}) as stranger:
        answer = stranger.get("/healthz")

    assert lines_of(careless, answer)[0]["address"] == "203.0.113.200"


def refused(gateway: Gateway, *, address: str, said: str) -> int:
    """How many of a hundred bad clicks are too many, if `{}` is another number each time. Fifty are not."""
    with gateway.client(address=address) as client:
        told = [
            client.post("/buy/coins/", headers={"X-Forwarded-For": said.format(number)}).status_code
            for number in range(100)
        ]
    assert set(told) <= {200, 429}
    return told.count(429)


# From where, and as whom, somebody calls who would like to be a hundred people.
DISGUISES = {
    "a stranger": ("127.0.0.21", "203.0.113.{}"),
    "behind a proxy": ("127.0.0.1", "192.0.2.{}, 198.51.100.1"),
    "behind two proxies": ("127.0.0.1", "192.0.2.{}, 198.51.100.2, 127.0.0.1"),
    "as a proxy of ours": ("127.0.0.22", "192.0.2.{}, 127.0.0.1"),
}


@pytest.mark.parametrize(("address", "said"), DISGUISES.values(), ids=DISGUISES)
@pytest.mark.usefixtures("upstream")
def test_nobody_escapes_the_limits_by_other_addresses(fronted, address, said):
    assert refused(fronted, address=address, said=said) >= 30


@pytest.mark.parametrize(("address", "said"), DISGUISES.values(), ids=DISGUISES)
@pytest.mark.usefixtures("upstream")
def test_control_if_everybody_were_trusted_all_of_them_would_escape(before, address, said):
    assert refused(before(EVERYBODY_IS_TRUSTED), address=address, said=said) == 0


def told_to_the_victim(gateway: Gateway, victim: str) -> int:
    """After a stranger has clicked too often in his name."""
    refused(gateway, address="127.0.0.23", said=victim)
    with gateway.client(**{"X-Forwarded-For": victim}) as client:
        return client.post("/buy/coins/").status_code


@pytest.mark.usefixtures("upstream")
def test_nobody_uses_up_what_another_may_do(fronted):
    assert told_to_the_victim(fronted, "198.51.100.3") == 200


@pytest.mark.usefixtures("upstream")
def test_control_if_everybody_were_trusted_the_victim_would_be_refused(before):
    assert told_to_the_victim(before(EVERYBODY_IS_TRUSTED), "198.51.100.3") == 429
