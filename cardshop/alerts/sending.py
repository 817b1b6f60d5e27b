"""Sends messages, each at least once. One that fails is tried again for a while, and delays no other."""

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.core.mail import EmailMessage
from django.db import transaction
from django.db.models import F

from cardshop.alerts.drivers import DRIVERS, Letter, recipients
from cardshop.alerts.models import Destination, Message
from cardshop.common.crypto import CannotOpen
from cardshop.common.errors import DomainError
from cardshop.common.outgoing import NoAnswer, post
from cardshop.outbox.services import Failures
from orders.services import mail

logger = structlog.get_logger(__name__)

SECONDS = 10.0  # for a call, however slowly it is answered
GIVE_UP_AFTER = timedelta(hours=2)


class NotTaken(Exception):
    """The destination did not take it; the message says why, without any secret."""


def send_messages(message_ids: list[int], now: datetime) -> Failures:
    """Returns the messages that are to be tried again, each with its error."""
    failed: dict[int, Exception] = {}
    waiting = Message.objects.filter(pk__in=message_ids, status=Message.Status.WAITING)
    for message in waiting.select_related("destination__shop").order_by("pk"):
        try:
            deliver(message.destination, _letter(message, now))
        except NotTaken as error:
            if not _note_failure(message, str(error), now):
                failed[message.pk] = error
        else:
            _note_success(message, now)
    return failed


def deliver(destination: Destination, letter: Letter) -> None:
    """Network. Raises NotTaken."""
    driver = DRIVERS.get(destination.driver)
    if driver is None:
        raise NotTaken(f"nothing is called {destination.driver}")
    if driver.call is None or driver.refusal is None:
        _mail(destination, letter)
        return
    try:
        secret = destination.secret
    except CannotOpen:
        raise NotTaken("its credential does not open: enter it again") from None
    call = driver.call(destination.address, destination.options, secret, letter)
    try:
        answer = post(
            call.url,
            body=call.body,
            headers=call.headers,
            seconds=SECONDS,
            private=settings.ALERTS_PRIVATE_ADDRESSES,
        )
    except (NoAnswer, DomainError) as error:
        raise NotTaken(str(error)) from None
    if refusal := driver.refusal(answer):
        raise NotTaken(_without(secret, refusal)[:200])


def _without(secret: str, text: str) -> str:
    return text.replace(secret, "***") if secret else text


def _mail(destination: Destination, letter: Letter) -> None:
    message = EmailMessage(
        subject=" ".join(letter.title.split()),
        body=letter.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=recipients(destination.options["recipients"]),
    )
    if failed := mail.post({0: message}, within=SECONDS):
        raise NotTaken(type(failed[0]).__name__)


def _letter(message: Message, now: datetime) -> Letter:
    return Letter(uid=str(message.uid), title=message.title, text=message.text, at=now, items=_items(message))


def _items(message: Message) -> list[dict[str, Any]]:
    notices = message.notices.select_related("alert__shop").order_by("pk")
    return [
        {
            "kind": notice.alert.kind,
            "subject": notice.alert.subject,
            "shop": notice.alert.shop.slug if notice.alert.shop else None,
            "event": "over" if notice.is_end else "begun",
            "since": notice.alert.seen_at.isoformat(),
        }
        for notice in notices
    ]


@transaction.atomic(durable=True)
def _note_success(message: Message, now: datetime) -> None:
    Message.objects.filter(pk=message.pk).update(
        status=Message.Status.SENT, ended_at=now, attempts=F("attempts") + 1, last_error=""
    )
    Destination.objects.filter(pk=message.destination_id).update(failing_since=None, last_error="")


@transaction.atomic(durable=True)
def _note_failure(message: Message, error: str, now: datetime) -> bool:
    """True when that was the last try: what comes later must not wait for it for ever."""
    is_last = now - message.created_at >= GIVE_UP_AFTER
    ended = {"status": Message.Status.FAILED, "ended_at": now} if is_last else {}
    Message.objects.filter(pk=message.pk).update(attempts=F("attempts") + 1, last_error=error[:200], **ended)
    failing = Destination.objects.filter(pk=message.destination_id)
    failing.filter(failing_since=None).update(failing_since=now)
    failing.update(last_error=error[:200])
    logger.warning("alert not sent", destination=message.destination_id, error=error, gave_up=is_last)
    return is_last
