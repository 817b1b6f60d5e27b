"""Registering before the opening: a click that is kept in PostgreSQL until the registered are let in.

Who registers when makes no difference, so nothing is to be gained by being early. Redis only remembers
who has looked in lately.
"""

import math
from datetime import datetime

import redis
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from cardshop.common.clock import db_now
from cardshop.common.locks import lock_rows
from inventory.models import Stock, Variant
from orders.admission.gate import Gate, GateShut, Standing
from orders.admission.proof import new_challenge, spent_challenge
from orders.admission.settling import turn_away
from orders.clicks import Click
from orders.errors import FormRegistered, LineUnavailable, ProofNeeded, SaleEnded, SoldOut, TooManyTickets
from orders.models import ProofOfWork, Registration, Sale

logger = structlog.get_logger(__name__)

REGISTERED = "registered"


def register(sale: Sale, click: Click, *, now: datetime, proof: str = "") -> Standing:
    """Keep the click until the opening; the same form again may change its quantity.

    The caller has made sure that registration is open. Whether somebody else has registered the same
    contact makes no difference and is not told (docs/adr/0006). Raises FormRegistered for a form that
    registered another contact, ProofNeeded where a click would need one, TooManyTickets for a network
    address that has as many registrations as it may have unpaid holds.
    """
    if not _change(sale, click):
        _require_proof(sale, click, proof, now)
        _write(sale, click, now)
    _note_presence(sale.variant_id, click.ticket_id)
    return _until_opening(sale, now)


def _change(sale: Sale, click: Click) -> bool:
    """Bring this form's registration up to date; False if there is none.

    The network address stays that of the first time: each is counted where it was made.
    """
    mine = Registration.objects.filter(sale=sale, ticket_id=click.ticket_id, buyer_key=click.buyer_key)
    said = {
        "contact_email": click.contact_email,
        "language": click.language,
        "quantity": click.quantity,
    }
    return mine.update(**said) == 1


def _require_proof(sale: Sale, click: Click, proof: str, now: datetime) -> None:
    if _asks_for_proof(sale) and not spent_challenge(proof, click):
        raise ProofNeeded(new_challenge(click, now=now))


def _asks_for_proof(sale: Sale) -> bool:
    if sale.proof_of_work != ProofOfWork.PRESSED:
        return sale.proof_of_work == ProofOfWork.ALWAYS
    try:
        return Gate(sale.variant_id).numbers().get("pressure") == "1"
    except redis.RedisError:
        return False  # who registers does without Redis


@transaction.atomic(durable=True)
def _write(sale: Sale, click: Click, now: datetime) -> None:
    """Under the Stock's lock, so that the count is exact: see docs/adr/0006."""
    lock_rows(Stock.objects.filter(variant=sale.variant_id, pool=Stock.PUBLIC))
    if _change(sale, click):
        return  # a twin of this request was faster
    if Registration.objects.filter(ticket_id=click.ticket_id).exists():
        raise FormRegistered
    from_there = Registration.objects.filter(sale=sale, address_key=click.address_key)
    if click.address_key and from_there.count() >= settings.UNPAID_HOLDS_PER_ADDRESS:
        raise TooManyTickets
    Registration.objects.create(
        sale=sale,
        ticket_id=click.ticket_id,
        buyer_key=click.buyer_key,
        address_key=click.address_key,
        contact_email=click.contact_email,
        language=click.language,
        quantity=click.quantity,
        registered_at=now,
    )


def registered_standing(variant: Variant, ticket_id: str) -> Standing | None:
    """How a registration stands that has not become a place in line; None for no registration.

    Redis may have lost it on the way in. Then it goes in now, as it would have gone in at the opening.
    Raises LineUnavailable.
    """
    kept = Registration.objects.select_related("sale").filter(ticket_id=ticket_id, sale__variant=variant)
    if (registration := kept.first()) is None:
        return None
    sale, now = registration.sale, db_now()
    if sale.registered_let_in and not (sale.opens_at and now < sale.opens_at):
        return _let_in_late(sale, click_of_registration(registration), now)
    _note_presence(variant.pk, ticket_id)
    return _until_opening(sale, now)


def _let_in_late(sale: Sale, click: Click, now: datetime) -> Standing:
    """Only an end is final. A pause or a full line is not: the page asks again, and may get in then."""
    gate = Gate(sale.variant_id)
    is_ended = sale.closes_at is not None and sale.closes_at <= now
    try:
        said = SaleEnded.code if is_ended else gate.admit_registered([click])[0]
        if said in (SaleEnded.code, SoldOut.code):
            gate.note(turn_away(sale, [click], said, now=now))
        return gate.look(click.ticket_id) or Standing(REGISTERED)
    except (redis.RedisError, GateShut) as error:
        raise LineUnavailable from error


def withdraw(variant: Variant, ticket_id: str) -> bool:
    """Forget a registration, as long as the opening has not begun; False if it has, or there is none."""
    deleted, _ = Registration.objects.filter(
        ticket_id=ticket_id,
        sale__variant=variant,
        sale__registered_let_in=False,
        sale__opens_at__gt=Now(),
    ).delete()
    if deleted:
        try:
            Gate(variant.pk).forget_registered(ticket_id)
        except redis.RedisError as error:
            logger.warning("withdrawal unheard", variant=variant.pk, error=type(error).__name__)
    return bool(deleted)


def _until_opening(sale: Sale, now: datetime) -> Standing:
    left = math.ceil((sale.opens_at - now).total_seconds()) if sale.opens_at else 0
    return Standing(REGISTERED, expected_wait=max(0, left))


def click_of_registration(registration: Registration) -> Click:
    """The click that a registration stands for until the opening."""
    return Click(
        ticket_id=registration.ticket_id,
        quantity=registration.quantity,
        contact_email=registration.contact_email,
        language=registration.language,
        buyer_key=registration.buyer_key,
        address_key=registration.address_key,
    )


def _note_presence(variant_id: int, ticket_id: str) -> None:
    try:
        Gate(variant_id).present(ticket_id)
    except redis.RedisError as error:
        # The page asks again, and then Redis learns it from here.
        logger.warning("presence unheard", variant=variant_id, error=type(error).__name__)
