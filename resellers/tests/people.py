"""A member of a reseller at their browser, for tests."""

import re
from dataclasses import dataclass
from typing import Any

from django.core import mail
from django.test import Client

from cardshop.common.clock import db_now
from cardshop.shops.models import Shop
from resellers.members.joining import add_member
from resellers.models import Reseller, ResellerMember
from resellers.tasks import mail_log_ins
from resellers.tests.calling import make_reseller

PAGE = "/en/reseller/"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
CODE = re.compile(r"([2-9A-Z]{5}-[2-9A-Z]{5})")


def make_person(
    reseller: Reseller | None = None, *, email: str = "li@example.org", role: str = "owner"
) -> ResellerMember:
    return add_member(reseller or make_reseller(), email=email, name="", role=role, now=db_now())


def browser(shop: Shop, **headers: str) -> Client:
    return Client(headers={"host": shop.host, **headers})


def mailed_codes() -> list[str]:
    """Of the last mail, after the worker has had its turn."""
    mail_log_ins()
    return CODE.findall(mail.outbox[-1].body) if mail.outbox else []


@dataclass
class Person:
    member: ResellerMember
    client: Client

    @classmethod
    def of(cls, member: ResellerMember) -> "Person":
        """Who is logged in."""
        person = cls(member, browser(member.reseller.shop))
        assert person.log_in().status_code == 303
        return person

    def log_in(self) -> Any:
        self.client.post(f"{PAGE}log-in/", {"email": self.member.email})
        return self.client.post(f"{PAGE}enter/", {"code": mailed_codes()[0]})

    def get(self, path: str = "", **asked: Any) -> Any:
        return self.client.get(f"{PAGE}{path}", asked)

    def press(self, path: str, said: dict[str, Any] | None = None) -> Any:
        """With the token of the session, as it stands in every form."""
        token = TOKEN.search(self.get().content.decode())
        return self.client.post(f"{PAGE}{path}", {"form_token": token[1] if token else "", **(said or {})})
