"""Envelope encryption: AES-256-GCM under a data key of its own, wrapped by a named key-encryption key.

A sealed value is `1 | len(id) | id | nonce | wrapped data key | nonce | ciphertext`. The context
(additional authenticated data) ties it to its row: copied into another row it does not open.
A value that does not open raises; nothing ever falls back to returning ciphertext.
"""

import os
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

_VERSION = 1
_KEY = 32
_NONCE = 12
_WRAPPED = _KEY + 16
_RANDOM = _KEY + 2 * _NONCE  # bytes that a value is sealed with


class CannotOpen(Exception):
    """The value was sealed under a key we do not have, for another row, or was altered."""


@dataclass(frozen=True)
class Keyring:
    """Key-encryption keys by id. `active` seals; all of them open, so that keys can be rotated."""

    active: str
    keys: Mapping[str, bytes] = field(repr=False)

    @classmethod
    def parse(cls, text: str) -> "Keyring":
        """`id:base64[,id:base64…]`, each key 32 bytes, the first one active.

        Raises ImproperlyConfigured without quoting the text: it is made of secrets.
        """
        keys = {}
        for part in text.split(","):
            name, _, encoded = part.strip().partition(":")
            try:
                key = b64decode(encoded, validate=True)
            except Base64Error:
                key = b""
            if not name or len(name.encode()) > 32 or len(key) != 32:
                raise ImproperlyConfigured("CARD_KEY_KEK wants id:base64 of 32 bytes[,id:base64…]")
            keys[name] = key
        return cls(active=next(iter(keys)), keys=keys)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Encrypt `plain` so that it opens only with the same `context`."""
        (sealed,) = self.seal_all([(plain, context)])
        return sealed

    def seal_all(self, values: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """The same for many (plain, context) pairs, each under a data key and nonces of its own.

        The randomness for all of them is asked of the kernel at once, which is most of what makes this
        quicker than one by one.
        """
        name = self.active.encode()
        head = bytes([_VERSION, len(name)]) + name
        wrap, random = self._wrapping.encrypt, memoryview(os.urandom(_RANDOM * len(values)))
        sealed = []
        for at, (plain, context) in enumerate(values):
            drawn = random[at * _RANDOM : (at + 1) * _RANDOM]
            data_key, wrap_nonce, nonce = drawn[:_KEY], drawn[_KEY : _KEY + _NONCE], drawn[_KEY + _NONCE :]
            wrapped = wrap(wrap_nonce, data_key, context)
            ciphertext = AESGCM(data_key).encrypt(nonce, plain, context)
            sealed.append(b"".join((head, wrap_nonce, wrapped, nonce, ciphertext)))
        return sealed

    @cached_property
    def _wrapping(self) -> AESGCM:
        return AESGCM(self.keys[self.active])

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """The plain bytes. Raises CannotOpen."""
        if len(sealed) < 2 or sealed[0] != _VERSION:
            raise CannotOpen("not a sealed value")
        rest = sealed[2 + sealed[1] :]
        name = sealed[2 : 2 + sealed[1]].decode(errors="replace")
        if name not in self.keys:
            raise CannotOpen(f"sealed under key {name!r}, which CARD_KEY_KEK does not hold")
        wrap_nonce, rest = rest[:_NONCE], rest[_NONCE:]
        wrapped, rest = rest[:_WRAPPED], rest[_WRAPPED:]
        try:
            data_key = AESGCM(self.keys[name]).decrypt(wrap_nonce, wrapped, context)
            return AESGCM(data_key).decrypt(rest[:_NONCE], rest[_NONCE:], context)
        except (InvalidTag, ValueError) as error:
            raise CannotOpen("altered, or sealed for another row") from error


def keyring() -> Keyring:
    """The installation's key ring, from CARD_KEY_KEK."""
    return _parsed(settings.CARD_KEY_KEK)


@lru_cache(maxsize=4)
def _parsed(text: str) -> Keyring:
    return Keyring.parse(text)
