"""Members of resellers: let in by a code that is mailed, and no longer than they are members."""

from datetime import timedelta

import pytest
import redis
from django.core import mail
from django.db.models import F
from django.test import Client

from cardshop.audit.models import AuditEntry
from cardshop.common.clock import db_now
from cardshop.outbox.models import OutboxMessage
from cardshop.traffic import buckets
from resellers.members import logging_in
from resellers.members.joining import MOST, remove_member
from resellers.members.logging_in import VALID_FOR
from resellers.members.sessions import FRESH, IDLE, LONGEST
from resellers.models import LogIn, MemberSession, Reseller, ResellerMember
from resellers.retention import RETENTIONS
from resellers.tasks import mail_log_ins, mail_members
from resellers.tests.calling import make_reseller
from resellers.tests.people import PAGE, Person, browser, mailed_codes, make_person
from tests.factories import make_shop, the_shop
from tests.staff import confirmed, logged_in, make_boss, make_member

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("line")]
SESSION, BROWSER = "cardshop_reseller_en", "cardshop_reseller_asked_en"


def asked(email: str = "li@example.org", client: Client | None = None, **said: str) -> Client:
    client = client or browser(the_shop())
    answer = client.post(f"{PAGE}log-in/", {"email": email, **said})
    assert (answer.status_code, answer["Location"]) == (303, f"{PAGE}enter/")
    return client


def age(by: timedelta) -> None:
    """Everything is so much older."""
    MemberSession.objects.update(confirmed_at=F("confirmed_at") - by, seen_at=F("seen_at") - by)
    LogIn.objects.update(asked_at=F("asked_at") - by)


