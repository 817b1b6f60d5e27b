"""A file of keys goes through the gateway to its import, and lies nowhere in clear on its way."""

import re
import secrets
import time
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from resellers.signing import SCHEME, sign
from tests.gateway.wire import answers, request
from tests.gateways import Gateway

CANARY = b"CANARY-IN-A-"
IMPORT = "/admin/inventory/keybatch/import/"
API = "/api/merchant/v1/variants/"
PASSWORD = "correct-horse-battery"
SET_UP = f"""
from django.contrib.auth.models import User
from inventory.models import Variant
User.objects.create_superuser("importer", "importer@example.org", "{PASSWORD}")
print("VARIANT", Variant.objects.order_by("pk").last().pk)
"""
MAKE_KEY = """
from cardshop.common.clock import db_now
from inventory.models import Variant
from resellers.keys import make_key
variant = Variant.objects.order_by("pk").last()
scopes = ["stock:write", "catalogue:read"]
key, secret = make_key(variant.shop, label="ERP", proof="signed", scopes=scopes, now=db_now())
print("KEY", variant.code, key.name, secret)
"""
# More than any other page takes, of lines that are quickly read.
FILE = (b" " * 1023 + b"\n") * 9 * 1024 + b"".join(b"%sFILE-%d\n" % (CANARY, number) for number in range(300))


@pytest.fixture
def merchant(gateway: Gateway) -> Iterator[tuple[httpx.Client, str]]:
    """Logged in at the administration, and the number of a variant."""
    said = gateway.shop.manage("shell", "-c", SET_UP)
    variant = re.search(r"VARIANT (\d+)", said.stdout)
    assert variant, said.stderr
    with gateway.client() as client:
        client.headers["Accept-Language"] = "en"
        client.get("/admin/login/")
        form = {"username": "importer", "password": PASSWORD, "next": "/admin/", **token(client)}
        assert client.post("/admin/login/", data=form, headers=origin(gateway)).status_code == 302
        yield client, variant[1]


def token(client: httpx.Client) -> dict[str, str]:
    return {"csrfmiddlewaretoken": client.cookies["csrftoken"]}


def origin(gateway: Gateway) -> dict[str, str]:
    return {"Origin": gateway.url}


def in_clear(folder: Path) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if CANARY in path.read_bytes()]


def test_a_large_file_is_imported_and_no_file_has_a_key_in_clear(gateway, merchant):
    client, variant = merchant
    client.get(IMPORT)
    form = {"variant": variant, "layout": "lines", "keys": "", "note": "", **token(client)}

    answer = client.post(
        IMPORT, data=form, files={"file": ("keys.txt", FILE, "text/plain")}, headers=origin(gateway)
    )

    assert answer.status_code == 302, answer.text[-2000:]
    progress = answer.headers["Location"].replace("change", "progress")
    for _ in range(200):
        numbers = client.get(progress).json()
        if numbers["state"] == "done":
            break
        assert numbers["state"] in ("queued", "running")
        time.sleep(0.1)
    assert ">300<" in numbers["figures"]
    assert in_clear(gateway.shop.var) == []
    assert not any(path.is_file() for path in (gateway.folder / "temporary").rglob("*"))


def test_a_program_sends_as_much_and_no_file_has_a_key_in_clear(gateway):
    said = gateway.shop.manage("shell", "-c", MAKE_KEY)
    found = re.search(r"KEY (\S+) (\S+) (\S+)", said.stdout)
    assert found, said.stderr
    code, name, secret = found.groups()
    # Other keys than those of the page: the shop would know them.
    body, path = FILE.replace(b"FILE", b"CALL"), f"{API}{code}/imports/"
    digest = sha256(body)

    def signed(method: str, path: str, body_digest: str) -> str:
        parts = {"timestamp": int(time.time()), "nonce": secrets.token_urlsafe(16)}
        signature = sign(secret, method=method, path=path, body_digest=body_digest, **parts)
        return f"{SCHEME} key={name}, " + ", ".join(
            f"{part}={value}" for part, value in {**parts, "signature": signature}.items()
        )

    with gateway.client() as client:
        headers = {
            "Authorization": signed("POST", path, digest.hexdigest()),
            "Content-Digest": f"sha-256=:{b64encode(digest.digest()).decode()}:",
            "Content-Type": "text/plain",
            "Idempotency-Key": "import-1",
        }
        answer = client.post(path, content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        progress = f"/api/merchant/v1/imports/{answer.json()['id']}/"
        for _ in range(200):
            asked = {"Authorization": signed("GET", progress, sha256().hexdigest())}
            told = client.get(progress, headers=asked).json()
            if told["state"] == "done":
                break
            time.sleep(0.1)
    assert told["imported"] == 300
    assert in_clear(gateway.shop.var) == []


def test_elsewhere_and_beyond_its_limit_it_is_refused_unread(gateway):
    for page, megabytes in (("/admin/login/", 9), (IMPORT, 258), (f"{API}coins/imports/", 258), (API, 1)):
        length = f"Content-Length: {megabytes * 1024 * 1024}"
        assert answers(gateway, request(f"POST {page}", length, "Connection: close")) == [413]
