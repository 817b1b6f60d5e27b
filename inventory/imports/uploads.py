"""Django's way of taking files, for the page that imports keys: sealed as they stream in."""

from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler, StopFutureHandlers
from django.http import HttpRequest, QueryDict
from django.utils.datastructures import MultiValueDict

from cardshop.common.clock import db_now
from inventory.imports.spool import Blank, NotText, SpoolWriter, discard
from inventory.models import KeyUpload


def may_import(request: HttpRequest) -> bool:
    return bool(admin.site.has_permission(request) and request.user.has_perm("inventory.add_keybatch"))


class TooLarge(Exception):
    """More than IMPORT_FILE_LIMIT."""


class SealedUpload(UploadedFile):  # type: ignore[type-arg]  # generic for the checker only
    """What a form sees of it: the upload, or why there is none. Closed with the request.

    Unless it was accepted by then, nothing of it stays.
    """

    def __init__(self, *, name: str, size: int, spooled: KeyUpload | Exception) -> None:
        super().__init__(name=name, size=size)
        self.spooled = spooled

    def close(self) -> None:
        if isinstance(self.spooled, KeyUpload):
            discard(self.spooled)


class SealedUploadHandler(FileUploadHandler):
    """Has the first word everywhere, and says something on one page only.

    Django reads a form before it knows whose it is, so here it is looked whose it is: of a stranger's
    not a byte is read.
    """

    _writer: SpoolWriter | None = None

    def handle_raw_input(self, *_args: Any, **_kwargs: Any) -> Any:
        if self._is_ours() and not may_import(self.request):  # type: ignore[arg-type]
            return QueryDict(), MultiValueDict()
        return None

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        if self._is_ours():
            self._writer = SpoolWriter(now=db_now())
            raise StopFutureHandlers

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        if self._writer is None:
            return raw_data
        if self._writer.size <= settings.IMPORT_FILE_LIMIT:
            self._writer.write(raw_data)
        return None

    def file_complete(self, file_size: int) -> SealedUpload | None:
        if self._writer is None:
            return None
        return SealedUpload(name=self.file_name or "", size=file_size, spooled=self._spooled(self._writer))

    def upload_interrupted(self) -> None:
        if self._writer is not None:
            self._writer.discard()

    def _is_ours(self) -> bool:
        return self.request is not None and self.request.path == settings.IMPORT_PAGE

    def _spooled(self, writer: SpoolWriter) -> KeyUpload | Exception:
        if writer.size > settings.IMPORT_FILE_LIMIT:
            writer.discard()
            return TooLarge()
        try:
            return writer.close()
        except (Blank, NotText) as problem:
            return problem
