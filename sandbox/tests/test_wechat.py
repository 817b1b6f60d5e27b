"""WeChat Pay: whom the platform lets in, and how it signs. The shop's driver looks at what it answers."""

import json
from base64 import b64decode, b64encode

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sandbox import wechat

MERCHANT, PLATFORM = generate_private_key(65537, 2048), generate_private_key(65537, 2048)
NOW, V3_KEY = 1_700_000_000, "0123456789abcdef0123456789abcdef"


def private(key: RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    return b64encode(key.private_bytes(encoding, form, serialization.NoEncryption())).decode()


def public(key: RSAPrivateKey) -> str:
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return b64encode(key.public_key().public_bytes(encoding, form)).decode()


SAID = {
    "mchid": "1900000001",
    "appid": "wx1",
    "serial": "5157",
    "merchant_key": public(MERCHANT),
    "api_v3_key": V3_KEY,
    "platform_key": private(PLATFORM),
    "platform_key_id": "PUB_KEY_ID_1",
    "app_secret": "secret",
}
ACCOUNT = wechat.read_account(json.dumps(SAID))


def call(
    *,
    by: RSAPrivateKey = MERCHANT,
    stamp: int = NOW,
    body: str = "{}",
    target: str = "/v3/a?b=c",
    **changes: str,
) -> str:
    text = f"POST\n{target}\n{stamp}\nnonce\n{body}\n"
    said = {
        "mchid": "1900000001",
        "nonce_str": "nonce",
        "signature": b64encode(by.sign(text.encode(), PKCS1v15(), hashes.SHA256())).decode(),
        "timestamp": str(stamp),
        "serial_no": "5157",
        **changes,
    }
    return "WECHATPAY2-SHA256-RSA2048 " + ",".join(f'{name}="{value}"' for name, value in said.items())


def wrong_with(authorization: str) -> str:
    return wechat.wrong_with(
        authorization, method="POST", target="/v3/a?b=c", body=b"{}", account=ACCOUNT, now=NOW
    )


def test_what_the_merchant_has_signed_is_taken_and_nothing_else() -> None:
    assert not wrong_with(call())
    for other in (
        call(by=PLATFORM),
        call(body="{} "),
        call(target="/v3/a"),
        call(stamp=NOW - 301),
        call(timestamp="now"),
        call(mchid="1900000002"),
        call(serial_no="1"),
        call(nonce_str="other"),
        call(signature="签"),
        call().replace("SHA256", "SM2"),
        "",
    ):
        assert wrong_with(other)


@pytest.mark.parametrize("corrupt", [False, True])
def test_an_answer_is_signed_over_its_time_and_its_body(corrupt: bool) -> None:
    headers = wechat.signed_headers(b"", ACCOUNT, now=NOW, corrupt=corrupt)
    text = f"{headers['Wechatpay-Timestamp']}\n{headers['Wechatpay-Nonce']}\n\n".encode()

    def verify() -> None:
        signature = b64decode(headers["Wechatpay-Signature"])
        PLATFORM.public_key().verify(signature, text, PKCS1v15(), hashes.SHA256())

    if corrupt:
        with pytest.raises(InvalidSignature):
            verify()
    else:
        verify()


def test_what_a_notice_says_is_sealed() -> None:
    body = wechat.notice("TRANSACTION.SUCCESS", {"a": "付"}, ACCOUNT, number="N1", created="")
    box = json.loads(body)["resource"]

    said = AESGCM(V3_KEY.encode()).decrypt(
        box["nonce"].encode(), b64decode(box["ciphertext"]), b"transaction"
    )

    assert json.loads(said) == {"a": "付"}
    assert '付"' not in body.decode()


@pytest.mark.parametrize("broken", ["", "[]", "{}", json.dumps({**SAID, "api_v3_key": "short-canary"})])
def test_an_account_that_cannot_be_read_is_said_without_its_secrets(broken: str) -> None:
    with pytest.raises(ValueError, match="not") as refused:
        wechat.read_account(broken)
    assert "canary" not in str(refused.value)
