"""A long text sealed chunk by chunk, so that no chunk can be altered, moved or left out unnoticed."""

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from cardshop.common.crypto import CannotOpen

_NONCE = 12


class ChunkCipher:
    """AES-256-GCM under a data key that one text has for itself.

    The additional authenticated data are a chunk's number and whether it is the last: in another place
    it does not open, and a text whose end is missing has no last chunk.
    """

    def __init__(self, data_key: bytes) -> None:
        self._cipher = AESGCM(data_key)

    def seal(self, plain: bytes, *, number: int, last: bool) -> bytes:
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, _place(number, last))

    def open(self, sealed: bytes, *, number: int, last: bool) -> bytes:
        """The plain bytes. Raises CannotOpen."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _place(number, last))
        except (InvalidTag, ValueError) as error:
            raise CannotOpen(f"chunk {number} was altered, or belongs elsewhere") from error


def _place(number: int, last: bool) -> bytes:
    return b"chunk:%d:%d" % (number, last)
