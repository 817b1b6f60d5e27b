"""Errors as problem details, by RFC 9457, with our stable codes: for programs that sign what they send.

https://www.rfc-editor.org/rfc/rfc9457
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

CONTENT_TYPE = "application/problem+json"
TOLD_SO = ("/api/reseller/", "/api/merchant/")  # addresses below which every error is one


def problem(status: int, code: str, detail: str, **said: Any) -> Mapping[str, Any]:
    return {
        "type": f"urn:cardshop:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
        **said,
    }
