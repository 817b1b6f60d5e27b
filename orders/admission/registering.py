"""Registering before the opening: a click that is kept in PostgreSQL until the registered are let in.

Who registers when makes no difference, so nothing is to be gained by being early. Redis only remembers
who has looked in lately.
"""

import math
from datetime import datetime

import redis
import structlog
from django.conf import settings
from django.db import IntegrityError, transaction

from cardshop.common.clock import db_now
from inventory.models import Variant
from orders.admission.directory import listing_of
from orders.admission.entering import enter_line
from orders.admission.gate import Gate, Standing
from orders.clicks import Click
from orders.errors import AlreadyRegistered, FormRegistered, LineFull, SaleEnded, SoldOut, TooManyTickets
from orders.models import Registration, Sale

logger = structlog.get_logger(__name__)

REGISTERED = "registered"


def register(sale: Sale, click: Click, *, now: datetime) -> Standing:
    """Keep the click until the opening, once for each buyer; the same form again may change it.

    The caller has made sure that registration is open. Raises AlreadyRegistered for a buyer who is
    registered by another form, FormRegistered for a form that registered another buyer: nobody takes a
    place away from somebody by knowing their address. Raises TooManyTickets for a network address that
    has as many registrations as it may have unpaid holds.
    """
    _write(sale, click, now)
    _note_presence(sale.variant_id, click.ticket_id)
    return _until_opening(sale, now)


@transaction.atomic(durable=True)
def _write(sale: Sale, click: Click, now: datetime) -> None:
    said = {
        "contact_email": click.contact_email,
        "language": click.language,
        "address_key": click.address_key,
        "quantity": click.quantity,
    }
    mine = Registration.objects.filter(sale=sale, ticket_id=click.ticket_id, buyer_key=click.buyer_key)
    if mine.update(**said):
        return
    from_there = Registration.objects.filter(sale=sale, address_key=click.address_key)
    if click.address_key and from_there.count() >= settings.UNPAID_HOLDS_PER_ADDRESS:
        raise TooManyTickets
    try:
        with transaction.atomic():
            Registration.objects.create(
                sale=sale, ticket_id=click.ticket_id, buyer_key=click.buyer_key, registered_at=now, **said
            )
    except IntegrityError as error:
        if mine.update(**said):
            return  # a twin of this request was faster
        if Registration.objects.filter(ticket_id=click.ticket_id).exists():
            raise FormRegistered from error
        raise AlreadyRegistered from error


def registered_standing(variant: Variant, ticket_id: str) -> Standing | None:
    """How a registration stands that has not become a place in line; None for no registration.

    Redis may have lost it on the way in. Then it goes in now, since everything is known that the buyer's
    page would send again. Raises LineUnavailable, NotOpenYet, SalePaused.
    """
    kept = Registration.objects.select_related("sale").filter(ticket_id=ticket_id, sale__variant=variant)
    if (registration := kept.first()) is None:
        return None
    sale, now = registration.sale, db_now()
    if not sale.registered_let_in or (sale.opens_at and now < sale.opens_at):
        _note_presence(variant.pk, ticket_id)
        return _until_opening(sale, now)
    try:
        return enter_line(listing_of(variant), click_of_registration(registration))
    except (LineFull, SoldOut, SaleEnded, TooManyTickets) as refusal:
        return Standing("refused", reason=refusal.code)


def withdraw(variant: Variant, ticket_id: str) -> bool:
    """Forget a registration, as long as nobody was let in; False if there is none."""
    deleted, _ = Registration.objects.filter(
        ticket_id=ticket_id, sale__variant=variant, sale__registered_let_in=False
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
