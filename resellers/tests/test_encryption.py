"""Card keys that are told only to whoever has the reseller's private key."""

import json
from base64 import urlsafe_b64decode
from typing import Any

import pytest
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from orders.models import DeliveredKey
from orders.services.replacing import replace_keys
from resellers.encryption import ALGORITHM, read_public_key
from resellers.models import Reseller, Scope
from resellers.tasks import fill_orders
from resellers.tests.calling import API, Program, make_program, make_reseller
from resellers.tests.test_orders import ORDERS, later, order, rich
from tests.factories import make_variant, stock_up, the_shop
from tests.staff import logged_in, make_boss

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
KEY = f"{API}account/encryption-key/"
Private = RSAKey | ECKey | OKPKey
KINDS = {
    "RSA": lambda: RSAKey.generate_key(2048),
    "P-256": lambda: ECKey.generate_key("P-256"),
    "X25519": lambda: OKPKey.generate_key("X25519"),
}


def put(program: Program, key: str = "the-key-1", **said: Any) -> Any:
    return program.call(KEY, "PUT", json.dumps(said).encode(), headers={"Idempotency-Key": key})


def opened(line: dict[str, Any], private: Private) -> list[str]:
    algorithms = [ALGORITHM[private.key_type], "A256GCM"]
    plain = jwe.decrypt_compact(line["encrypted_keys"], private, algorithms=algorithms).plaintext
    return list(json.loads(plain or b""))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("form", ["jwk", "pem"])
def test_only_the_private_key_reads_what_was_delivered(kind, form):
    private, another = KINDS[kind](), KINDS[kind]()
    few, many = make_variant(), make_variant()
    mine = {few.code: stock_up(few, 2), many.code: stock_up(many, 3)}
    program = make_program(rich())
    said = private.as_dict(private=False) if form == "jwk" else private.as_pem(private=False).decode()

    told = put(program, **{form: said}).json()
    bought = order(program, (few, 2), (many, 3))
    number = bought.json()["number"]
    again = program.call(f"{ORDERS}{number}/keys/")

    assert (told["kid"], told["alg"]) == (private.thumbprint(), ALGORITHM[private.key_type])
    for answer in (bought, again):
        assert [key for keys in mine.values() for key in keys if key.encode() in answer.content] == []
        lines = answer.json()["lines"]
        assert {line["variant"]: opened(line, private) for line in lines} == mine
        assert [(line.get("keys"), line["unreadable"]) for line in lines] == [(None, 0)] * 2
        header = json.loads(urlsafe_b64decode(lines[0]["encrypted_keys"].partition(".")[0] + "=="))
        assert {name: header[name] for name in ("alg", "enc", "kid", "cty")} == {
            "alg": told["alg"],
            "enc": "A256GCM",
            "kid": told["kid"],
            "cty": "json",
        }
        with pytest.raises((JoseError, ValueError)):
            opened(lines[0], another)


def test_what_is_filled_later_and_what_is_replaced_is_encrypted_too():
    private = OKPKey.generate_key("X25519")
    variant = make_variant()
    keys = stock_up(variant, 3)
    program = make_program(rich())
    put(program, jwk=private.as_dict(private=False))
    number = later(program, (variant, 2)).json()["number"]
    fill_orders()
    before = opened(program.call(f"{ORDERS}{number}/keys/").json()["lines"][0], private)

    slot = DeliveredKey.objects.get(slot=0)
    replace_keys(slot.item, bad=[slot.card_key_id], reason="dead", actor="boss", now=db_now())
    answer = program.call(f"{ORDERS}{number}/keys/")

    assert before == keys[:2]
    assert opened(answer.json()["lines"][0], private) == [keys[2], keys[1]]
    assert not any(key.encode() in answer.content for key in keys)


def test_before_delivery_the_list_is_empty_and_without_a_key_all_is_in_clear():
    private = OKPKey.generate_key("X25519")
    variant = make_variant()
    (key,) = stock_up(variant, 1)
    program = make_program(rich())
    put(program, jwk=private.as_dict(private=False))
    number = order(program, (variant, 1)).json()["number"]
    DeliveredKey.objects.all().delete()

    (line,) = program.call(f"{ORDERS}{number}/keys/").json()["lines"]
    gone = program.call(KEY, "DELETE", headers={"Idempotency-Key": "the-key-2"}).json()
    clear = order(program, (make_variant(keys=1), 1), key="another-order").json()

    assert opened(line, private) == []
    assert gone == {"kid": None, "alg": None, "enc": None, "jwk": None} == program.call(KEY).json()
    assert key not in clear["lines"][0]["keys"]
    assert len(clear["lines"][0]["keys"]) == 1
    assert "encrypted_keys" not in clear["lines"][0]


