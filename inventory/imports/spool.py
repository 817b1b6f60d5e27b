"""Where keys wait between their upload and their import: in the database, sealed before they get there."""

import os
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction

from cardshop.common.crypto import CannotOpen, keyring
from cardshop.common.locks import lock_rows
from cardshop.common.sealed_chunks import ChunkCipher
from inventory.imports.reading import Sniffer
from inventory.models import KeyUpload, UploadChunk

CHUNK = 256 * 1024  # bytes in clear; of an upload all chunks but the last have just as many
ORPHAN_AFTER = timedelta(hours=6)  # longer than any upload takes


class NotText(Exception):
    """It is in no encoding that we read."""


class Blank(Exception):
    """There is nothing in it."""


class SpoolWriter:
    """Takes a text piece by piece. No more than a chunk of it is in memory, and nothing anywhere in clear."""

    def __init__(self, *, now: datetime) -> None:
        data_key = os.urandom(32)
        self.size = 0
        self._cipher, self._sniffer = ChunkCipher(data_key), Sniffer()
        self._upload = KeyUpload(created_at=now)
        self._upload.sealed_key = keyring().seal(data_key, context_of(self._upload))
        self._upload.save()
        self._waiting, self._number = bytearray(), 0

    def write(self, piece: bytes) -> None:
        self.size += len(piece)
        self._sniffer.see(piece)
        self._waiting += piece
        while len(self._waiting) > CHUNK:  # the last chunk is only known when it is over
            self._store(self._waiting[:CHUNK], last=False)
            del self._waiting[:CHUNK]

    def close(self) -> KeyUpload:
        """The whole upload. Raises NotText or Blank; then nothing is left of it."""
        encoding = self._sniffer.encoding()
        if encoding is None or self._sniffer.is_blank:
            self.discard()
            raise NotText if encoding is None else Blank
        self._store(self._waiting, last=True)
        self._upload.encoding, self._upload.size = encoding, self.size
        self._upload.chunk_count = self._number
        self._upload.save(update_fields=["encoding", "size", "chunk_count"])
        return self._upload

    def discard(self) -> None:
        discard(self._upload)

    def _store(self, plain: bytes | bytearray, *, last: bool) -> None:
        sealed = self._cipher.seal(bytes(plain), number=self._number, last=last)
        UploadChunk.objects.create(upload=self._upload, number=self._number, sealed=sealed)
        self._number += 1


def discard(upload: KeyUpload) -> None:
    """Delete it, unless it has been accepted."""
    _delete_free(pk=upload.pk)


def sweep_orphans(now: datetime) -> int:
    """Delete what was never accepted: a process died over it. Returns how many uploads."""
    return _delete_free(created_at__lt=now - ORPHAN_AFTER)


def read_upload(upload: KeyUpload, position: int = 0) -> Iterator[bytes]:
    """What was uploaded, from `position` on, a chunk at a time.

    Raises CannotOpen where a chunk was altered, moved or left out, or the key ring does not open its key.
    """
    cipher = ChunkCipher(keyring().open(bytes(upload.sealed_key), context_of(upload)))
    for number in range(position // CHUNK, upload.chunk_count):
        chunk = UploadChunk.objects.filter(upload=upload, number=number).first()
        if chunk is None:
            raise CannotOpen(f"chunk {number} is not there")
        plain = cipher.open(bytes(chunk.sealed), number=number, last=number == upload.chunk_count - 1)
        yield plain[max(0, position - number * CHUNK) :]


def context_of(upload: KeyUpload) -> bytes:
    """What the upload's data key is bound to."""
    return b"key-upload:" + upload.uid.bytes


@transaction.atomic
def _delete_free(**which: object) -> int:
    (uploads,) = lock_rows(KeyUpload.objects.filter(batch=None, **which))
    KeyUpload.objects.filter(pk__in=[upload.pk for upload in uploads]).delete()
    return len(uploads)
