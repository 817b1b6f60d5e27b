"""Correcting the contact e-mail of an order."""

from datetime import datetime

from django.db import transaction

from cardshop.common.locks import lock_rows
from cardshop.outbox.services import promise
from orders.errors import TooManyCorrections
from orders.models import Order
from orders.services.transitions import BUYER, note
from orders.states import PAID_FOR

CORRECTED = "contact e-mail corrected"
MAX_CORRECTIONS = 5


@transaction.atomic(durable=True)
def correct_contact(order: Order, *, contact_email: str, now: datetime) -> None:
    """Send everything from now on to the corrected address; an order that has keys is mailed again.

    `buyer_key` stays as it was frozen at order, so no limit can be dodged this way. Raises
    TooManyCorrections: otherwise one cheap order could mail the whole world.
    """
    ((locked,),) = lock_rows(Order.objects.filter(pk=order.pk))
    if contact_email == locked.contact_email:
        return
    if locked.events.filter(reason=CORRECTED).count() >= MAX_CORRECTIONS:
        raise TooManyCorrections
    Order.objects.filter(pk=locked.pk).update(contact_email=contact_email)
    note(locked, reason=CORRECTED, actor=BUYER, now=now)
    if locked.status in PAID_FOR and locked.delivered_at is not None:
        promise("orders.mail_delivery", [locked.pk], shop_id=locked.shop_id, now=now)
