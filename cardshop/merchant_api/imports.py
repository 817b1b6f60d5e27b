"""Importing card keys: a body of any length, sealed as it comes, and stored in the background."""

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import localdate
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from cardshop.common.api import StrictSerializer, WholeNumberField
from cardshop.common.clock import db_now
from cardshop.common.errors import Invalid, NotHere
from cardshop.common.money import CURRENCIES, MAX_MINOR
from cardshop.merchant_api.catalogue import variant_called
from cardshop.merchant_api.errors import DigestDiffers, DigestMissing, FileTooLarge, NoText
from cardshop.merchant_api.views import MerchantApiView, actor_of, refusals
from inventory.batch_page import progress_of
from inventory.errors import NotByKeys
from inventory.imports.reading import NoSuchColumn
from inventory.imports.running import Terms, accept
from inventory.imports.spool import Blank, NotText, SpoolWriter, discard
from inventory.models import (
    BatchState,
    Fulfilment,
    ImportFailure,
    KeyBatch,
    KeyUpload,
    Layout,
    LeftOutLine,
    LeftOutReason,
    Variant,
)
from resellers.api.once import ONCE, answered, once
from resellers.api.pages import PageInput, on_page, page_asked_for
from resellers.api.views import key_of
from resellers.models import MerchantScope

PIECE = 64 * 1024
# RFC 9530. The same digest is signed, so the body need not be read to know who sends it.
DIGEST = "Content-Digest"
_SHA256 = re.compile(r"(?:^|[\s,])sha-256=:([A-Za-z0-9+/]{43}=):", re.ASCII)
_CONTENT_DIGEST = OpenApiParameter(
    DIGEST,
    str,
    OpenApiParameter.HEADER,
    required=True,
    description="`sha-256=:…:`, the SHA-256 of the body in base64 (RFC 9530); the same that is signed.",
)


class ImportInput(StrictSerializer):
    layout = serializers.ChoiceField(
        Layout.values,
        required=False,
        default=Layout.LINES.value,
        help_text="lines: one key a line; csv: the first row has headings; bare_csv: it has not.",
    )
    heading = serializers.CharField(
        max_length=120, required=False, default="", help_text="Of a csv: above the keys. Empty: the first."
    )
    note = serializers.CharField(
        max_length=120, required=False, default="", help_text="No keys here: this is not encrypted."
    )
    unit_cost_minor = WholeNumberField(min_value=0, max_value=MAX_MINOR, required=False, default=None)
    cost_currency = serializers.ChoiceField(
        [code for code, _name in CURRENCIES], required=False, default="", help_text="Default: the variant's."
    )
    expires_on = serializers.DateField(
        required=False, default=None, help_text="The last day on which these keys work."
    )

    def validate_expires_on(self, day: date | None) -> date | None:
        if day and day < localdate():
            raise serializers.ValidationError(_("This day is over."))
        return day

    def validate(self, said: dict[str, Any]) -> dict[str, Any]:
        if said["heading"] and said["layout"] != Layout.CSV:
            raise serializers.ValidationError(
                {"heading": _("Only a CSV whose first row has headings has columns with names.")}
            )
        return said


class ImportOut(serializers.Serializer[Any]):
    id = serializers.IntegerField(source="pk")
    variant = serializers.CharField(source="variant.code")
    state = serializers.ChoiceField(BatchState.values, help_text="done, failed and undone are final.")
    failure = serializers.ChoiceField(ImportFailure.values, allow_blank=True, help_text="Why it failed.")
    lines = serializers.IntegerField(help_text="So many are read.")
    imported = serializers.IntegerField()
    duplicates = serializers.IntegerField(help_text="Left out: in the shop already, or twice in the import.")
    refused = serializers.IntegerField(help_text="Left out: too long, or no text.")
    undone = serializers.IntegerField(help_text="Of those imported, so many were taken back.")
    note = serializers.CharField()
    imported_by = serializers.CharField()
    imported_at = serializers.DateTimeField()
    expires_on = serializers.DateField(allow_null=True)


class ImportInFullOut(ImportOut):
    percent = serializers.SerializerMethodField()

    def get_percent(self, batch: KeyBatch) -> int:
        return int(progress_of(batch)["percent"])


class ImportsOut(serializers.Serializer[Any]):
    imports = ImportOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


class LeftOutOut(serializers.Serializer[Any]):
    line = serializers.IntegerField(help_text="Counted from 1.")
    reason = serializers.ChoiceField(LeftOutReason.values)


class LeftOutLinesOut(serializers.Serializer[Any]):
    left_out = LeftOutOut(many=True)
    next = serializers.CharField(allow_null=True, help_text="Send it as `after`; null: there are no more.")