class TestCodes:
    def test_the_code_of_the_mail_lets_in_and_the_cookie_is_of_these_pages_only(self, settings):
        settings.SESSION_COOKIE_SECURE = True
        make_person()
        client = asked("LI@example.org")

        answer = client.post(f"{PAGE}enter/", {"code": mailed_codes()[0].lower().replace("-", " ")})

        assert (answer.status_code, answer["Location"]) == (303, PAGE)
        given = {name: cookie for name, cookie in answer.cookies.items() if cookie.value}
        assert {name: cookie["path"] for name, cookie in given.items()} == {
            "cardshop_reseller_zh-hans": "/reseller/",
            "cardshop_reseller_en": "/en/reseller/",
        }
        for cookie in given.values():
            assert (cookie["httponly"], cookie["secure"], cookie["samesite"]) == (True, True, "Lax")
        assert client.get(PAGE).status_code == 200
        assert client.get("/reseller/").status_code == 200
        assert AuditEntry.objects.get().who == "li@example.org (Partner)"

    def test_the_mail_is_in_the_language_of_who_asked_and_its_link_takes_a_press(self):
        make_person()
        client = browser(the_shop())
        client.post("/reseller/log-in/", {"email": "li@example.org"})
        code = mailed_codes()[0]
        (sent,) = mail.outbox
        assert "登录" in sent.subject
        link = f"/reseller/enter/{code.replace('-', '')}/"
        assert f"{the_shop().host}" in sent.body
        assert link in sent.body

        scanner = browser(the_shop()).get(link)  # as those who look into mails before their readers do
        page = client.get(link)

        assert code in scanner.content.decode()
        assert "<form" not in scanner.content.decode().split("<main")[1].split("</main")[0]
        assert f'name="code" value="{code}"' in page.content.decode()
        assert not MemberSession.objects.exists()
        assert client.post("/reseller/enter/", {"code": code}).status_code == 303

    def test_an_unknown_address_is_answered_and_worked_for_alike_and_nothing_is_mailed(self):
        make_person()
        known, unknown = (browser(the_shop()).post(f"{PAGE}log-in/", {"email": email}) for email in (
            "li@example.org", "nobody@example.org"
        ))  # fmt: skip

        assert (known.status_code, known["Location"], known.content) == (
            unknown.status_code, unknown["Location"], unknown.content,
        )  # fmt: skip
        assert known.cookies.keys() == unknown.cookies.keys()
        assert OutboxMessage.objects.filter(task="resellers.mail_log_in").count() == 2
        mail_log_ins()
        assert [sent.to for sent in mail.outbox] == [["li@example.org"]]
        assert LogIn.objects.get().contact_email == "li@example.org"

    def test_a_code_works_once(self):
        make_person()
        client = asked()
        code, cookies = mailed_codes()[0], client.cookies.copy()
        client.post(f"{PAGE}enter/", {"code": code})

        again = browser(the_shop())
        again.cookies[BROWSER] = cookies[BROWSER].value
        answer = again.post(f"{PAGE}enter/", {"code": code})

        assert answer.status_code == 410
        assert MemberSession.objects.count() == 1

    def test_a_code_works_in_the_browser_that_asked_for_it_alone(self):
        make_person()
        asked()
        code, thief = mailed_codes()[0], asked("nobody@example.org")

        assert thief.post(f"{PAGE}enter/", {"code": code}).status_code == 410
        assert browser(the_shop()).post(f"{PAGE}enter/", {"code": code}).status_code == 410
        assert not MemberSession.objects.exists()

    def test_a_code_is_good_for_fifteen_minutes(self):
        make_person()
        client = asked()
        code = mailed_codes()[0]
        age(VALID_FOR)

        assert client.post(f"{PAGE}enter/", {"code": code}).status_code == 410

    def test_a_mail_that_would_come_too_late_is_not_sent(self):
        make_person()
        asked()
        age(VALID_FOR)
        mail_log_ins()

        assert mail.outbox == []

    def test_codes_are_tried_ten_times_and_the_right_one_is_no_good_afterwards(self):
        make_person()
        client = asked()
        code = mailed_codes()[0]

        heard = [client.post(f"{PAGE}enter/", {"code": "22222-22222"}).status_code for _ in range(10)]

        assert heard == [410] * 10
        refused = client.post(f"{PAGE}enter/", {"code": code})
        assert (refused.status_code, "Retry-After" in refused) == (429, True)

    def test_mails_to_one_address_are_counted_whoever_asks_and_whether_it_is_known(self):
        for email in ("li@example.org", "nobody@example.org"):
            for _ in range(5):
                asked(email)
            refused = browser(the_shop()).post(f"{PAGE}log-in/", {"email": email.upper()})
            assert refused.status_code == 429

    def test_who_is_in_gets_a_fresh_code_though_strangers_have_asked_in_their_name(self):
        person = Person.of(make_person())
        for _ in range(4):
            asked()

        assert person.press("confirm/").status_code == 303

    def test_without_redis_nobody_is_let_in(self, monkeypatch):
        make_person()
        client = asked()
        code = mailed_codes()[0]

        def away(*args: object, **said: object) -> None:
            raise redis.ConnectionError

        monkeypatch.setattr(buckets, "_script", lambda: away)
        monkeypatch.setattr(buckets._here, "rests_until", 0.0, raising=False)

        assert client.post(f"{PAGE}enter/", {"code": code}).status_code == 503
        assert client.post(f"{PAGE}log-in/", {"email": "li@example.org"}).status_code == 503
        assert client.get(f"{PAGE}log-in/").status_code == 200

    def test_who_looks_after_two_resellers_has_a_code_for_each(self):
        first, second = make_person(), make_person(make_reseller("Another"))
        client = asked()
        codes = mailed_codes()
        assert len(codes) == 2

        client.post(f"{PAGE}enter/", {"code": codes[1]})

        assert MemberSession.objects.get().member in (first, second)
        assert "Another" in client.get(PAGE).content.decode()

    def test_in_another_shop_the_address_is_unknown_and_the_session_none(self):
        person = Person.of(make_person())
        other = make_shop("elsewhere")
        sent = len(mail.outbox)
        asked(client=browser(other))
        mail_log_ins()
        assert len(mail.outbox) == sent

        stranger = browser(other)
        stranger.cookies[SESSION] = person.client.cookies[SESSION].value
        assert stranger.get(PAGE).status_code == 403

    def test_a_session_that_somebody_planted_is_not_taken_over(self):
        """Each log-in has a secret that nobody had before, and ends the session that was here."""
        make_person()
        client = browser(the_shop())
        client.cookies[SESSION] = "planted"
        asked(client=client)

        client.post(f"{PAGE}enter/", {"code": mailed_codes()[0]})

        assert client.cookies[SESSION].value != "planted"
        stranger = browser(the_shop())
        stranger.cookies[SESSION] = "planted"
        assert stranger.get(PAGE).status_code == 403

    @pytest.mark.parametrize(
        "wanted",
        [
            "https://evil.example/",
            "//evil.example/en/reseller/keys/",
            "/\\evil.example",
            "javascript:alert(1)",
            "/admin/",
            "/en/reseller/log-out/",
            "/en/reseller/orders/" + "x" * 300 + "/",
            "/en/reseller/keys/\r\nX: y",
        ],
    )
    def test_nobody_is_led_elsewhere(self, wanted):
        make_person()
        client = asked(next=wanted)

        assert client.post(f"{PAGE}enter/", {"code": mailed_codes()[0]})["Location"] == PAGE

    def test_one_is_led_to_the_page_that_was_wanted(self):
        make_person()
        client = browser(the_shop())
        to_log_in = client.get(f"{PAGE}keys/")
        assert to_log_in["Location"] == f"{PAGE}log-in/?next={PAGE}keys/"
        assert f'name="next" value="{PAGE}keys/"' in client.get(to_log_in["Location"]).content.decode()
        asked(client=client, next=f"{PAGE}keys/")

        assert client.post(f"{PAGE}enter/", {"code": mailed_codes()[0]})["Location"] == f"{PAGE}keys/"

    def test_who_cannot_be_noted_is_not_let_in_and_the_code_is_still_good(self, monkeypatch):
        person = Person(member := make_person(), browser(member.reseller.shop))
        person.client.raise_request_exception = False
        with monkeypatch.context() as broken:
            broken.setattr(logging_in, "record", lambda *_said, **_more: 1 / 0)
            assert person.log_in().status_code == 500

        assert not MemberSession.objects.exists()
        assert not AuditEntry.objects.filter(said="Logged in.").exists()
        code = mailed_codes()[0]
        assert person.client.post(f"{PAGE}enter/", {"code": code}).status_code == 303
        assert AuditEntry.objects.get(said="Logged in.").who == member.acts_as


