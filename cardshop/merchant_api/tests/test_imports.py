"""Card keys sent by program: sealed as they come, imported in the background, once for their key."""

from hashlib import sha256

import pytest

from cardshop.common.clock import db_now
from cardshop.merchant_api import imports
from cardshop.merchant_api.tests.calling import API, make_own, send_keys
from cardshop.outbox.models import OutboxMessage
from inventory.imports.running import import_batches
from inventory.models import CardKey, KeyBatch, KeyUpload
from resellers.models import IdempotentWrite, MerchantScope
from tests.factories import counters, make_by_hand, make_variant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
KEYS = b"A-1\nA-2\nA-1\n\x01\nA-3\n"


def test_keys_are_imported_and_what_was_left_out_is_told_by_line():
    variant, own = make_variant(), make_own()

    answer = send_keys(own, f"variants/{variant.code}/imports/?note=from+ERP&unit_cost_minor=520", KEYS)
    import_batches([answer.json()["id"]], db_now())

    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    told = own.call(f"{API}imports/{answer.json()['id']}/").json()
    assert [told[name] for name in ("state", "percent", "lines", "imported", "duplicates", "refused")] == [
        *("done", 100, 5, 3, 1, 1)
    ]
    assert [told["id"]] == [one["id"] for one in own.call(f"{API}imports/").json()["imports"]]
    left_out = own.call(f"{API}imports/{answer.json()['id']}/left-out/").json()
    assert left_out["left_out"] == [{"line": 3, "reason": "repeated"}, {"line": 4, "reason": "not_text"}]
    batch = KeyBatch.objects.get()
    assert (batch.imported_by, batch.note) == (f"ERP ({own.key.name})", "from ERP")
    assert (batch.unit_cost_minor, batch.cost_currency) == (520, "CNY")
    assert counters(variant) == (3, 3, 0)


def test_the_same_import_sent_again_is_the_same_import():
    variant, own = make_variant(), make_own()
    path = f"variants/{variant.code}/imports/"

    once = send_keys(own, path, KEYS, key="import-1")
    again = send_keys(own, path, KEYS, key="import-1")
    other = send_keys(own, path, b"B-1", key="import-1")

    assert again.json() == once.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (KeyBatch.objects.count(), KeyUpload.objects.count()) == (1, 1)
    assert OutboxMessage.objects.count() == 1


def test_a_heading_that_is_not_there_is_told_at_once_and_leaves_nothing():
    variant, own = make_variant(), make_own()

    path = f"variants/{variant.code}/imports/?layout=csv&heading=code"
    answer = send_keys(own, path, b"key,other\nA-1,x\n")

    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["heading"])
    assert (KeyUpload.objects.count(), KeyBatch.objects.count(), IdempotentWrite.objects.count()) == (0, 0, 0)


@pytest.mark.parametrize(
    ("body", "code"), [(b" \n\n", "invalid"), (b"\x00\xff\xfe", "invalid"), (b"x" * 2048, "too_large")]
)
def test_what_cannot_be_imported_leaves_nothing(body, code, settings):
    settings.IMPORT_FILE_LIMIT = 1024
    variant, own = make_variant(), make_own()

    answer = send_keys(own, f"variants/{variant.code}/imports/", body)

    assert answer.json()["code"] == code
    assert not KeyUpload.objects.exists()


def test_of_a_body_that_is_not_signed_not_a_byte_is_read(monkeypatch):
    variant, own = make_variant(), make_own()
    read = []
    monkeypatch.setattr(imports, "_spooled", lambda *said: read.append(said))
    path = f"variants/{variant.code}/imports/"

    unsigned = own.call(API + path, "POST", KEYS, headers={"Authorization": own.signed(API + path, "POST")})
    stranger = send_keys(own, path, KEYS, digest=sha256(b"other").digest())
    reader = send_keys(make_own(scopes=[MerchantScope.CATALOGUE_READ]), path, KEYS)

    assert (unsigned.status_code, unsigned.json()["code"]) == (400, "digest_missing")
    assert (stranger.status_code, reader.status_code) == (401, 403)
    assert read == []


def test_a_body_that_is_not_what_was_signed_is_not_imported(monkeypatch):
    variant, own = make_variant(), make_own()
    monkeypatch.setattr(imports, "announced", lambda _request: sha256(b"other").hexdigest())
    path = f"variants/{variant.code}/imports/"
    headers = {
        "Authorization": own.signed(API + path, "POST", b"other"),
        "Idempotency-Key": "import-1",
    }

    answer = own.call(API + path, "POST", KEYS, headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (400, "digest_differs")
    assert not KeyUpload.objects.exists()


def test_a_variant_without_keys_takes_none():
    answer = send_keys(make_own(), f"variants/{make_by_hand().code}/imports/", KEYS)

    assert answer.json()["code"] == "not_by_keys"
    assert not CardKey.objects.exists()