def test_who_reads_keys_does_not_say_to_whom_they_are_encrypted_and_whoever_does_is_written_down():
    reseller = make_reseller()
    others = [scope for scope in Scope.values if scope != Scope.ENCRYPTION]
    reading, setting = make_program(reseller, scopes=others), make_program(reseller, scopes=["encryption"])
    jwk = OKPKey.generate_key("X25519").as_dict(private=False)

    refused = [put(reading, jwk=jwk), reading.call(KEY, "DELETE", headers={"Idempotency-Key": "the-key-1"})]
    done = put(setting, jwk={**jwk, "kid": "2026"})

    assert [answer.json()["code"] for answer in refused] == ["scope_missing"] * 2
    assert done.json()["jwk"] == {**jwk, "kid": "2026"} == Reseller.objects.get().encrypted_to
    entry = AuditEntry.objects.get(of="resellers.reseller")
    assert (entry.who, entry.said) == (setting.key.acts_as, "Card keys are encrypted to 2026.")


def test_a_key_is_set_once_for_its_idempotency_key():
    program = make_program()
    first, second = (OKPKey.generate_key("X25519").as_dict(private=False) for _ in range(2))

    answers = [put(program, jwk=first), put(program, "the-key-2", jwk=second), put(program, jwk=first)]
    other = put(program, jwk=second)

    assert answers[2].json() == answers[0].json()
    assert Reseller.objects.get().encrypted_to == answers[1].json()["jwk"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert put(program, "", jwk=first).json()["code"] == "idempotency_key_missing"


def _bad() -> dict[str, Any]:
    fit = OKPKey.generate_key("X25519")
    public, small = fit.as_dict(private=False), RSAKey.generate_key(1024, auto_kid=False)
    return {
        "a private JWK": fit.as_dict(private=True),
        "a private PEM": ECKey.generate_key("P-256").as_pem(private=True).decode(),
        "a small RSA key": small.as_dict(private=False),
        "a small RSA key as PEM": small.as_pem(private=False).decode(),
        "a slow exponent": {**RSAKey.generate_key(2048).as_dict(private=False), "e": "AQ" * 40 + "E"},
        "another curve": ECKey.generate_key("P-384").as_dict(private=False),
        "another curve as PEM": ECKey.generate_key("P-384").as_pem(private=False).decode(),
        "a key that signs": OKPKey.generate_key("Ed25519").as_dict(private=False),
        "a key that signs as PEM": OKPKey.generate_key("Ed25519").as_pem(private=False).decode(),
        "a shared secret": OctKey.generate_key(256).as_dict(private=True),
        "a point that is on no curve": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43},
        "a point of small order": {**public, "x": "A" * 43},
        "half a key": {"kty": "EC", "crv": "P-256", "x": "A" * 43},
        "nothing": {},
        "numbers": {"kty": 7},
        "for signatures": {**public, "use": "sig"},
        "for another algorithm": {**public, "alg": "ECDH-ES"},
        "a long kid": {**public, "kid": "x" * 65},
        "a kid of two lines": {**public, "kid": "a\nb"},
        "no PEM at all": "ssh-rsa AAAA",
        "an empty PEM": "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----",
        "too much": {**public, "x5c": ["x" * 20_000]},
    }


@pytest.mark.parametrize("name", _bad())
def test_what_is_no_key_of_ours_is_refused(name):
    said, program = _bad()[name], make_program()
    form = "pem" if isinstance(said, str) else "jwk"

    answer = put(program, **{form: said})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == [form]
    assert Reseller.objects.get().encrypted_to is None


def test_one_form_of_it_is_sent():
    private = OKPKey.generate_key("X25519")
    jwk, pem = private.as_dict(private=False), private.as_pem(private=False).decode()

    for said in ({}, {"jwk": jwk, "pem": pem}, {"jwk": jwk, "kid": "mine"}):
        assert put(make_program(make_reseller(f"P{len(said)}{'kid' in said}")), **said).status_code == 400


def test_the_merchant_sets_it_sees_it_and_takes_it_away():
    boss, reseller = logged_in(make_boss()), make_reseller()
    page = f"/admin/resellers/reseller/{reseller.pk}/change/"
    form = {"name": "Partner", "contact_email": "p@example.org", "initial-encrypted_to": ""}
    private = ECKey.generate_key("P-256")

    refused = boss.post(page, {**form, "encrypted_to": private.as_pem(private=True).decode()})
    boss.post(page, {**form, "encrypted_to": private.as_pem(private=False).decode()})

    jwk = Reseller.objects.get().encrypted_to
    assert (refused.status_code, jwk["kid"]) == (200, private.thumbprint())
    shown = boss.get(page).content.decode()
    assert jwk["kid"] in shown
    assert 'name="initial-encrypted_to"' in shown
    old = {"initial-encrypted_to": json.dumps(jwk)}
    boss.post(page, {**form, **old, "encrypted_to": ""})
    assert Reseller.objects.get().encrypted_to is None


def test_an_old_page_of_the_merchants_does_not_undo_what_the_program_has_set():
    boss, reseller = logged_in(make_boss()), make_reseller()
    jwk = read_public_key(OKPKey.generate_key("X25519").as_dict(private=False))
    put(make_program(reseller), jwk=jwk)
    form = {
        "name": "New name",
        "contact_email": "p@example.org",
        "initial-encrypted_to": "",
        "encrypted_to": "",
    }

    boss.post(f"/admin/resellers/reseller/{reseller.pk}/change/", {**form, "encrypted_to": ""})

    reseller.refresh_from_db()
    assert (reseller.name, reseller.encrypted_to) == ("New name", jwk)
    assert the_shop() == reseller.shop
