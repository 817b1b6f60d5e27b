"""A write that happens once for its Idempotency-Key, with one answer however often it is sent."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import OpenApiParameter
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.clock import db_now
from cardshop.common.ids import keyed_digest
from cardshop.common.inserts import insert_new
from cardshop.common.one_commit import one_commit
from resellers.api.idempotency import HEADER, digest_of, key_in
from resellers.api.views import key_of
from resellers.errors import KeyReused
from resellers.models import IdempotentWrite

ONCE = OpenApiParameter(
    HEADER,
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="8 to 64 visible characters of your own. The same key with the same request is done once, and"
    " answered with the same for 30 days; what was refused may be tried again with it.",
)


@sensitive_variables()
def once(request: Request, body: Mapping[str, Any], act: Callable[[], Response]) -> Response:
    """What `act` answers, or has answered before to the same request with the same key.

    The key's row and all that `act` does, durable services too, are committed together: a crash leaves both
    or neither. A twin waits at the row until the first has committed, and hears its answer; if the first was
    refused, it has its turn. `act` must ask nobody over the network. What it raises leaves nothing behind.
    Raises KeyMissing, KeyReused where the key came with another request, and OperationalError where the first
    takes longer than the lock timeout.
    """
    write = _claimed(request, body)
    with one_commit():
        if not insert_new([write], unique=["shop", "reseller", "key"]):
            return _answered_before(write)
        answer = act()
        plain = JSONRenderer().render(answer.data)  # empty where there is nothing to say
        write.status = answer.status_code
        write.seal_answer(plain)
        write.save(update_fields=["status", "answer"])
    return _told(plain, answer.status_code)


@sensitive_variables()
def answered(request: Request, body: Mapping[str, Any]) -> Response | None:
    """The answer of before, if there is one: for who has long work to do before anything can be committed.

    Raises KeyMissing, KeyReused.
    """
    write = _claimed(request, body)
    return _answered_before(write) if _same_key(write) else None


@sensitive_variables()
def _claimed(request: Request, body: Mapping[str, Any]) -> IdempotentWrite:
    owner = key_of(request)
    return IdempotentWrite(
        shop_id=owner.shop_id,
        reseller_id=owner.reseller_id,
        key=key_in(request),
        request_digest=keyed_digest("idempotent-write", digest_of(request, body)),
        at=db_now(),
    )


def _same_key(write: IdempotentWrite) -> IdempotentWrite | None:
    return IdempotentWrite.objects.filter(
        shop=write.shop_id, reseller=write.reseller_id, key=write.key
    ).first()


def _answered_before(write: IdempotentWrite) -> Response:
    before = _same_key(write)
    if before is None or before.request_digest != write.request_digest:
        raise KeyReused
    return _told(before.opened_answer(), before.status)


def _told(plain: bytes, status: int | None) -> Response:
    return Response(json.loads(plain) if plain else None, status)
