"""HTTP as the endpoints see it: a request read with its limits, and an answer to give."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING

from sandbox import epay

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

BODY_BYTES = 64 * 1024
FORM_TYPE = "application/x-www-form-urlencoded"


class HttpError(Exception):
    """The call cannot be answered; `message` is for whoever wrote the caller."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Answer:
    body: bytes
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)


def json_answer(content: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    body = json.dumps(content, ensure_ascii=False).encode()
    return Answer(body, status, {"Content-Type": "application/json; charset=utf-8"})


def redirect(url: str) -> Answer:
    """After a form: go and look there."""
    return Answer(b"", HTTPStatus.SEE_OTHER, {"Location": url})


class Request:
    def __init__(self, environ: "WSGIEnvironment") -> None:
        self._environ = environ
        self.method: str = environ["REQUEST_METHOD"]
        self.path: str = environ.get("PATH_INFO", "")
        self.target: str = environ.get("RAW_URI", "")  # path and query as they were sent
        self.languages: str = environ.get("HTTP_ACCEPT_LANGUAGE", "")
        self.host: str = environ.get("HTTP_HOST", "").lower()
        self.origin: str = environ.get("HTTP_ORIGIN", "").lower()
        self.fetch_site: str = environ.get("HTTP_SEC_FETCH_SITE", "").lower()

    def header(self, name: str) -> str:
        """Of the caller's headers the one of that name; nothing if it was not sent."""
        value: str = self._environ.get(f"HTTP_{name.upper().replace('-', '_')}", "")
        return value

    @cached_property
    def query_string(self) -> str:
        text: str = self._environ.get("QUERY_STRING", "")
        return text

    @cached_property
    def query(self) -> dict[str, str]:
        return _form(self.query_string.encode("latin-1"))

    @cached_property
    def lang(self) -> str:
        """`?lang=` as asked, or nothing; a page can be shown even if its query is broken."""
        try:
            return self.query.get("lang", "")
        except HttpError:
            return ""

    @cached_property
    def form(self) -> dict[str, str]:
        kind = self._environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        if kind not in ("", FORM_TYPE):
            raise HttpError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send {FORM_TYPE}")
        return _form(self.body)

    @cached_property
    def json(self) -> dict[str, object]:
        """The body, an object; an empty body is an empty one."""
        try:
            content = json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as exc:
            raise HttpError(HTTPStatus.BAD_REQUEST, "the body is not JSON") from exc
        if not isinstance(content, dict):
            raise HttpError(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
        return content

    @cached_property
    def body(self) -> bytes:
        body: bytes = self._environ["wsgi.input"].read(BODY_BYTES + 1)
        if len(body) > BODY_BYTES:
            raise HttpError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"over {BODY_BYTES} bytes")
        return body


def _form(raw: bytes) -> dict[str, str]:
    try:
        return epay.read_form(raw)
    except ValueError as exc:
        raise HttpError(HTTPStatus.BAD_REQUEST, "not a form in UTF-8") from exc
