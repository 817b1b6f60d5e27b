"""What members of a reseller see and do on their page."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.core import mail
from django.utils.html import escape
from django.utils.timezone import localdate

from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from payments.ledger.entries import credit, set_credit
from payments.models import TopUp
from resellers.events.emitting import emit
from resellers.members.errors import SentBefore
from resellers.models import (
    ApiKey,
    Event,
    EventKind,
    Reseller,
    ResellerMember,
    ResellerOrder,
    WebhookDelivery,
    WebhookEndpoint,
)
from resellers.orders.asking import Asked, accept, order_now
from resellers.page.paging import SHOWN
from resellers.tasks import mail_members
from resellers.tests.calling import API, Program, make_program
from resellers.tests.people import Person, make_person
from resellers.webhooks.endpoints import make_endpoint
from tests.factories import make_variant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]


@pytest.fixture
def owner() -> Person:
    return Person.of(make_person())


@pytest.fixture
def viewer(owner: Person) -> Person:
    return Person.of(make_person(owner.member.reseller, email="viewer@example.org", role="viewer"))


def text_of(answer: Any) -> str:
    assert "no-store" in answer["Cache-Control"]
    return str(answer.content.decode())


def pay_in(reseller: Reseller, amount_minor: int = 100_000) -> None:
    credit(reseller.balance, amount_minor=amount_minor, reason="transfer", actor="till", now=db_now())


def asked_by(
    reseller: Reseller, *, key: str = "the-key-1", reference: str = "2026-1", quantity: int = 2
) -> Asked:
    lines = [{"variant": "coins", "quantity": quantity}]
    return Asked(reseller=reseller, key=key, digest="0", lines=lines, reference=reference)


def bought_by(reseller: Reseller) -> ResellerOrder:
    make_variant(code="coins", keys=3)
    pay_in(reseller)
    return order_now(asked_by(reseller), now=db_now())


class TestAccount:
    def test_balance_and_entries_the_newest_first(self, owner):
        for number in range(SHOWN + 2):
            pay_in(owner.member.reseller, 100 + number)

        newest, page = owner.get(), text_of(owner.get())
        oldest = text_of(owner.get(before=re.search(r"\?before=(\d+)", page)[1]))

        assert newest.context["balance"].amount_minor == sum(range(100, 100 + SHOWN + 2))
        amounts = re.findall(r"<strong>\+¥(\d\.\d\d)</strong>", page)
        assert amounts == [f"{(100 + number) / 100:.2f}" for number in range(SHOWN + 1, 1, -1)]
        assert re.findall(r"<strong>\+¥(\d\.\d\d)</strong>", oldest) == ["1.01", "1.00"]
        assert "before=" not in oldest.split("<main")[1]

    @pytest.mark.parametrize("before", ["x", "-1", "1" * 30, "²", "0"])
    def test_a_page_that_is_none_is_the_first_or_empty(self, owner, before):
        assert owner.get(before=before).status_code == 200

    def test_paying_in_leads_to_the_page_where_it_is_paid_and_twice_to_the_same(self, owner):
        form = re.search(r'name="form" value="([^"]+)"', text_of(owner.get()))[1]

        first, second = (owner.press("pay-in/", {"amount": " 500 ", "form": form}) for _ in range(2))

        top_up = TopUp.objects.get()
        assert (first.status_code, first["Location"]) == (303, f"/en/o/{top_up.order.token}/")
        assert second["Location"] == first["Location"]
        assert (top_up.order.total_minor, top_up.balance) == (50_000, owner.member.reseller.balance)
        assert top_up.asked_by == "li@example.org (Partner)"
        assert top_up.order.number in text_of(owner.client.get(first["Location"]))
        assert top_up.order.number in text_of(owner.get())

    @pytest.mark.parametrize("amount", ["", "0", "-5", "1e3", "0.001", "x", "99999999999", "a\0"])
    def test_no_amount_is_said_at_its_field(self, owner, amount):
        answer = owner.press("pay-in/", {"amount": amount, "form": "once-1"})

        assert answer.status_code == 400
        assert 'id="amount-error"' in text_of(answer)
        assert not TopUp.objects.exists()

    def test_only_owners_pay_in(self, viewer):
        assert "pay-in" not in text_of(viewer.get())
        assert viewer.press("pay-in/", {"amount": "500", "form": "once-1"}).status_code == 403
        assert not TopUp.objects.exists()

    def test_a_statement_is_downloaded_and_a_bad_period_said(self, viewer):
        pay_in(viewer.member.reseller, 12_345)
        today = localdate().isoformat()

        said = viewer.get("statement.csv", **{"from": today, "to": today})
        lines = b"".join(said.streaming_content).decode("utf-8-sig").splitlines()

        assert said["Content-Type"].startswith("text/csv")
        assert "no-store" in said["Cache-Control"]
        assert [line.split(",")[1] for line in lines] == [
            "kind",
            "opening balance",
            "paid in",
            "closing balance",
        ]
        assert "123.45" in lines[2]
        for asked in ({"from": today}, {"from": "2020-01-01", "to": today}, {"from": "x", "to": "y"}):
            wrong = viewer.get("statement.csv", **asked)
            assert wrong.status_code == 400
            assert 'id="period-error"' in text_of(wrong)

    def test_a_credit_line_is_told(self, owner):
        set_credit(owner.member.reseller.balance, 7_000)

        assert "Credit line: ¥70.00" in text_of(owner.get())


class TestKeys:
    FORM = {"label": "ERP", "proof": "signed", "scopes": ["balance"], "networks": "", "form": "once-1"}

    def test_a_key_is_shown_once_and_opens_the_account(self, owner):
        answer = owner.press(
            "keys/new/", {**self.FORM, "networks": " 127.0.0.1  10.0.0.0/8", "expires_on": "2099-12-31"}
        )
        shown = dict(re.findall(r'id="key-(name|secret)">([^<]+)<', text_of(answer)))

        key = ApiKey.objects.get()
        assert (key.name, key.reseller, key.networks) == (
            shown["name"], owner.member.reseller, "127.0.0.1/32\n10.0.0.0/8",
        )  # fmt: skip
        assert key.expires_at.isoformat() == "2099-12-31T15:59:59.999999+00:00"
        assert Program(key, shown["secret"]).call(f"{API}account/").status_code == 200
        assert shown["secret"] not in text_of(owner.get("keys/"))
        noted = AuditEntry.objects.get(of="resellers.apikey")
        assert (noted.who, noted.action, noted.said) == ("li@example.org (Partner)", "added", "balance")
        assert noted.shop == owner.member.reseller.shop

    def test_a_form_that_is_sent_twice_makes_one_key(self, owner):
        owner.press("keys/new/", self.FORM)
        again = owner.press("keys/new/", self.FORM)

        assert again.status_code == SentBefore.http_status
        assert ApiKey.objects.count() == 1
        owner.press("keys/new/", {**self.FORM, "form": "once-2"})
        assert ApiKey.objects.count() == 2

    @pytest.mark.parametrize(
        ("said", "wrong"),
        [
            ({"scopes": ["refunds:write"]}, "scopes"),
            ({"scopes": []}, "scopes"),
            ({"proof": "bearer", "scopes": ["buy"]}, "scopes"),
            ({"networks": "10.0.0.0/99"}, "networks"),
            ({"label": ""}, "label"),
            ({"label": "a\0b"}, "label"),
            ({"expires_on": "2020-01-01"}, "expires_on"),
            ({"proof": "none"}, "proof"),
        ],
    )
    def test_what_is_wrong_is_said_at_its_field_and_what_was_typed_stays(self, owner, said, wrong):
        answer = owner.press("keys/new/", {**self.FORM, "label": "<b>mine", **said})

        assert answer.status_code == 400
        assert f'id="{wrong}-error"' in text_of(answer)
        assert "label" in said or escape("<b>mine") in text_of(answer)
        assert not ApiKey.objects.exists()

    def test_a_new_key_follows_with_a_day_of_overlap_and_one_is_revoked_at_once(self, owner):
        program = make_program(owner.member.reseller)

        shown = text_of(owner.press(f"keys/{program.key.name}/follow/"))
        twice = owner.press(f"keys/{program.key.name}/follow/")
        new = ApiKey.objects.latest("pk")
        owner.press(f"keys/{new.name}/revoke/")

        assert new.name in shown
        assert twice["Location"].endswith("?done=not-followed")
        program.key.refresh_from_db()
        new.refresh_from_db()
        assert (program.key.followed_by, program.key.works_at(db_now())) == (new, True)
        assert not new.works_at(db_now())
        page = text_of(owner.get("keys/", done="revoked"))
        assert "It opens nothing any more." in page
        assert "revoked" in page


class TestOrders:
    def test_orders_with_status_and_by_their_own_number(self, owner):
        placed = bought_by(owner.member.reseller)
        (waiting,) = accept(
            [asked_by(owner.member.reseller, key="the-key-2", reference="2026-2")], now=db_now()
        )

        page = text_of(owner.get("orders/"))
        found = text_of(owner.get("orders/", reference="2026-2"))

        assert page.index(waiting.number) < page.index(placed.number)
        assert "¥" in page
        assert waiting.number in found
        assert placed.number not in found
        assert "coins" in text_of(owner.get(f"orders/{waiting.number}/"))
        assert owner.get("orders/", reference="a\0").status_code == 200

    def test_card_keys_are_shown_after_a_press_alone_and_that_is_noted(self, owner):
        one = bought_by(owner.member.reseller)
        page = text_of(owner.get(f"orders/{one.number}/"))

        assert "data-key" not in page.replace("data-keys", "")
        assert owner.get(f"orders/{one.number}/keys/").status_code == 405
        shown = text_of(owner.press(f"orders/{one.number}/keys/"))

        clear = re.findall(r"data-key>([^<]+)<", shown)
        assert len(clear) == 2
        assert not [key for key in clear if key in page]
        noted = AuditEntry.objects.get(of="resellers.resellerorder")
        assert (noted.who, noted.named, noted.said) == (
            "li@example.org (Partner)", one.number, "Its card keys were shown.",
        )  # fmt: skip

    def test_keys_that_do_not_open_are_counted(self, owner, settings):
        one = bought_by(owner.member.reseller)
        settings.CARD_KEY_KEK = "other:" + "A" * 43 + "="

        page = text_of(owner.press(f"orders/{one.number}/keys/"))

        assert "2 keys cannot be opened just now" in page


class TestWebhooks:
    FORM = {"url": "https://partner.example/hook", "kinds": ["order.paid"], "form": "once-1"}

    def told(self, reseller: Reseller) -> WebhookDelivery:
        event = Event(
            shop=reseller.shop, reseller=reseller, kind=EventKind.PAID, subject="A-SUBJECT", at=db_now()
        )
        emit([event], now=db_now())
        return WebhookDelivery.objects.get()

    def test_one_is_made_paused_resumed_and_removed(self, owner):
        shown = dict(
            re.findall(r'id="key-(name|secret)">([^<]+)<', text_of(owner.press("webhooks/new/", self.FORM)))
        )
        endpoint = WebhookEndpoint.objects.get()
        assert (endpoint.name, endpoint.reseller) == (shown["name"], owner.member.reseller)
        assert endpoint.opened_secret() == shown["secret"]
        assert shown["secret"] not in text_of(owner.get(f"webhooks/{endpoint.name}/"))

        for what in ("pause", "resume", "remove"):
            done = owner.press(f"webhooks/{endpoint.name}/{what}/")
            assert done.status_code == 303
            endpoint.refresh_from_db()
            assert (endpoint.paused_at is not None) == (what == "pause")
            if what == "pause":
                assert "It is paused: what is promised" in text_of(owner.get(f"webhooks/{endpoint.name}/"))
        assert endpoint.removed_at is not None
        assert owner.get(f"webhooks/{endpoint.name}/").status_code == 404
        said = AuditEntry.objects.filter(of="resellers.webhookendpoint").order_by("pk")
        assert [entry.action for entry in said] == ["added", "done", "done", "done"]

    def test_an_address_within_is_refused(self, owner):
        answer = owner.press("webhooks/new/", {**self.FORM, "url": "https://127.0.0.1/"})

        assert answer.status_code == 400
        assert 'id="url-error"' in text_of(answer)

    def test_deliveries_are_told_and_sent_again(self, owner):
        reseller = owner.member.reseller
        endpoint, _ = make_endpoint(
            reseller.shop, reseller=reseller, url="https://p.example/", kinds=["order.paid"], now=db_now()
        )
        delivery = self.told(reseller)
        WebhookDelivery.objects.update(next_at=None, gave_up_at=db_now(), last_error="no answer")
        page = text_of(owner.get(f"webhooks/{endpoint.name}/"))

        again = owner.press(f"webhooks/deliveries/{delivery.uid}/again/")

        assert ("A-SUBJECT" in page, "no answer" in page, "given up" in page) == (True, True, True)
        assert again["Location"].endswith("?done=again")
        delivery.refresh_from_db()
        assert (delivery.gave_up_at, delivery.next_at is not None) == (None, True)
        assert owner.press(f"webhooks/deliveries/{uuid4()}/again/").status_code == 404


class TestMembers:
    def test_an_owner_adds_and_removes_others_but_never_themselves(self, owner):
        typed = {"email": "Mo@Example.org", "name": "Mo", "role": "viewer"}

        assert owner.press("members/new/", typed)["Location"].endswith("?done=invited")
        twice = owner.press("members/new/", typed)

        mo = ResellerMember.objects.get(email="mo@example.org")
        assert (mo.role, mo.reseller, twice.status_code) == ("viewer", owner.member.reseller, 400)
        mail_members()
        assert ["mo@example.org"] in [sent.to for sent in mail.outbox]
        person = Person.of(mo)
        assert owner.press(f"members/{owner.member.pk}/remove/").status_code == 404

        owner.press(f"members/{mo.pk}/remove/")

        assert person.get().status_code == 403
        assert owner.get().status_code == 200
        said = AuditEntry.objects.filter(of="resellers.resellermember").exclude(action="done")
        assert list(said.order_by("pk").values_list("action", flat=True)) == ["added", "deleted"]

    def test_invitations_are_counted(self, owner, settings):
        settings.INVITATIONS_PER_RESELLER = (1, 1)
        for email in ("a@example.org", "b@example.org"):
            answer = owner.press("members/new/", {"email": email, "role": "viewer"})

        assert answer.status_code == 400
        assert owner.member.reseller.members.count() == 2

    def test_a_viewer_looks_and_does_nothing(self, owner, viewer):
        reseller = owner.member.reseller
        one = bought_by(reseller)
        endpoint, _ = make_endpoint(
            reseller.shop, reseller=reseller, url="https://p.example/", kinds=["order.paid"], now=db_now()
        )
        program = make_program(reseller)
        delivery = TestWebhooks().told(reseller)

        for path in (
            "",
            "keys/",
            "orders/",
            f"orders/{one.number}/",
            "webhooks/",
            f"webhooks/{endpoint.name}/",
            "members/",
        ):
            page = text_of(viewer.get(path))
            assert page.count('method="post"') == 1, path  # to log out
        presses = [
            *["keys/new/", "webhooks/new/", "members/new/", f"orders/{one.number}/keys/"],
            *[f"keys/{program.key.name}/{what}/" for what in ("follow", "revoke")],
            *[f"webhooks/{endpoint.name}/{what}/" for what in ("pause", "resume", "remove")],
            *[f"webhooks/deliveries/{delivery.uid}/again/", f"members/{owner.member.pk}/remove/"],
        ]
        assert [viewer.press(path).status_code for path in presses] == [403] * len(presses)
        assert not AuditEntry.objects.exclude(of="resellers.resellermember").exists()

    def test_who_becomes_a_viewer_is_one_at_once(self, owner):
        ResellerMember.objects.update(role="viewer")

        assert owner.get("keys/new/").status_code == 403


def test_both_languages_and_the_way_between_them(owner):
    chinese = owner.client.get("/reseller/keys/")

    assert 'lang="zh-Hans"' in text_of(chinese)
    assert 'href="/en/reseller/keys/"' in text_of(chinese)


def test_what_is_not_there_is_not_found(owner):
    for path in ("orders/NOTHING/", "webhooks/wk_x/", "nothing/"):
        assert owner.get(path).status_code == 404
