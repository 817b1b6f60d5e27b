"""Members of resellers who log in twice at once, or are removed while they do."""

import time
from threading import Event
from typing import Any

import pytest
from django.db import IntegrityError

from cardshop.common.clock import db_now
from resellers.members import logging_in
from resellers.members.codes import code_for
from resellers.members.errors import CodeOver
from resellers.members.joining import remove_member
from resellers.members.logging_in import ask_to_log_in, log_in
from resellers.models import LogIn, MemberSession, ResellerMember
from resellers.tests.people import make_person
from tests.race.racing import begin_with, linger, race, race_all, read_unlocked

pytestmark = pytest.mark.django_db(transaction=True)


def asked_by(member: ResellerMember) -> dict[str, str]:
    browser = ask_to_log_in(member.reseller.shop, member.email, language="en", now=db_now())
    return {"browser": browser, "code": code_for(LogIn.objects.get(), member)}


def bring_one_code_eight_times(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    member = make_person()
    said = asked_by(member)
    linger(monkeypatch, "resellers.members.logging_in.lock_rows")  # everybody has found the code by then
    return race(8, lambda: log_in(member.reseller.shop, **said, address=None, now=db_now()))


def test_of_eight_who_bring_one_code_one_is_let_in(monkeypatch):
    outcomes = bring_one_code_eight_times(monkeypatch)

    assert sum(isinstance(outcome, CodeOver) for outcome in outcomes) == 7
    assert MemberSession.objects.count() == 1


def test_control_without_the_comparison_all_of_them_are(monkeypatch):
    """If this one fails, the test above proves nothing."""
    monkeypatch.setattr(logging_in, "_use", lambda unused, now: True)

    bring_one_code_eight_times(monkeypatch)

    assert MemberSession.objects.count() == 8


def remove_who_logs_in(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    member = make_person()
    said = asked_by(member)
    is_nearly_in = Event()

    def wait_at_the_door() -> None:
        is_nearly_in.set()
        time.sleep(0.3)

    def remove() -> bool:
        is_nearly_in.wait(5)
        return remove_member(member)

    begin_with(monkeypatch, "resellers.members.logging_in.begin", wait_at_the_door)
    return race_all(lambda: log_in(member.reseller.shop, **said, address=None, now=db_now()), remove)


def test_who_is_removed_while_logging_in_is_out_and_both_hear_an_answer(monkeypatch):
    let_in, removed = remove_who_logs_in(monkeypatch)

    assert removed is True
    assert isinstance(let_in, tuple)
    assert not MemberSession.objects.exists()


def test_control_without_the_lock_one_of_them_ends_in_an_error(monkeypatch):
    """If this one fails, the test above proves nothing."""
    for module in ("logging_in", "joining"):
        monkeypatch.setattr(f"resellers.members.{module}.lock_rows", read_unlocked)

    outcomes = remove_who_logs_in(monkeypatch)

    assert any(isinstance(outcome, IntegrityError) for outcome in outcomes), outcomes
