"""What all views of the API share: whose programs are let in, and how what they do is written down."""

from collections.abc import Iterable
from typing import Any

from rest_framework.request import Request

from cardshop.audit.recording import record
from cardshop.common.audit import Deed
from cardshop.common.clock import db_now
from cardshop.common.problems import CONTENT_TYPE
from cardshop.shops.models import Shop
from inventory.accesses import Viewer
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ProgramApiView, key_of
from resellers.models import ApiKey, Proof


class MerchantApiView(ProgramApiView):
    """Of whatever it shows or changes, the rows of its key's shop only."""

    def find_key(self, shop: Shop, name: str, proof: Proof) -> ApiKey | None:
        key = ApiKey.objects.filter(shop=shop, reseller=None, name=name, proof=proof).first()
        if key is None or not key.works_at(db_now()):
            return None
        key.shop = shop
        return key


def refusals(*statuses: int) -> dict[tuple[int, str], Any]:
    """For the documentation: what is told instead of an answer, by these statuses and by any view."""
    return {**{(status, CONTENT_TYPE): Problem for status in statuses}, **REFUSALS}


def actor_of(request: Request) -> str:
    """Where it is noted who did something."""
    return key_of(request).acts_as


def viewer_of(request: Request) -> Viewer:
    return Viewer(actor_of(request), request.META["REMOTE_ADDR"] or None)


def write_down(request: Request, deeds: Iterable[Deed]) -> None:
    """In the audit log, as the administration does; in the transaction of the deeds."""
    viewer = viewer_of(request)
    record(deeds, who=viewer.name, address=viewer.address, now=db_now())
