"""The webhook inbox: verify, store, commit, wake, acknowledge; and later, what the notices mean."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from django.db import transaction

from cardshop.common.inserts import insert_new
from cardshop.outbox.services import Failures, promise, wake
from payments.gateways import gateway_for
from payments.gateways.base import Evidence, GatewayError, RawCall, Trade
from payments.metrics import notices as notices_counted
from payments.models import PaymentChannel, WebhookEvent
from payments.services.asking import Round, slow_ones_last
from payments.services.evidence import News, record_receipts
from payments.states import EventOutcome, Source

logger = structlog.get_logger(__name__)

# A provider may notify from one server and answer from another that lags behind.
BENEFIT_OF_DOUBT = timedelta(seconds=60)
# Seconds for each channel. Nobody who was asked about waits longer for the others of their channel.
ASKING = 0.25


def receive_notice(channel: PaymentChannel, call: RawCall, *, now: datetime) -> str:
    """Store a provider's call for good and return what to answer it with. Raises BadNotice, CannotTell.

    A repeat of a call that is still waiting wakes the worker again; one that was dealt with is only
    acknowledged.
    """
    gateway = gateway_for(channel)
    # Strangers end here, and cannot fill the table. The most they can bring about is that a certificate is
    # looked for at PayPal, in one thread at a time.
    notice = gateway.read_notice(call, at=now)
    event = WebhookEvent(
        shop_id=channel.shop_id,
        channel=channel,
        digest=notice.digest,
        method=call.method,
        query=call.query,
        body=call.body,
        headers=dict(call.headers),
        received_at=now,
    )
    with transaction.atomic(durable=True):
        if is_new := bool(insert_new([event], unique=["channel", "digest"])):
            promise("payments.apply_notices", [event.pk], shop_id=channel.shop_id, now=now)
        elif _still_waits(event):
            transaction.on_commit(lambda: wake("payments.apply_notices"), robust=True)
    notices_counted.labels(channel.slug, "stored" if is_new else "repeated").inc()
    return gateway.acknowledgement


def _still_waits(event: WebhookEvent) -> bool:
    twins = WebhookEvent.objects.filter(channel=event.channel_id, digest=event.digest)
    return twins.filter(outcome=EventOutcome.WAITING).exists()


def apply_notices(event_ids: Sequence[int], now: datetime, *, silent: set[int] | None = None) -> Failures:
    """Let stored notices have their consequences; asks back where a notice is no proof.

    Returns those that failed: their providers cannot be asked, and the outbox comes again. What a channel
    has no time left for, within ASKING, is not reached; `silent` is as in Round. Repeating it is a no-op.
    """
    failed: dict[int, Exception] = {}
    events = WebhookEvent.objects.select_related("channel").filter(pk__in=event_ids)
    waiting = events.filter(outcome=EventOutcome.WAITING).order_by("pk")
    questions = Round(seconds=ASKING, silent=silent)
    for together in slow_ones_last(waiting, lambda event: [event.channel_id]):
        failed |= _apply(together, questions, now)
    return failed


def _apply(events: Sequence[WebhookEvent], questions: Round, now: datetime) -> dict[int, Exception]:
    failed: dict[int, Exception] = {}
    news: list[News] = []
    said: dict[EventOutcome, list[WebhookEvent]] = defaultdict(list)
    for event in events:
        try:
            outcome, evidence = _outcome(event, questions, now)
        except Exception as error:  # noqa: BLE001  whatever is odd about it keeps no other waiting
            failed[event.pk] = error
            continue
        said[outcome].append(event)
        if evidence is not None:
            news.append(News(channel=event.channel, evidence=evidence, source=Source.NOTICE))
    if said:
        _conclude(said, news, now)
    return failed


@transaction.atomic(durable=True)
def _conclude(said: dict[EventOutcome, list[WebhookEvent]], news: list[News], now: datetime) -> None:
    record_receipts(news, now=now)
    for outcome, events in said.items():
        event_ids = [event.pk for event in events]
        WebhookEvent.objects.filter(pk__in=event_ids, outcome=EventOutcome.WAITING).update(outcome=outcome)
        if outcome == EventOutcome.DENIED:
            logger.warning("notices denied by the provider", notices=event_ids)
    transaction.on_commit(lambda: _count(said), robust=True)


def _count(said: dict[EventOutcome, list[WebhookEvent]]) -> None:
    for outcome, events in said.items():
        for event in events:
            notices_counted.labels(event.channel.slug, outcome).inc()


def _outcome(event: WebhookEvent, questions: Round, now: datetime) -> tuple[EventOutcome, Evidence | None]:
    """What becomes of the notice, and the money it was about."""
    gateway = gateway_for(event.channel)
    call = RawCall(event.method, event.query, event.body, event.headers)
    claim = gateway.read_notice(call, at=event.received_at).evidence
    if claim is None or not claim.paid:
        return EventOutcome.NOT_PAID, None
    if gateway.notice_is_proof:
        return EventOutcome.APPLIED, claim
    with questions.asking(event.channel):
        evidence = gateway.query(
            Trade(out_trade_no=claim.out_trade_no, provider_txn_id=claim.provider_txn_id)
        )
    if evidence is not None and evidence.paid:
        return EventOutcome.APPLIED, evidence
    if now < event.received_at + BENEFIT_OF_DOUBT:
        raise GatewayError("does not know of its own notice yet")
    return EventOutcome.DENIED, None