class TestSessions:
    def test_a_member_who_is_removed_is_out_with_the_next_request(self):
        person = Person.of(make_person())
        assert person.get().status_code == 200

        assert remove_member(person.member)

        assert person.get().status_code == 403
        assert person.client.cookies[SESSION].value == ""
        assert not remove_member(person.member)

    def test_a_code_that_was_mailed_before_is_no_good_after_removal(self):
        member = make_person()
        client = asked()
        code = mailed_codes()[0]
        remove_member(member)

        assert client.post(f"{PAGE}enter/", {"code": code}).status_code == 410

    def test_while_the_reseller_is_suspended_nobody_is_in_or_gets_in(self):
        person = Person.of(make_person())
        sent = len(mail.outbox)

        Reseller.objects.update(is_suspended=True)

        assert person.get().status_code == 403
        asked()
        mail_log_ins()
        assert len(mail.outbox) == sent

    def test_who_does_nothing_for_half_a_day_is_out_and_all_are_after_a_week(self):
        person = Person.of(make_person())
        age(IDLE - timedelta(minutes=1))
        assert person.get().status_code == 200  # and is seen
        age(IDLE - timedelta(minutes=1))
        assert person.get().status_code == 200
        age(IDLE)
        assert person.get().status_code == 403

        person.log_in()
        MemberSession.objects.update(confirmed_at=db_now() - LONGEST)
        assert person.get().status_code == 403

    def test_logging_out_ends_it_here_or_everywhere(self):
        member = make_person()
        here, there, elsewhere = (Person.of(member) for _ in range(3))

        cookie = here.client.cookies[SESSION].value
        assert here.press("log-out/")["Location"] == f"{PAGE}log-in/"
        here.client.cookies[SESSION] = cookie
        assert (here.get().status_code, there.get().status_code) == (403, 200)

        there.press("log-out/", {"everywhere": "1"})
        assert elsewhere.get().status_code == 403

    def test_a_fresh_code_makes_a_new_session_and_ends_the_old(self):
        person = Person.of(make_person())
        age(FRESH)
        to_confirm = person.get("keys/new/")
        assert to_confirm["Location"] == f"{PAGE}confirm/?next={PAGE}keys/new/"
        before = person.client.cookies[SESSION].value

        person.press("confirm/", {"next": f"{PAGE}keys/new/"})
        answer = person.client.post(f"{PAGE}enter/", {"code": mailed_codes()[0]})

        assert answer["Location"] == f"{PAGE}keys/new/"
        assert person.get("keys/new/").status_code == 200
        assert person.client.cookies[SESSION].value != before
        assert MemberSession.objects.count() == 1

    def test_nothing_that_opens_anything_is_stored(self):
        person = Person.of(make_person())
        stored = repr([list(model.objects.values()) for model in (LogIn, MemberSession, OutboxMessage)])

        assert person.client.cookies[SESSION].value not in stored
        assert MemberSession.objects.get().token_digest not in person.client.cookies[SESSION].value

    def test_members_are_no_staff(self):
        person = Person.of(make_person())

        assert person.client.get("/admin/").status_code == 302
        person.client.cookies["cardshop_admin"] = person.client.cookies[SESSION].value
        assert person.client.get("/admin/")["Location"].startswith("/admin/login/")

    def test_what_is_old_is_forgotten(self, settings):
        person = Person.of(make_person())
        old = db_now() + timedelta(days=1)
        of_people = [retention for retention in RETENTIONS if "members" in retention.name]
        assert len(of_people) == 2
        for retention in of_people:
            retention.forget(retention.find(old))

        assert not LogIn.objects.exists()
        assert person.get().status_code == 403


