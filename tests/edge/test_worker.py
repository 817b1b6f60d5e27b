"""The CDN's worker under Node, before an origin of its own; and its words, which are the shop's."""

import json
import subprocess
from pathlib import Path

import pytest
from django.test import Client

from tests.lines import make_sale

HERE = Path(__file__).parent
TICKETS = "/api/v1/tickets/"
CLICK = {
    "variant": "steam-50",
    "quantity": 1,
    "contact_email": "lin@example.org",
    "pass": "v1.nonsense",
    "idempotency_key": "k" * 22,
}
REFUSED = {
    "a bad pass": ("POST", "application/json", json.dumps(CLICK)),
    "another method": ("PUT", "application/json", "{}"),
    "another type": ("POST", "text/plain", "{}"),
    "a form": ("POST", "application/x-www-form-urlencoded; charset=utf-8", "quantity=1"),
    "too much": ("POST", "application/json", " " * (64 * 1024 + 1)),
}
COMPARED = ("Content-Type", "Content-Language", "Cache-Control", "Vary", "X-Content-Type-Options")
ASK_WORKER = f"""
import {{ webcrypto }} from 'node:crypto';
import {{ text }} from 'node:stream/consumers';
import worker from '{(HERE.parents[1] / "deploy/edge/worker.js").as_uri()}';

globalThis.crypto ??= webcrypto;
const [method, type, language, body] = JSON.parse(await text(process.stdin));
const headers = {{ 'Content-Type': type, 'Accept-Language': language }};
const request = new Request('http://shop{TICKETS}', {{ method, headers, body }});
const response = await worker.fetch(request, {{ BUYER_PASS_KEY: '0'.repeat(64) }});
console.log(JSON.stringify([response.status, [...response.headers], await response.json()]));
"""


def test_the_worker_under_node(node):
    said = subprocess.run(
        [node, "--test", HERE / "worker.test.mjs"], capture_output=True, text=True, timeout=60
    )

    assert said.returncode == 0, said.stdout
    assert "\n# pass 15\n" in said.stdout


@pytest.mark.django_db
@pytest.mark.usefixtures("line")
@pytest.mark.parametrize("language", ["en", "zh-hans"])
@pytest.mark.parametrize("click", REFUSED.values(), ids=REFUSED)
def test_a_refusal_is_in_the_words_of_the_shop(click, language, node):
    method, kind, body = click
    make_sale(keys=1, code=CLICK["variant"])

    by_shop = Client().generic(method, TICKETS, body, kind, HTTP_ACCEPT_LANGUAGE=language)
    told = subprocess.run(
        [node, "--input-type=module", "-e", ASK_WORKER],
        input=json.dumps([method, kind, language, body]),
        capture_output=True,
        text=True,
        check=True,
    )

    status, headers, said = json.loads(told.stdout)
    assert (status, said) == (by_shop.status_code, by_shop.json())
    headers = {name.title(): value for name, value in headers}
    assert compared(headers) == compared(by_shop.headers)


def compared(headers):
    return {name: headers[name] for name in COMPARED}
