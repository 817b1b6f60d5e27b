"""Who is let in by a signature or a key that is sent along, and who is not."""

import subprocess
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cardshop.common.clock import db_now
from cardshop.traffic import buckets
from resellers.api import authentication
from resellers.keys import BETWEEN, follow, revoke
from resellers.models import ApiKey, Proof, Reseller, Scope
from resellers.signing import SCHEME, WINDOW
from resellers.tests.calling import API, make_program, make_reseller
from tests.factories import make_shop

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
ACCOUNT = f"{API}account/"


def refused(answer) -> tuple[int, str]:
    assert answer["Content-Type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code
    assert said["type"] == f"urn:cardshop:problem:{said['code']}"
    return answer.status_code, said["code"]


def test_a_key_and_its_reseller_are_read_as_they_were_written():
    program = make_program(scopes=[Scope.BALANCE])
    jwk = {"kty": "OKP", "crv": "X25519", "x": "A" * 43, "kid": "2026"}
    Reseller.objects.update(encrypted_to=jwk)

    key = authentication.resellers_key(program.key.shop, program.key.name, Proof.SIGNED)

    assert key is not None
    assert key.reseller is not None
    assert (key.scopes, key.reseller.encrypted_to) == (["balance"], jwk)


def test_a_signed_request_is_answered_and_nobody_may_keep_it():
    answer = make_program().call(ACCOUNT)

    assert answer.json() == {
        "name": "Partner",
        "currency": "CNY",
        "balance_minor": 0,
        "credit_minor": 0,
        "spendable_minor": 0,
    }
    assert "no-store" in answer["Cache-Control"]
    assert answer["RateLimit-Policy"].startswith('"calls";q=')
    assert answer.cookies == {}


@pytest.mark.parametrize(
    "altered",
    [
        {"path": f"{ACCOUNT}?limit=1"},
        {"method": "POST"},
        {"body": b"{}"},
    ],
    ids=["another query", "another method", "another body"],
)
def test_a_signature_fits_one_request(altered):
    program = make_program()
    sent = {"path": ACCOUNT, "method": "GET", "body": b"", **altered}

    answer = program.call(**sent, headers={"Authorization": program.signed(ACCOUNT)})

    assert refused(answer) == (401, "not_authenticated")
    assert answer["WWW-Authenticate"] == "Cardshop-HMAC-SHA256, Bearer"


@pytest.mark.parametrize("off", [-WINDOW - 5, WINDOW + 5])
def test_a_request_of_another_time_is_refused(off):
    program = make_program()
    said = program.signed(ACCOUNT, timestamp=int(time.time()) + off)

    assert refused(program.call(ACCOUNT, headers={"Authorization": said})) == (401, "stale_request")


def test_a_request_is_answered_once():
    program = make_program()
    said = program.signed(ACCOUNT)

    assert program.call(ACCOUNT, headers={"Authorization": said}).status_code == 200
    assert refused(program.call(ACCOUNT, headers={"Authorization": said})) == (401, "replayed")


def test_control_with_nonces_forgotten_it_would_be_answered_again():
    program = make_program()
    said = program.signed(ACCOUNT)

    assert program.call(ACCOUNT, headers={"Authorization": said}).status_code == 200
    buckets._connect().flushdb()
    assert program.call(ACCOUNT, headers={"Authorization": said}).status_code == 200


def test_what_is_not_signed_right_uses_up_no_nonce():
    """Else whoever overhears a nonce could keep the request from being answered."""
    program, stranger = make_program(), make_program(make_reseller("Stranger"))
    nonce = "n" * 32
    forged = stranger.signed(ACCOUNT, nonce=nonce).replace(stranger.key.name, program.key.name)

    assert refused(program.call(ACCOUNT, headers={"Authorization": forged})) == (401, "not_authenticated")
    right = program.signed(ACCOUNT, nonce=nonce)
    assert program.call(ACCOUNT, headers={"Authorization": right}).status_code == 200


NO_KEY = f"{SCHEME} key=ck_{'a' * 20}, timestamp=1, nonce={'n' * 16}, signature={'0' * 64}"


@pytest.mark.parametrize(
    "said",
    ["", "Basic YTpi", "Bearer", "Bearer x", "Bearer ck_\N{SNOWMAN}.x", "Bearer \x00.x", SCHEME, NO_KEY],
)
def test_whatever_else_is_sent_is_answered_alike(said):
    headers = {"Authorization": said.encode().decode("latin-1")}

    assert refused(make_program().call(ACCOUNT, headers=headers)) == (401, "not_authenticated")


def test_a_key_that_is_sent_along_reads_only():
    program = make_program(proof=Proof.BEARER, scopes=[Scope.BALANCE])
    along = {"Authorization": f"Bearer {program.key.name}{BETWEEN}{program.secret}"}

    assert program.call(ACCOUNT, headers=along).status_code == 200
    assert refused(program.call(ACCOUNT)) == (401, "not_authenticated")  # signed with it
    wrong = {"Authorization": along["Authorization"] + "x"}
    assert refused(program.call(ACCOUNT, headers=wrong)) == (401, "not_authenticated")


def test_only_a_digest_is_kept_of_what_is_sent_along_and_what_signs_is_sealed():
    along = make_program(proof=Proof.BEARER, scopes=[Scope.BALANCE])
    signing = make_program(make_reseller("B"))

    for program in (along, signing):
        row = ApiKey.objects.filter(pk=program.key.pk).values().get()
        assert program.secret not in str({**row, "sealed_secret": bytes(row["sealed_secret"] or b"")})
    assert ApiKey.objects.get(pk=signing.key.pk).opened_secret() == signing.secret


def test_a_key_opens_no_other_shop():
    program = make_program()
    make_shop("other")

    assert refused(program.call(ACCOUNT, headers={"host": "other.localhost"})) == (401, "not_authenticated")


def test_networks_scopes_suspension_end_and_revocation_are_heeded():
    inside, outside = {"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": "198.51.100.1"}
    reseller = make_reseller()
    program = make_program(
        reseller, networks="203.0.113.0/24\n2001:db8::/32", scopes=["catalogue", "balance"]
    )

    assert program.call(ACCOUNT, **inside).status_code == 200
    assert program.call(ACCOUNT, REMOTE_ADDR="::ffff:203.0.113.9").status_code == 200
    assert refused(program.call(ACCOUNT, **outside)) == (403, "address_not_allowed")
    assert refused(program.call(ACCOUNT, REMOTE_ADDR="")) == (403, "address_not_allowed")  # by a socket file
    ApiKey.objects.update(scopes=["catalogue"])
    answer = program.call(ACCOUNT, **inside)
    assert (*refused(answer), answer.json()["scope"]) == (403, "scope_missing", "balance")
    Reseller.objects.update(is_suspended=True)
    assert refused(program.call(ACCOUNT, **inside)) == (403, "suspended")
    Reseller.objects.update(is_suspended=False)
    ApiKey.objects.update(expires_at=db_now() - timedelta(seconds=1))
    assert refused(program.call(ACCOUNT, **inside)) == (401, "not_authenticated")
    ApiKey.objects.update(expires_at=None)
    assert (revoke(program.key, now=db_now()), revoke(program.key, now=db_now())) == (True, False)
    assert refused(program.call(ACCOUNT, **inside)) == (401, "not_authenticated")


def test_a_key_that_is_followed_works_for_a_while(settings):
    program = make_program()
    new, secret = follow(program.key, now=db_now())

    assert program.call(ACCOUNT).status_code == 200
    assert type(program)(new, secret).call(ACCOUNT).status_code == 200
    assert ApiKey.objects.get(pk=program.key.pk).expires_at <= db_now() + timedelta(hours=24)
    ApiKey.objects.filter(pk=program.key.pk).update(expires_at=db_now())
    assert refused(program.call(ACCOUNT)) == (401, "not_authenticated")


def test_each_key_has_its_own_measure(settings):
    settings.RESELLER_CALLS_AT_ONCE, settings.RESELLER_CALLS_PER_SECOND = 2, 0.01
    one, other = make_program(), make_program(make_reseller("B"))

    assert [one.call(ACCOUNT).status_code for _ in range(3)] == [200, 200, 429]
    answer = one.call(ACCOUNT)
    assert refused(answer) == (429, "too_many_requests")
    assert int(answer["Retry-After"]) > 0
    assert other.call(ACCOUNT).status_code == 200


def test_without_redis_requests_are_answered(monkeypatch):
    monkeypatch.setattr(authentication.Bucket, "take", lambda bucket, who: None)

    assert make_program().call(ACCOUNT).status_code == 200


def test_the_recipe_in_the_manual_signs_right():
    program, manual = make_program(), Path("docs/resellers.md").read_text()
    recipe = manual.partition("```bash\n")[2].partition("curl")[0]
    recipe = recipe.replace("key=ck_…  secret=…", f"key={program.key.name}  secret={program.secret}")
    told = f'echo "{SCHEME} key=$key, timestamp=$now, nonce=$nonce, signature=$signature"'
    script = f"set -eu\n{recipe}\n{told}"

    said = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout

    assert program.call(ACCOUNT, headers={"Authorization": said}).status_code == 200
