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
        head = head_under(self.active)
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
        data_key, rest = self._unwrap(sealed, context)
        return _decrypt(data_key, rest, context)

    def rewrap(self, sealed: bytes, context: bytes) -> bytes:
        """The same ciphertext, its data key wrapped by the active key. Raises CannotOpen, also where the
        ciphertext does not open: what is damaged must not look like new.
        """
        data_key, rest = self._unwrap(sealed, context)
        _decrypt(data_key, rest, context)
        return self._wrap(data_key, context) + rest

    def _wrap(self, data_key: bytes, context: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        wrapped = self._wrapping.encrypt(nonce, data_key, context)
        return head_under(self.active) + nonce + wrapped

    def _unwrap(self, sealed: bytes, context: bytes) -> tuple[bytes, bytes]:
        """The data key, and what follows it. Raises CannotOpen."""
        if not (name := key_id_of(sealed)):
            raise CannotOpen("not a sealed value")
        if name not in self.keys:
            raise CannotOpen(f"sealed under key {name!r}, which CARD_KEY_KEK does not hold")
        rest = sealed[2 + sealed[1] :]
        wrapped, rest = rest[: _NONCE + _WRAPPED], rest[_NONCE + _WRAPPED :]
        return _decrypt(self.keys[name], wrapped, context), rest


def head_under(key_id: str) -> bytes:
    """What every value begins with that is sealed under this key-encryption key."""
    name = key_id.encode()
    return bytes([_VERSION, len(name)]) + name


def key_id_of(sealed: bytes) -> str:
    """Which key-encryption key the value was sealed under; empty for what is no sealed value."""
    if len(sealed) < 2 or sealed[0] != _VERSION:
        return ""
    return sealed[2 : 2 + sealed[1]].decode(errors="replace")


def _decrypt(key: bytes, nonce_and_text: bytes, context: bytes) -> bytes:
    try:
        return AESGCM(key).decrypt(nonce_and_text[:_NONCE], nonce_and_text[_NONCE:], context)
    except (InvalidTag, ValueError) as error:
        raise CannotOpen("altered, or sealed for another row") from error


def keyring() -> Keyring:
    """The installation's key ring, from CARD_KEY_KEK."""
    return _parsed(settings.CARD_KEY_KEK)


@lru_cache(maxsize=4)
def _parsed(text: str) -> Keyring:
    return Keyring.parse(text)
