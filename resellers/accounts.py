"""A reseller's account: opened together with the balance that it pays from."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from cardshop.common.errors import DomainError
from cardshop.common.inserts import insert_new
from cardshop.shops.models import Shop
from payments.ledger.entries import open_account
from resellers.models import Reseller


class NameTaken(DomainError):
    code = "name_taken"
    message = _("The shop has a reseller of that name.")


@transaction.atomic
def open_reseller(shop: Shop, *, name: str, contact_email: str, now: datetime) -> Reseller:
    """With an empty balance in the shop's currency, that no code opens. Raises NameTaken."""
    balance = open_account(
        shop_id=shop.pk, holder=name, contact_email=contact_email, currency=shop.currency, now=now
    )
    reseller = Reseller(shop=shop, name=name, contact_email=contact_email, balance=balance, since=now)
    if not insert_new([reseller], unique=["shop", "name"]):
        raise NameTaken
    return reseller