def announced(request: HttpRequest) -> str:
    """The hexadecimal SHA-256 that the body is said to have. Raises DigestMissing."""
    if not (found := _SHA256.search(request.headers.get(DIGEST, ""))):
        raise DigestMissing
    return b64decode(found[1]).hex()


class ImportsApi(MerchantApiView):
    """Takes whatever content type: it is text. Of a stranger's body not a byte is read."""

    scope_to_write = MerchantScope.STOCK_WRITE

    def body_digest(self, request: HttpRequest) -> str:
        """As it is announced: the body is compared with it once it is read."""
        return announced(request)

    @extend_schema(
        operation_id="merchant_imports_create",
        request={"text/plain": OpenApiTypes.STR, "text/csv": OpenApiTypes.STR},
        parameters=[ONCE, _CONTENT_DIGEST, ImportInput],
        responses={202: ImportOut, **refusals(400, 404, 409, 413, 422)},
    )
    def post(self, request: Request, code: str) -> Response:
        """Send the keys as the body, in UTF-8 or GB18030. They are imported in the background: ask how far it
        is at `imports/<id>/`.
        """
        wanted = ImportInput(data=request.query_params.dict())
        wanted.is_valid(raise_exception=True)
        variant = variant_called(request, code)
        if variant.fulfilment != Fulfilment.CARD_KEY:
            raise NotByKeys
        said = {**wanted.validated_data, "body": announced(request._request)}
        if before := answered(request, said):
            return before
        upload = _spooled(request._request, said["body"])
        try:
            return once(
                request,
                said,
                lambda: _accepted(upload, variant, wanted.validated_data, imported_by=actor_of(request)),
            )
        finally:
            discard(upload)  # unless it was accepted


class ImportsListApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ

    @extend_schema(
        operation_id="merchant_imports_list",
        parameters=[PageInput],
        responses={200: ImportsOut, **refusals(400)},
    )
    def get(self, request: Request) -> Response:
        """All imports, whoever began them, the oldest first."""
        found, after = on_page(_batches(request), page_asked_for(request))
        return Response({"imports": ImportOut(found, many=True).data, "next": after})


class ImportApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ

    @extend_schema(
        operation_id="merchant_imports_retrieve", responses={200: ImportInFullOut, **refusals(404)}
    )
    def get(self, request: Request, pk: int) -> Response:
        """How far it is."""
        return Response(ImportInFullOut(_batch(request, pk)).data)


class LeftOutApi(MerchantApiView):
    scope = MerchantScope.CATALOGUE_READ

    @extend_schema(
        operation_id="merchant_imports_left_out",
        parameters=[PageInput],
        responses={200: LeftOutLinesOut, **refusals(400, 404)},
    )
    def get(self, request: Request, pk: int) -> Response:
        """Which lines were left out, and why. What stood there is not told."""
        lines, after = on_page(LeftOutLine.objects.filter(batch=_batch(request, pk)), page_asked_for(request))
        return Response({"left_out": LeftOutOut(lines, many=True).data, "next": after})


def _batches(request: Request) -> QuerySet[KeyBatch]:
    imported = KeyBatch.objects.filter(shop=key_of(request).shop, origin=KeyBatch.Origin.IMPORTED)
    return imported.select_related("variant")


def _batch(request: Request, pk: int) -> KeyBatch:
    if (batch := _batches(request).filter(pk=pk).first()) is None:
        raise NotHere
    return batch


def _spooled(request: HttpRequest, digest: str) -> KeyUpload:
    """The body, sealed. Raises FileTooLarge, DigestDiffers, NoText, Invalid; then nothing of it is left."""
    writer, seen = SpoolWriter(now=db_now()), sha256()
    try:
        while piece := request.read(PIECE):
            seen.update(piece)
            writer.write(piece)
            if writer.size > settings.IMPORT_FILE_LIMIT:
                raise FileTooLarge
        if seen.hexdigest() != digest:
            raise DigestDiffers
        return writer.close()
    except NotText:
        raise NoText from None
    except Blank:
        raise Invalid(ImportFailure.EMPTY.label) from None
    except BaseException:
        writer.discard()
        raise


def _accepted(upload: KeyUpload, variant: Variant, said: Mapping[str, Any], *, imported_by: str) -> Response:
    is_priced = said["unit_cost_minor"] is not None
    currency = (said["cost_currency"] or variant.currency) if is_priced else ""
    terms = Terms(variant=variant, imported_by=imported_by, **{**said, "cost_currency": currency})
    try:
        batch = accept(upload, terms, now=db_now())
    except NoSuchColumn:
        raise Invalid(ImportFailure.NO_COLUMN.label, field="heading") from None
    return Response(ImportOut(batch).data, 202)
