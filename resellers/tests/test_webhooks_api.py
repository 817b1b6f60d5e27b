"""What a reseller's program does about its webhooks, and reads of the feed."""

import json
from uuid import uuid4

import pytest
from django.db.models import F

from cardshop.common.clock import db_now
from resellers.models import IdempotentWrite, Proof, Scope, WebhookDelivery, WebhookEndpoint
from resellers.tests.calling import API, Program, make_program, make_reseller
from resellers.tests.receiving import make_webhook, tell
from resellers.webhooks import endpoints
from resellers.webhooks.sending import send_due

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
WEBHOOKS = f"{API}webhooks/"


def post(program: Program, path: str, key: str = "", **said: object):
    return program.call(path, "POST", json.dumps(said).encode(), headers=once(key))


def delete(program: Program, path: str, key: str = ""):
    return program.call(path, "DELETE", headers=once(key))


def once(key: str = "") -> dict[str, str]:
    """Under that key, or one that nobody has used."""
    return {"Idempotency-Key": key or str(uuid4())}


def test_a_program_makes_a_webhook_hears_by_it_replays_and_removes_it(receiver):
    program = make_program()

    made = post(program, WEBHOOKS, url=receiver.url, kinds=["order.paid"])

    assert made.status_code == 201
    secret, key = made.json()["secret"], made.json()["key"]
    tell(WebhookEndpoint.objects.get(), "C1")
    send_due(clock=db_now)
    assert receiver.has_signed(secret)
    (listed,) = program.call(WEBHOOKS).json()["webhooks"]
    assert listed == {name: said for name, said in made.json().items() if name != "secret"}
    (delivery,) = program.call(f"{WEBHOOKS}deliveries/").json()["deliveries"]
    assert (delivery["webhook"], delivery["last_status"], delivery["next_at"]) == (key, 204, None)
    again = post(program, f"{WEBHOOKS}deliveries/{delivery['id']}/replay/")
    assert (again.status_code, again.json()["delivered_at"]) == (202, None)
    send_due(clock=db_now)
    assert len(receiver.heard) == 2
    assert delete(program, f"{WEBHOOKS}{key}/").status_code == 204
    assert delete(program, f"{WEBHOOKS}{key}/").status_code == 404
    assert program.call(WEBHOOKS).json() == {"webhooks": []}


def test_a_write_is_done_once_for_its_key_and_answered_with_the_same(receiver):
    program, other = make_program(), make_program(make_reseller("Other"))
    said = {"url": receiver.url, "kinds": ["order.paid", "order.delivered"]}

    first, again = (post(program, WEBHOOKS, "make-it-once", **said) for _ in range(2))
    another = post(program, WEBHOOKS, "make-it-once", url=receiver.url, kinds=["order.paid"])
    theirs = post(other, WEBHOOKS, "make-it-once", **said)

    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert (another.status_code, another.json()["code"]) == (422, "idempotency_key_reused")
    assert theirs.json()["key"] != first.json()["key"]
    assert [reseller.webhooks.count() for reseller in (program.key.reseller, other.key.reseller)] == [1, 1]
    secret = first.json()["secret"].encode()
    assert [write.pk for write in IdempotentWrite.objects.all() if secret in bytes(write.answer)] == []
    page = f"{WEBHOOKS}{first.json()['key']}/"
    gone = [delete(program, page, "take-it-away") for _ in range(2)]
    assert [(answer.status_code, answer.content) for answer in gone] == [(204, b"")] * 2
    assert post(program, f"{page}resume/", "take-it-away").status_code == 422


@pytest.mark.parametrize("path", ["", "{key}/pause/", "{key}/resume/", "deliveries/{uid}/replay/"])
def test_a_write_without_a_key_is_refused(receiver, path):
    program = make_program()
    endpoint, _secret = make_webhook(receiver.url, reseller=program.key.reseller)
    tell(endpoint, "C1")
    address = WEBHOOKS + path.format(key=endpoint.name, uid=WebhookDelivery.objects.get().uid)
    body = {"url": receiver.url, "kinds": ["order.paid"]} if not path else {}

    answer = program.call(address, "POST", json.dumps(body).encode())

    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_missing")
    assert program.call(f"{WEBHOOKS}{endpoint.name}/", "DELETE").status_code == 400
    assert WebhookEndpoint.objects.get().paused_at is None


def test_a_delivery_is_sent_again_once_for_each_key(receiver):
    program = make_program()
    endpoint, _secret = make_webhook(receiver.url, reseller=program.key.reseller)
    tell(endpoint, "C1")
    send_due(clock=db_now)
    page = f"{WEBHOOKS}deliveries/{WebhookDelivery.objects.get().uid}/replay/"

    for key in ("send-it-again", "send-it-again", "and-once-more"):
        post(program, page, key)
        send_due(clock=db_now)

    assert len(receiver.heard) == 3


