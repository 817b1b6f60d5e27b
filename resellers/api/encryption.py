"""To which public key of the reseller's own the card keys are encrypted that their programs are told."""

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.audit.recording import record
from cardshop.common.api import StrictSerializer
from cardshop.common.audit import Action, deed_on
from cardshop.common.clock import db_now
from cardshop.common.errors import Invalid
from cardshop.common.problems import CONTENT_TYPE
from resellers.api.once import ONCE, once
from resellers.api.problems import REFUSALS, Problem
from resellers.api.views import ResellerApiView, key_of, reseller_of
from resellers.encryption import ALGORITHM, CONTENT, LONGEST, Jwk, read_public_key
from resellers.models import Reseller, Scope

MISTAKES = {(status, CONTENT_TYPE): Problem for status in (400, 422)}


class EncryptionKeyInput(StrictSerializer):
    """The key as it is kept, in `read`."""

    jwk = serializers.DictField(required=False, help_text="A public key, by RFC 7517. It may have a `kid`.")
    pem = serializers.CharField(required=False, max_length=LONGEST, help_text="The same as PEM.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if len(attrs) != 1:
            raise serializers.ValidationError(_("Send either jwk or pem."))
        ((name, said),) = attrs.items()
        try:
            return {"read": read_public_key(said)}
        except Invalid as odd:
            raise serializers.ValidationError({name: [str(odd)]}) from odd


class EncryptionKeyOut(serializers.Serializer[Any]):
    kid = serializers.CharField(
        allow_null=True, help_text="It stands in every JWE. Yours, or the thumbprint of RFC 7638."
    )
    alg = serializers.ChoiceField(sorted(set(ALGORITHM.values())), allow_null=True)
    enc = serializers.ChoiceField([CONTENT], allow_null=True)
    jwk = serializers.DictField(
        child=serializers.CharField(), allow_null=True, help_text="null: card keys are told in clear."
    )


EXAMPLE = OpenApiExample(
    "X25519",
    value={
        "jwk": {
            "kty": "OKP",
            "crv": "X25519",
            "x": "IKojCXZxbkiJiYykkxl-Ctw_Mn5gADMsAg2SGvHZWTo",
            "kid": "2026",
        }
    },
    request_only=True,
)


class EncryptionKeyApi(ResellerApiView):
    scope = scope_to_write = Scope.ENCRYPTION

    @extend_schema(operation_id="encryption_key", responses={200: EncryptionKeyOut, **REFUSALS})
    def get(self, request: Request) -> Response:
        """To which key card keys are encrypted."""
        return Response(_told(reseller_of(request).encrypted_to))

    @extend_schema(
        operation_id="encryption_key_set",
        request=EncryptionKeyInput,
        parameters=[ONCE],
        examples=[EXAMPLE],
        responses={200: EncryptionKeyOut, **MISTAKES, (415, CONTENT_TYPE): Problem, **REFUSALS},
    )
    def put(self, request: Request) -> Response:
        """From now on every answer with card keys has them as a JWE for this key, whatever API key asks."""
        wanted = EncryptionKeyInput(data=request.data)
        wanted.is_valid(raise_exception=True)
        jwk = wanted.validated_data["read"]
        return once(request, jwk, lambda: Response(_set(request, jwk)))

    @extend_schema(
        operation_id="encryption_key_remove",
        parameters=[ONCE],
        responses={200: EncryptionKeyOut, **MISTAKES, **REFUSALS},
    )
    def delete(self, request: Request) -> Response:
        """From now on card keys are told in clear again."""
        return once(request, {}, lambda: Response(_set(request, None)))


@transaction.atomic
def _set(request: Request, jwk: Jwk | None) -> Mapping[str, Any]:
    """With a line in the audit log: it decides who reads card keys."""
    reseller, now = reseller_of(request), db_now()
    Reseller.objects.filter(pk=reseller.pk).update(encrypted_to=jwk)
    said = _("Card keys are encrypted to %s.") % jwk["kid"] if jwk else _("Card keys are told in clear.")
    deed = deed_on(reseller, Action.DONE, shop_id=reseller.shop_id, said=said)
    record([deed], who=key_of(request).acts_as, address=request.META["REMOTE_ADDR"] or None, now=now)
    return _told(jwk)


def _told(jwk: Jwk | None) -> Mapping[str, Any]:
    if jwk is None:
        return dict.fromkeys(("kid", "alg", "enc", "jwk"))
    return {"kid": jwk["kid"], "alg": ALGORITHM[jwk["kty"]], "enc": CONTENT, "jwk": jwk}