class TestForms:
    """That another site cannot press anything."""

    def test_without_the_token_of_the_session_nothing_is_done(self):
        person = Person.of(make_person())
        other = Person.of(make_person(person.member.reseller, email="other@example.org"))
        theirs = other.get().content.decode().split('name="form_token" value="')[1].split('"')[0]

        for token in ("", "0" * 32, theirs, "é"):
            answer = person.client.post(f"{PAGE}log-out/", {"form_token": token, "everywhere": "1"})
            assert answer.status_code == 403
        assert person.get().status_code == 200

    def test_what_comes_from_another_site_is_refused_though_it_has_the_token(self):
        person = Person.of(make_person())
        token = person.get().content.decode().split('name="form_token" value="')[1].split('"')[0]

        for headers in ({"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"}):
            answer = person.client.post(f"{PAGE}log-out/", {"form_token": token}, headers=headers)
            assert answer.status_code == 403
        make_person(make_reseller("Another"), email="victim@example.org")
        answer = browser(the_shop()).post(
            f"{PAGE}log-in/", {"email": "victim@example.org"}, headers={"sec-fetch-site": "cross-site"}
        )
        assert answer.status_code == 403
        assert person.get().status_code == 200


class TestTheMerchantsPage:
    ADD = "/admin/resellers/resellermember/add/"

    def test_who_is_added_gets_a_mail_and_who_is_removed_is_out(self):
        reseller = make_reseller()
        boss = confirmed(make_boss())
        typed = {"reseller": reseller.pk, "email": "Li@Example.org", "name": "Li", "role": "owner"}

        boss.post(self.ADD, typed)
        twice = boss.post(self.ADD, typed)

        member = ResellerMember.objects.get()
        assert (member.email, twice.status_code) == ("li@example.org", 200)
        mail_members()
        (sent,) = mail.outbox
        assert sent.to == ["li@example.org"]
        assert "/en/reseller/" in sent.body
        assert "Partner" in sent.body
        person = Person.of(member)
        page = boss.get(f"/admin/resellers/reseller/{reseller.pk}/change/").content.decode()
        assert f"/admin/resellers/resellermember/?reseller__id__exact={reseller.pk}" in page

        boss.post(f"/admin/resellers/resellermember/{member.pk}/delete/", {"post": "yes"})

        assert person.get().status_code == 403
        told = AuditEntry.objects.filter(of="resellers.resellermember", who="boss")
        assert list(told.order_by("pk").values_list("action", flat=True)) == ["added", "deleted"]

    def test_it_takes_a_fresh_code_and_a_right(self):
        reseller = make_reseller()
        typed = {"reseller": reseller.pk, "email": "li@example.org", "role": "owner"}

        assert "confirm" in logged_in(make_boss()).get(self.ADD)["Location"]
        manager = confirmed(make_member(reseller.shop, "manager"))
        assert manager.post(self.ADD, typed).status_code == 403
        assert not ResellerMember.objects.exists()

    def test_there_are_at_most_so_many(self):
        reseller = make_reseller()
        for number in range(MOST):
            make_person(reseller, email=f"{number}@example.org")
        typed = {"reseller": reseller.pk, "email": "li@example.org", "role": "owner"}

        assert confirmed(make_boss()).post(self.ADD, typed).status_code == 200
        assert reseller.members.count() == MOST
