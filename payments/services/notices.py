"""The webhook inbox: verify, store, commit, wake, acknowledge; and later, what the notices mean."""

from datetime import datetime, timedelta

import structlog
from django.db import transaction

from cardshop.outbox.services import promise, wake
from payments.gateways import gateway_for
from payments.gateways.base import GatewayError, RawCall
from payments.models import PaymentChannel, WebhookEvent
from payments.services.evidence import apply_evidence
from payments.states import EventOutcome, Source

logger = structlog.get_logger(__name__)

# A provider may notify from one server and answer from another that lags behind.
BENEFIT_OF_DOUBT = timedelta(seconds=60)


def receive_notice(channel: PaymentChannel, call: RawCall, *, now: datetime) -> str:
    """Store a provider's call for good and return what to answer it with. Raises BadNotice.

    A repeat of a call that is still waiting wakes the worker again; one that was dealt with is only
    acknowledged.
    """
    gateway = gateway_for(channel)
    notice = gateway.read_notice(call)  # pure: strangers end here, and cannot fill the table
    with transaction.atomic(durable=True):
        event, is_new = WebhookEvent.objects.get_or_create(
            channel=channel,
            digest=notice.digest,
            defaults={
                "shop_id": channel.shop_id,
                "method": call.method,
                "query": call.query,
                "body": call.body,
                "received_at": now,
            },
        )
        if is_new:
            promise("payments.apply_notices", [event.pk], shop_id=channel.shop_id, now=now)
        elif event.outcome == EventOutcome.WAITING:
            transaction.on_commit(lambda: wake("payments.apply_notices"), robust=True)
    return gateway.acknowledgement


def apply_notice(event_id: int, *, now: datetime) -> None:
    """Let a stored notice have its consequences; asks back where a notice is no proof.

    Raises GatewayError when the provider cannot be asked: the outbox comes again.
    """
    event = WebhookEvent.objects.select_related("channel__shop").get(pk=event_id)
    if event.outcome != EventOutcome.WAITING:
        return
    outcome = _outcome(event, now)
    WebhookEvent.objects.filter(pk=event.pk, outcome=EventOutcome.WAITING).update(outcome=outcome)
    if outcome == EventOutcome.DENIED:
        logger.warning("notice denied by the provider", notice=event.pk)


def _outcome(event: WebhookEvent, now: datetime) -> EventOutcome:
    gateway = gateway_for(event.channel)
    claim = gateway.read_notice(RawCall(event.method, event.query, event.body)).evidence
    if not claim.paid:
        return EventOutcome.NOT_PAID
    if gateway.notice_is_proof:
        apply_evidence(event.channel, claim, source=Source.NOTICE, now=now)
        return EventOutcome.APPLIED
    evidence = gateway.query(claim.out_trade_no, claim.provider_txn_id)
    if evidence is None or not evidence.paid:
        if now < event.received_at + BENEFIT_OF_DOUBT:
            raise GatewayError("does not know of its own notice yet")
        return EventOutcome.DENIED
    apply_evidence(event.channel, evidence, source=Source.NOTICE, now=now)
    return EventOutcome.APPLIED
