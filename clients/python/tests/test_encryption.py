"""Card keys that only this client reads. The account's encryption key is put back afterwards."""

import os

import pytest
from cardshop_client import CannotDecrypt, Cardshop

jwk = pytest.importorskip("joserfc.jwk")


def reading(private_key: object) -> Cardshop:
    told = os.environ
    return Cardshop(
        told["CARDSHOP_URL"],
        key=told["CARDSHOP_KEY"],
        secret=told["CARDSHOP_SECRET"],
        private_key=private_key,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("form", ["jwk", "pem"])
@pytest.mark.parametrize(
    "make",
    [
        lambda: jwk.RSAKey.generate_key(2048),
        lambda: jwk.ECKey.generate_key("P-256"),
        lambda: jwk.OKPKey.generate_key("X25519"),
    ],
)
def test_card_keys_are_decrypted(shop: Cardshop, variant: str, key: str, make, form: str):
    private, another = make(), make()
    as_told = (lambda key, **said: key.as_dict(**said)) if form == "jwk" else _as_pem
    shop.set_encryption_key(as_told(private, private=False))
    try:
        blind = shop.order({variant: 1}, idempotency_key=key)
        with reading(as_told(private, private=True)) as mine:
            order = mine.order({variant: 1}, idempotency_key=key)
            again = mine.order_with_keys(order.number)
        with reading(as_told(another, private=True)) as theirs, pytest.raises(CannotDecrypt):
            theirs.order_with_keys(order.number)
    finally:
        shop.remove_encryption_key()

    assert shop.encryption_key() is None
    assert [(line.keys, line.encrypted_keys.count(".")) for line in blind.lines] == [(None, 4)]
    assert order.keys == again.keys == shop.order_with_keys(order.number).keys
    assert len(order.keys[variant]) == 1


def _as_pem(key, *, private: bool) -> str:
    return key.as_pem(private=private).decode()


@pytest.mark.parametrize("form", ["jwk", "pem"])
def test_a_public_key_reads_nothing_and_says_so(form: str):
    key = jwk.OKPKey.generate_key("X25519")

    with pytest.raises(ValueError, match="private key"):
        reading(key.as_dict(private=False) if form == "jwk" else _as_pem(key, private=False))