def test_one_is_paused_and_resumed(receiver):
    program = make_program()
    endpoint, _secret = make_webhook(receiver.url, reseller=program.key.reseller)
    page = f"{WEBHOOKS}{endpoint.name}/"

    paused = post(program, f"{page}pause/", "pause-it").json()
    resumed = post(program, f"{page}resume/", "resume-it").json()
    heard = post(program, f"{page}pause/", "pause-it").json()

    assert (paused["paused_at"] is None, resumed["paused_at"]) == (False, None)
    assert heard == paused
    assert WebhookEndpoint.objects.get().paused_at is None


def test_one_that_is_paused_is_resumed(receiver):
    program = make_program()
    endpoint, _secret = make_webhook(receiver.url, reseller=program.key.reseller)
    WebhookEndpoint.objects.update(paused_at=db_now(), paused_because="it failed", failures=3)

    answer = post(program, f"{WEBHOOKS}{endpoint.name}/resume/")

    assert (answer.json()["paused_at"], answer.json()["failures"]) == (None, 0)


def test_what_is_another_resellers_or_the_merchants_is_not_here(receiver):
    program, other = make_program(), make_reseller("Other")
    for endpoint, _secret in (make_webhook(receiver.url, reseller=other), make_webhook(receiver.url)):
        tell(endpoint, "C1")
        delivery = WebhookDelivery.objects.filter(endpoint=endpoint).first()

        assert delete(program, f"{WEBHOOKS}{endpoint.name}/").status_code == 404
        assert post(program, f"{WEBHOOKS}{endpoint.name}/resume/").status_code == 404
        assert post(program, f"{WEBHOOKS}deliveries/{delivery.uid}/replay/").status_code == 404
    assert program.call(WEBHOOKS).json() == {"webhooks": []}
    assert program.call(f"{WEBHOOKS}deliveries/").json() == {"deliveries": [], "next": None}
    assert program.call(f"{API}events/").json()["events"] == []
    assert not WebhookDelivery.objects.exclude(promised_at=F("next_at")).exists()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"url": "http://127.0.0.1/", "kinds": ["order.paid"]}, "address_not_allowed"),
        ({"url": "https://10.0.0.1/", "kinds": ["order.paid"]}, "address_not_allowed"),
        ({"url": "https://example.org/", "kinds": []}, "invalid"),
        ({"url": "https://example.org/", "kinds": ["everything"]}, "invalid"),
        ({"url": "https://example.org/" + "x" * 500, "kinds": ["order.paid"]}, "invalid"),
        ({"url": "https://example.org/\0", "kinds": ["order.paid"]}, "invalid"),
        ({"url": "https://example.org/", "kinds": ["order.paid"], "secret": "mine"}, "invalid"),
    ],
)
def test_what_cannot_be_is_refused(said, code):
    answer = post(make_program(), WEBHOOKS, **said)

    assert answer.json()["code"] == code
    assert not WebhookEndpoint.objects.exists()


def test_there_are_only_so_many_and_it_takes_a_key_that_signs(receiver, monkeypatch):
    monkeypatch.setattr(endpoints, "MOST", 1)
    program = make_program()
    make_webhook(receiver.url, reseller=program.key.reseller)

    answer = post(program, WEBHOOKS, url=receiver.url, kinds=["order.paid"])

    assert (answer.status_code, answer.json()["code"]) == (409, "too_many_webhooks")
    along = make_program(program.key.reseller, proof=Proof.BEARER, scopes=[Scope.ORDERS])
    headers = {"Authorization": f"Bearer {along.key.name}.{along.secret}"}
    assert along.call(WEBHOOKS, headers=headers).json()["code"] == "scope_missing"


def test_the_feed_is_read_to_its_end_and_on_from_there():
    program = make_program()
    endpoint, _secret = make_webhook("https://example.org/", reseller=program.key.reseller)
    tell(endpoint, "C1", "C2", "C3")

    page = program.call(f"{API}events/?limit=2").json()
    rest = program.call(f"{API}events/?after={page['next']}").json()
    nothing = program.call(f"{API}events/?after={rest['next']}").json()
    tell(endpoint, "C4")
    more = program.call(f"{API}events/?after={nothing['next']}").json()

    assert [page["has_more"], rest["has_more"]] == [True, False]
    seen = [*page["events"], *rest["events"], *nothing["events"], *more["events"]]
    assert [event["subject"] for event in seen] == ["C1", "C2", "C3", "C4"]
    again = program.call(f"{API}events/?after={seen[0]['cursor']}").json()
    assert again["events"] == seen[1:]


@pytest.mark.parametrize("query", ["after=x", "after=-1", f"after={'9' * 19}", "limit=0", "limit=201"])
def test_a_page_of_the_feed_that_cannot_be_is_refused(query):
    answer = make_program().call(f"{API}events/?{query}")

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")
    assert list(answer.json()["fields"]) == [query.partition("=")[0]]
