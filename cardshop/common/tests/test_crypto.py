"""Sealed values open where they belong and nowhere else."""

import os
from base64 import b64encode

import pytest
from django.core.exceptions import ImproperlyConfigured

from cardshop.common.crypto import CannotOpen, Keyring, key_id_of

OLD, NEW = os.urandom(32), os.urandom(32)
RING = Keyring(active="old", keys={"old": OLD})


def test_a_sealed_value_opens_with_its_context():
    sealed = RING.seal(b"secret", b"row 1")

    assert RING.open(sealed, b"row 1") == b"secret"
    assert b"secret" not in sealed


def test_the_same_value_never_looks_the_same():
    assert RING.seal(b"secret", b"row 1") != RING.seal(b"secret", b"row 1")


def test_copied_into_another_row_it_does_not_open():
    with pytest.raises(CannotOpen):
        RING.open(RING.seal(b"secret", b"row 1"), b"row 2")


def test_after_rotation_the_old_key_still_opens_and_the_new_one_seals():
    rotated = Keyring(active="new", keys={"new": NEW, "old": OLD})

    assert rotated.open(RING.seal(b"secret", b"row"), b"row") == b"secret"
    with pytest.raises(CannotOpen, match="'new'"):
        RING.open(rotated.seal(b"secret", b"row"), b"row")


def test_rewrapped_it_opens_with_the_new_key_alone_and_its_ciphertext_is_what_it_was():
    sealed = RING.seal(b"secret", b"row")
    rewrapped = Keyring(active="new", keys={"new": NEW, "old": OLD}).rewrap(sealed, b"row")

    assert Keyring(active="new", keys={"new": NEW}).open(rewrapped, b"row") == b"secret"
    assert rewrapped[-34:] == sealed[-34:]  # nonce, secret, tag
    assert (key_id_of(sealed), key_id_of(rewrapped)) == ("old", "new")


@pytest.mark.parametrize("damage", [lambda sealed: sealed[:-1], lambda sealed: sealed[:-1] + b"!"])
def test_what_does_not_open_is_not_rewrapped(damage):
    sealed = damage(RING.seal(b"secret", b"row"))

    with pytest.raises(CannotOpen):
        Keyring(active="new", keys={"new": NEW, "old": OLD}).rewrap(sealed, b"row")


def test_any_altered_byte_is_noticed():
    sealed = RING.seal(b"secret", b"row")

    for at in range(len(sealed)):
        with pytest.raises(CannotOpen):
            RING.open(sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :], b"row")


@pytest.mark.parametrize("cut", [0, 1, 2, 5, 20, 80])
def test_a_cut_value_is_noticed(cut):
    with pytest.raises(CannotOpen):
        RING.open(RING.seal(b"secret", b"row")[:cut], b"row")


@pytest.mark.parametrize(
    "text",
    ["", "id", "id:", "id:short", pytest.param(":" + b64encode(OLD).decode(), id=":secret"), "id:???"],
)
def test_a_bad_configuration_is_refused_without_being_quoted(text):
    with pytest.raises(ImproperlyConfigured) as refused:
        Keyring.parse(text)
    assert "short" not in str(refused.value)


def test_the_first_key_is_the_active_one():
    ring = Keyring.parse(f"b:{b64encode(NEW).decode()}, a:{b64encode(OLD).decode()}")

    assert (ring.active, ring.keys["a"]) == ("b", OLD)
    assert b64encode(OLD).decode() not in repr(ring)
