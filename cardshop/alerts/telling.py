"""From what is seen to messages: an alert is told once, and its end once, when each destination wants it."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import translation
from django.utils.timezone import localtime

from cardshop.alerts import words
from cardshop.alerts.looking import Seen
from cardshop.alerts.models import NEWS, PATIENCE, Alert, Destination, Kind, Message, Notice
from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from cardshop.shops.models import Shop

# What goes and comes within this is one alert: stock at its threshold while holds lapse, a provider's moods.
CALM = timedelta(minutes=5)
KEPT = timedelta(days=90)
TASK = "alerts.send"


def tell(seen: Iterable[Seen], kinds: Iterable[Kind], *, now: datetime) -> None:
    """Open what is new, end what has not been seen for CALM, note who is to be told. Has twins.

    Of kinds that are not in `kinds` nothing is known, and nothing ends.
    """
    _note_what_is_seen({(each.shop_id, each.kind, each.subject): each for each in seen}, set(kinds), now)
    _tell_what_lasts(now)
    _tell_what_is_over(now)
    Alert.objects.filter(ended_at__lt=now - KEPT).delete()
    Message.objects.filter(created_at__lt=now - KEPT).delete()


def _note_what_is_seen(
    seen: dict[tuple[int | None, str, str], Seen], kinds: set[Kind], now: datetime
) -> None:
    gone, back = [], []
    for alert in Alert.objects.filter(ended_at=None):
        is_seen = seen.pop((alert.shop_id, alert.kind, alert.subject), None) is not None
        if is_seen and alert.absent_since:
            back.append(alert.pk)
        elif not is_seen and not alert.absent_since and alert.kind in kinds:
            gone.append(alert.pk)
    Alert.objects.filter(pk__in=back).update(absent_since=None)
    Alert.objects.filter(pk__in=gone, absent_since=None).update(absent_since=now)
    told_before = set(
        Alert.objects.filter(kind__in=NEWS, ended_at__isnull=False)
        .filter(subject__in=[subject for _shop, kind, subject in seen if kind in NEWS])
        .values_list("shop", "kind", "subject")
    )
    Alert.objects.bulk_create(
        [
            Alert(shop_id=shop_id, kind=kind, subject=subject, about=each.about, seen_at=now)
            for (shop_id, kind, subject), each in seen.items()
            if (shop_id, kind, subject) not in told_before
        ],
        ignore_conflicts=True,  # a twin has seen them, too
    )


@transaction.atomic(durable=True)
def _tell_what_lasts(now: datetime) -> None:
    patient = Q(kind__in=PATIENCE)
    lasts = ~patient
    for kind, patience in PATIENCE.items():
        lasts |= Q(kind=kind, seen_at__lte=now - patience)
    alerts: list[Alert]
    (alerts,) = lock_rows(Alert.objects.filter(lasts, told_at=None, ended_at=None, absent_since=None))
    _notify(alerts, now, is_end=False)
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(told_at=now)
    news = [alert.pk for alert in alerts if alert.kind in NEWS]
    Alert.objects.filter(pk__in=news).update(ended_at=now)


@transaction.atomic(durable=True)
def _tell_what_is_over(now: datetime) -> None:
    """Who was not told that it began need not hear that it ended."""
    alerts: list[Alert]
    (alerts,) = lock_rows(Alert.objects.filter(ended_at=None, absent_since__lte=now - CALM))
    _notify([alert for alert in alerts if alert.told_at], now, is_end=True)
    Alert.objects.filter(pk__in=[alert.pk for alert in alerts]).update(ended_at=now)


def _notify(alerts: list[Alert], now: datetime, *, is_end: bool) -> None:
    if not alerts:
        return
    destinations = Destination.objects.filter(is_enabled=True)
    heard = set(Notice.objects.filter(alert__in=alerts, is_end=False).values_list("destination", "alert"))
    Notice.objects.bulk_create(
        Notice(destination=destination, alert=alert, is_end=is_end, due_at=_due(destination, now))
        for destination in destinations
        for alert in alerts
        if _wants(destination, alert)
        and (not is_end or (destination.tells_end and (destination.pk, alert.pk) in heard))
    )


def _wants(destination: Destination, alert: Alert) -> bool:
    """What a destination's own failure is, it cannot be told."""
    is_theirs = destination.shop_id is None or destination.shop_id == alert.shop_id
    return is_theirs and alert.kind in destination.kinds and alert.subject != f"destination {destination.pk}"


def _due(destination: Destination, now: datetime) -> datetime:
    """At once, or with the next digest: at full hours, quarters or midnight."""
    every = destination.every_minutes
    if every == Destination.AT_ONCE:
        return now
    midnight = localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)
    passed = int((now - midnight).total_seconds() // 60)
    return midnight + timedelta(minutes=(passed // every + 1) * every)


def write_messages(now: datetime) -> None:
    """One message for each destination that has something due, and may have one now."""
    waiting = Q(message=None, due_at__lte=now)
    due = Notice.objects.filter(waiting, destination__is_enabled=True)
    for destination in Destination.objects.filter(pk__in=due.values("destination")).select_related("shop"):
        if not is_quiet(destination, now) and not _has_had_enough(destination, now):
            _write(destination, Notice.objects.filter(waiting, destination=destination), now)


def is_quiet(destination: Destination, now: datetime) -> bool:
    """By the clock of the installation; the quiet may go over midnight."""
    start, end = destination.quiet_from, destination.quiet_until
    if start is None or end is None or start == end:
        return False
    clock = localtime(now).time()
    return start <= clock < end if start < end else clock >= start or clock < end


def _has_had_enough(destination: Destination, now: datetime) -> bool:
    of_this_hour = Message.objects.filter(destination=destination, created_at__gt=now - timedelta(hours=1))
    return of_this_hour.count() >= destination.per_hour


def _write(destination: Destination, due: QuerySet[Notice], now: datetime) -> None:
    """Nothing while another message is still being sent: what comes meanwhile goes into the next one. Nor
    about what was over before it could be told.
    """
    try:
        with transaction.atomic(durable=True):
            over = due.filter(is_end=True).values("alert")
            due.filter(
                alert__in=list(due.filter(is_end=False, alert__in=over).values_list("alert", flat=True))
            ).delete()
            if not due.exists():
                return
            message = Message.objects.create(destination=destination, title="", text="", created_at=now)
            due.update(message=message)
            _put_into_words(message, destination)
            promise(TASK, [message.pk], shop_id=_promised_to(destination), now=now)
    except IntegrityError:
        return  # of `one_message_at_a_time`


def _put_into_words(message: Message, destination: Destination) -> None:
    notices = list(message.notices.select_related("alert").order_by("alert__seen_at", "pk"))
    with translation.override(destination.language):
        said = [words.sentence(notice.alert, is_end=notice.is_end) for notice in notices]
        link = words.link_to([notice.alert for notice in notices], destination.shop)
        message.title = words.title_of(said, destination.shop)
        message.text = words.text_of(said, link)
    message.save(update_fields=["title", "text"])


def _promised_to(destination: Destination) -> int:
    """Outbox rows belong to a shop: those of the installation to its first."""
    return destination.shop_id or Shop.objects.order_by("pk").values_list("pk", flat=True)[0]
