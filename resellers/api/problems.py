"""What views say when they refuse; all else below this address says so too (`cardshop.common.problems`)."""

from typing import Any

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.response import Response

from cardshop.common.api import error_response
from cardshop.common.problems import CONTENT_TYPE, problem

Problem = inline_serializer(
    "Problem",
    {
        "type": serializers.CharField(help_text="urn:cardshop:problem: and the code."),
        "title": serializers.CharField(help_text="What the status means."),
        "status": serializers.IntegerField(),
        "code": serializers.CharField(help_text="Stable, for programs."),
        "detail": serializers.CharField(help_text="For people, in the language of the request."),
        "fields": serializers.DictField(
            child=serializers.ListField(child=serializers.CharField()),
            help_text="What is wrong with which field.",
        ),
    },
)
# What any answer may be instead.
REFUSALS = {(status, CONTENT_TYPE): Problem for status in (401, 403, 429, 503)}


def problem_response(exc: Exception, context: dict[str, Any]) -> Response | None:
    """The same failure as everywhere, in another coat; None means a bug of ours: a 500."""
    response = error_response(exc, context)
    if response is None:
        return None
    said = dict(response.data)
    code, detail = said.pop("code"), said.pop("message")
    response.data = problem(response.status_code, code, detail, **said)
    response.content_type = CONTENT_TYPE
    return response
