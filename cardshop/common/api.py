"""What every API view shares: strict input, and one coat for every error."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_serializer, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.parsers import JSONParser
from rest_framework.response import Response
from rest_framework.settings import api_settings

from cardshop.common.errors import DomainError

ErrorShape = inline_serializer(
    "Error",
    {
        "code": serializers.CharField(help_text="Stable, for programs."),
        "message": serializers.CharField(help_text="For people, in the language of the request."),
        "fields": serializers.DictField(
            child=serializers.ListField(child=serializers.CharField()),
            help_text="What is wrong with which field.",
        ),
    },
)


def error_response(exc: Exception, context: dict[str, Any]) -> Response | None:
    """Every failure is {"code", "message", "fields"}; None means a bug of ours: a 500."""
    from rest_framework.views import exception_handler  # which imports this module for its parser

    if isinstance(exc, DomainError):
        return Response(
            {"code": exc.code, "message": str(exc), "fields": exc.fields(), **exc.extra},
            exc.http_status,
            headers=exc.headers(),
        )
    if isinstance(exc, Http404):
        return Response({"code": "not_found", "message": _("We could not find that."), "fields": {}}, 404)
    if response := exception_handler(exc, context):
        code, message, fields = _described(exc, response)
        response.data = {"code": code, "message": message, "fields": fields}
        return response
    return None


def _described(exc: Exception, response: Response) -> tuple[str, str, dict[str, Any]]:
    if isinstance(exc, ValidationError):
        return "invalid", _("Please check what you entered."), dict(_by_field(response.data))
    detail = response.data.get("detail", "") if isinstance(response.data, dict) else ""
    return HTTPStatus(response.status_code).name.lower(), str(detail), {}


def _by_field(found: Any, name: str = "") -> Iterator[tuple[str, list[str]]]:
    """What is wrong with which field, those within others named like `lines.0.quantity`."""
    if isinstance(found, dict):
        for part, within in found.items():
            of_all = name and part == api_settings.NON_FIELD_ERRORS_KEY
            yield from _by_field(within, name if of_all else f"{name}.{part}".lstrip("."))
    elif any(isinstance(each, dict) for each in found):
        for place, within in enumerate(found):
            yield from _by_field(within, f"{name}.{place}".lstrip("."))
    else:
        yield name, found


@extend_schema_serializer(many=False)
class StrictSerializer(serializers.Serializer[Any]):
    """Refuses fields that it does not know: a client that sends `price` must hear that it is ignored."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := sorted(map(str, data.keys() - self.fields.keys()))):
            raise ValidationError({printable(name): [_("Unknown field.")] for name in unknown[:20]})
        return super().to_internal_value(data)


def printable(name: str) -> str:
    """Short, and without the lone surrogates that JSON allows and UTF-8 does not."""
    return name[:60].encode(errors="replace").decode()


class BoundedJSONParser(JSONParser):
    """JSON nested deeper than the interpreter's stack is the sender's mistake, not ours."""

    def parse(self, stream: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().parse(stream, *args, **kwargs)
        except RecursionError as error:
            raise ParseError(_("That is nested too deeply.")) from error


class WholeNumberField(serializers.IntegerField):
    """An integer as JSON number or ASCII digits. int() would also take "٣", " 3", "1_0" and 1.0."""

    def to_internal_value(self, data: Any) -> int:
        plain = type(data) is int or (isinstance(data, str) and data.isascii() and data.isdigit())
        if not plain and not (isinstance(data, str) and data[:1] == "-" and data[1:].isdigit()):
            self.fail("invalid")
        return super().to_internal_value(data)
